"""The same executor on podman's API socket: an image is imported, a task runs without power, a stuck one is killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.images.exchange import export_images, import_images, read_manifest
from builder.images.table import ImageSpec, image_specs
from kdriver.executors.container import ContainerExecutor
from kdriver.executors.container_plan import Limits
from kdriver.executors.engine import Engine, find_engine
from kdriver.executors.task import Task
from kernel_index.table import load_table
from tests.fakes.engine import may_run, private_engine, tiny_root

pytestmark = [
    pytest.mark.docker,
    pytest.mark.root,
    pytest.mark.skipif(bool(may_run()), reason=may_run()),
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]
LIMITS = Limits(memory_bytes=64 << 20, processes=40)
SPEC: ImageSpec = next(spec for spec in image_specs(load_table()) if spec.name == "centos7")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """podman's service with the tiny image under the name of CentOS 7's."""
    with (
        private_engine("podman") as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("KDRIVER_ENGINE", url)
        found = find_engine()
        assert found is not None and found.name == "podman"
        (made,) = import_images(tiny_root(tmp_path_factory.mktemp("root")), (SPEC,), found, name=SPEC)
        assert made.name == "centos7"
        yield found


def task(folder: Path, script: str, timeout_s: float = 120) -> Task:
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return Task(("sh", "-c", script), work, folder / "log", timeout_s, (), (work,), {})


def test_task_runs_there_without_power(engine: Engine, tmp_path: Path) -> None:
    executor = ContainerExecutor(engine, f"{SPEC.repository}:current", limits=LIMITS)
    script = "id -u > made; touch /etc/x; ls /sys/class/net; cat /proc/self/status"
    assert executor.run(task(tmp_path, script)).ok
    assert (tmp_path / "work" / "made").read_text() == "65534\n"
    said = (tmp_path / "log").read_text()
    assert "Read-only file system" in said
    assert "CapEff:\t0000000000000000" in said and "NoNewPrivs:\t1" in said
    assert "eth0" not in said
    assert engine.connect().containers.list(all=True) == []


def test_stuck_task_is_killed(engine: Engine, tmp_path: Path) -> None:
    done = ContainerExecutor(engine, f"{SPEC.repository}:current", limits=LIMITS).run(task(tmp_path, "sleep 600", 3))
    assert done.timed_out
    assert engine.connect().containers.list(all=True) == []


def test_image_goes_to_a_file_and_back(engine: Engine, tmp_path: Path) -> None:
    from builder.images.build import list_images

    client = engine.connect()
    made = list_images(client, (SPEC,))["centos7"]
    export_images([made], tmp_path / "images.tar", engine)
    (carried,) = read_manifest(tmp_path / "images.tar")
    client.images.remove(made.id, force=True)
    assert list_images(client, (SPEC,)) == {}
    (back,) = import_images(tmp_path / "images.tar", (SPEC,), engine)
    assert (back.tag, back.reference) == (made.tag, carried.reference)
