"""A scheduler and two worker processes, each with a cache of its own: 12 kernels are built, one worker is killed in the
middle, and none is lost."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.cluster.client import Cluster
from builder.plan import plan_builds
from builder.run import run_builds
from builder.source import load_source
from kdriver.cli import run
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ExitCode
from tests.fakes.farm import Farm, waits_for
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite, TinyKernel
from tests.fakes.tls import make_certificates

pytestmark = pytest.mark.slow
KERNELS = 12
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def farm(site: BuildSite, tmp_path: Path) -> Iterator[Farm]:
    with Farm(tmp_path, site.environment()) as made:
        yield made


def build(farm: Farm, *words: str) -> int:
    where = ["--executor", "cluster", "--scheduler", farm.address]
    return run(["build", "--driver-src", str(TOY_DRIVER), "--distro", "debian12", *where, *words])


def results(capture: Capture) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capture.readouterr().out)
    return found


def test_none_of_twelve_kernels_is_lost_when_a_worker_is_killed(site: BuildSite, farm: Farm, capsys: Capture) -> None:
    for number in range(KERNELS):
        site.add(TinyKernel(release=f"1.2.{number}-tiny-amd64", version=f"1.2.{number}-1"))
    farm.worker("one", "-j", "2")
    farm.worker("two", "-j", "2")
    killed_after: list[int] = []

    def kill() -> None:
        if waits_for(lambda: farm.built_by("one") >= 2 and farm.built_by("two") >= 1):
            farm.kill("one")
            killed_after.append(len(site.artifacts()))

    killer = threading.Thread(target=kill)
    killer.start()
    status = build(farm, "--kind", "kmod", "--json")
    killer.join()
    found = results(capsys)
    assert status == ExitCode.DONE, found
    assert killed_after and killed_after[0] < KERNELS * 2, "the worker was killed when all was done"
    assert len(found) == KERNELS
    assert {one["outcome"] for one in found} <= {"built", "cached"}
    assert len({one["sha256"] for one in found}) == KERNELS
    for one in found:
        file = Path(one["artifact"])
        assert file.is_relative_to(site.cache) and file.stat().st_size == one["size_bytes"]
        assert json.loads(file.with_name("record.json").read_text())["kernel"] == one["kernel"]
    assert farm.built_by("two") > 0
    assert (farm._folder / "cache-two" / "headers").is_dir(), "a worker keeps its own headers"
    assert not (site.cache / "headers").exists()

    assert build(farm, "--kind", "kmod", "--json") == ExitCode.DONE
    again = results(capsys)
    assert [one["sha256"] for one in again] == [one["sha256"] for one in found]
    assert {one["outcome"] for one in again} == {"cached"}


def test_a_failure_on_a_worker_is_told_as_one_here(site: BuildSite, farm: Farm, capsys: Capture) -> None:
    source = site.driver_source()
    (source / "kmod" / "toy.c").write_text("#error on purpose\n")
    site.add()
    farm.worker("one", "-j", "1")
    where = ["--executor", "cluster", "--scheduler", farm.address]
    words = ["build", "--driver-src", str(source), "--distro", "debian12", "--kind", "kmod", "--json", *where]
    assert run(words) == ExitCode.BUILD
    (found,) = results(capsys)
    assert (found["outcome"], found["failure"]) == ("failed", "compile")
    assert "on purpose" in found["reason"]
    assert "on purpose" in Path(found["log"]).read_text()


def test_a_build_that_no_worker_can_take_any_more_fails_instead_of_waiting(
    site: BuildSite, farm: Farm, capsys: Capture
) -> None:
    kernel = site.add()
    source = load_source(site.driver_source())
    farm.worker("one", "-j", "1")
    cluster = Cluster(farm.address, source, patience_s=1)
    try:
        assert cluster.slots() == 1
        farm.kill("one")
        assert waits_for(lambda: not cluster.resources())
        (found,) = run_builds(plan_builds([kernel], [DriverKind.KMOD], source), source, cluster=cluster)
    finally:
        cluster.close()
    assert (found.outcome, found.failure) == ("failed", "worker")
    assert found.reason == "worker: no worker has a place for a build any more"
    assert found.hint == f"Start one: kdriver worker --scheduler {farm.address}"


def test_a_cluster_without_a_worker_says_so_before_anything_is_submitted(
    site: BuildSite, farm: Farm, capsys: Capture
) -> None:
    site.add()
    assert build(farm) == ExitCode.SOME_FAILED
    assert capsys.readouterr().err.splitlines() == [
        f"kdriver: cluster {farm.address}: it has no worker",
        f"  hint: Start one: kdriver worker --scheduler {farm.address}",
    ]


def test_a_scheduler_that_is_not_there_is_one_line_with_a_hint(site: BuildSite, capsys: Capture) -> None:
    site.add()
    words = ["build", "--driver-src", str(TOY_DRIVER), "--distro", "debian12", "--executor", "cluster"]
    assert run([*words, "--scheduler", "tcp://127.0.0.1:9"]) == ExitCode.SOME_FAILED
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("kdriver: cluster tcp://127.0.0.1:9: its scheduler does not answer")
    assert said[1].startswith("  hint: Start it: kdriver scheduler")
    assert run(words) == ExitCode.USAGE


def test_with_certificates_nobody_without_one_gets_in(
    site: BuildSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    site.add()
    made = make_certificates(tmp_path)
    files = {"KDRIVER_TLS_CA": made.authority, "KDRIVER_TLS_CERT": made.client, "KDRIVER_TLS_KEY": made.client_key}
    with Farm(tmp_path, {**site.environment(), **{name: str(file) for name, file in files.items()}}) as farm:
        assert farm.address.startswith("tls://")
        assert build(farm) == ExitCode.SOME_FAILED
        assert "it wants a certificate, and none is named" in capsys.readouterr().err
        plain = ["--executor", "cluster", "--scheduler", farm.address.replace("tls://", "tcp://")]
        assert run(["build", "--distro", "debian12", *plain]) == ExitCode.SOME_FAILED
        assert "its scheduler does not answer" in capsys.readouterr().err
        for name, file in files.items():
            monkeypatch.setenv(name, str(file))
        assert build(farm) == ExitCode.SOME_FAILED
        assert f"cluster {farm.address}: it has no worker" in capsys.readouterr().err


def test_a_worker_ends_when_its_scheduler_is_gone(farm: Farm) -> None:
    farm.worker("one")
    farm.scheduler.send_signal(signal.SIGKILL)
    assert farm.workers["one"].wait(120) == 0
