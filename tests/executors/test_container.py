"""Tasks in real containers of dockerd: what they see, what they may do, how they end, and that none stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from kdriver.executors.container import ContainerExecutor, prune_containers
from kdriver.executors.container_plan import LABEL, Limits
from kdriver.executors.engine import Engine, find_engine
from kdriver.executors.task import Executor, StoppedError, Task, ToolMissingError
from tests.fakes.engine import may_run, private_engine, tiny_root

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.skipif(bool(may_run()), reason=may_run())]
IMAGE = "kdriver-test/tiny:1"
LIMITS = Limits(memory_bytes=64 << 20, processes=40)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """dockerd with the tiny image."""
    with (
        private_engine() as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("KDRIVER_ENGINE", url)
        found = find_engine()
        assert found is not None and found.name == "docker"
        root = tiny_root(tmp_path_factory.mktemp("root"))
        found.connect().api.import_image_from_file(str(root), repository=IMAGE.partition(":")[0], tag="1")
        yield found


@pytest.fixture
def executor(engine: Engine) -> Iterator[ContainerExecutor]:
    """An executor whose containers are all gone when the test ends."""
    yield ContainerExecutor(engine, IMAGE, (2, 36), limits=LIMITS)
    assert containers(engine.connect()) == []


def containers(client: DockerClient) -> list[str]:
    there = client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    return [str(one.name) for one in there]


def task(folder: Path, script: str, *, timeout_s: float = 120, reads: tuple[Path, ...] = ()) -> Task:
    work = folder / "work"
    work.mkdir(exist_ok=True)
    env = {"PATH": "/opt/of/the/host", "KD_WORD": "seen"}
    return Task(("sh", "-c", script), work, folder / "log", timeout_s, reads, (work,), env)


def said(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines()[1:]


def test_container_executor_is_an_executor(executor: ContainerExecutor) -> None:
    one: Executor = executor
    assert one.libc() == (2, 36)


def test_task_reads_its_inputs_and_writes_its_outputs_at_their_own_paths(
    executor: ContainerExecutor, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("content\n")
    done = executor.run(task(tmp_path, f"cat {source}/file > made && echo $KD_WORD", reads=(source,)))
    assert done.ok
    assert said(tmp_path) == ["seen"]
    assert (tmp_path / "work" / "made").read_text() == "content\n"


def test_task_below_root_s_home_is_reached_by_a_plain_user(executor: ContainerExecutor, tmp_path: Path) -> None:
    home = Path("/root") / f".kdriver-test-{os.getpid()}"
    (home / "work").mkdir(parents=True)
    try:
        assert executor.run(task(home, "id -u > made; ls /root > seen")).ok
        assert (home / "work" / "made").read_text() == "65534\n"
    finally:
        subprocess.run(["rm", "-rf", str(home)], check=True)


def test_inputs_in_memory_are_reached_by_a_plain_user(executor: ContainerExecutor, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="kdriver-test-", dir="/dev/shm") as folder:
        source = Path(folder) / "tree"
        source.mkdir(mode=0o755)
        (source / "file").write_text("content\n")
        assert executor.run(task(tmp_path, f"cat {source}/file; touch {source}/x", reads=(source,))).status == 1
    assert "content" in said(tmp_path) and any("Read-only file system" in line for line in said(tmp_path))


def test_what_a_task_wrote_is_its_caller_s_afterwards(executor: ContainerExecutor, tmp_path: Path) -> None:
    executor.run(task(tmp_path, "mkdir below; touch below/made; exit 3"))
    paths = [tmp_path / "work", *(tmp_path / "work").rglob("*")]
    assert len(paths) == 3
    assert {(path.stat().st_uid, path.stat().st_gid) for path in paths} == {(os.getuid(), os.getgid())}


def test_task_cannot_write_elsewhere_nor_reach_a_network(executor: ContainerExecutor, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir(mode=0o777)
    script = f"touch {source}/x; touch /etc/x; touch /tmp/ok && echo tmp; ls /sys/class/net; cat /proc/self/status"
    assert executor.run(task(tmp_path, script, reads=(source,))).ok
    lines = said(tmp_path)
    assert sum("Read-only file system" in line for line in lines) == 2
    assert "tmp" in lines
    assert [line for line in lines if line.startswith(("eth", "en", "lo"))] == ["lo"]
    facts = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert facts["Uid"].split() == ["65534"] * 4
    assert facts["NoNewPrivs"] == "1"
    assert {facts[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0000000000000000"}


def test_failure_of_the_command_is_in_the_result(executor: ContainerExecutor, tmp_path: Path) -> None:
    done = executor.run(task(tmp_path, "echo gone wrong; exit 3"))
    assert (done.status, done.ok, done.timed_out, done.tail(1)) == (3, False, False, "gone wrong")


def test_missing_program_is_named_with_a_hint(executor: ContainerExecutor, tmp_path: Path) -> None:
    with pytest.raises(ToolMissingError, match="no-such-program: is not in the image"):
        executor.run(Task(("no-such-program",), Path("/"), tmp_path / "log", 30))


def test_log_is_streamed_while_the_task_runs(executor: ContainerExecutor, tmp_path: Path) -> None:
    thread = threading.Thread(
        target=executor.run, args=(task(tmp_path, "echo first; while ! cat go; do sleep 0.1; done"),)
    )
    thread.start()
    assert waits_for(lambda: (tmp_path / "log").exists() and "first" in said(tmp_path))
    assert thread.is_alive()
    (tmp_path / "work" / "go").touch()
    thread.join(60)
    assert not thread.is_alive()


def test_stuck_task_is_killed_and_reported(executor: ContainerExecutor, tmp_path: Path) -> None:
    started = time.monotonic()
    done = executor.run(task(tmp_path, "trap '' TERM INT; sleep 600", timeout_s=2))
    assert done.timed_out and not done.ok
    assert time.monotonic() - started < 100


def test_too_much_memory_is_killed_and_the_log_says_the_limit(executor: ContainerExecutor, tmp_path: Path) -> None:
    done = executor.run(task(tmp_path, "tail /dev/zero"))
    assert done.status == 137 and not done.timed_out
    assert done.tail(1) == "kdriver: error: killed; the limit is 64 MB of memory"


def test_too_many_processes_are_refused(executor: ContainerExecutor, tmp_path: Path) -> None:
    script = "n=0; while [ $n -lt 100 ]; do sleep 3 & n=$((n+1)); done; wait"
    assert not executor.run(task(tmp_path, script)).ok
    assert any("annot fork" in line for line in said(tmp_path))


def test_stop_kills_what_runs_and_refuses_what_comes(engine: Engine, tmp_path: Path) -> None:
    executor = ContainerExecutor(engine, IMAGE, limits=LIMITS)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            executor.run(task(tmp_path, "echo runs; sleep 600"))
        except StoppedError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert waits_for(lambda: (tmp_path / "log").exists() and "runs" in said(tmp_path))
    executor.stop()
    thread.join(60)
    assert [str(one) for one in raised] == ["sh: was stopped"]
    with pytest.raises(StoppedError, match="was not started"):
        executor.run(task(tmp_path, "true"))
    assert containers(engine.connect()) == []


def test_container_of_a_killed_run_is_removed_by_the_next(engine: Engine, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from kdriver.executors.container import ContainerExecutor as C;"
        "from kdriver.executors.engine import find_engine; from kdriver.executors.task import Task;"
        f"C(find_engine(), {IMAGE!r}).run(Task(('sleep', '600'), Path('/'), Path(sys.argv[1]), 600))"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "log")], env=dict(os.environ)) as child:
        client = engine.connect()
        assert waits_for(lambda: bool(containers(client)))
        assert prune_containers(client) == 0, "the container of a living run was removed"
        child.send_signal(signal.SIGKILL)
    assert len(containers(client)) == 1
    assert prune_containers(client) == 1
    assert containers(client) == []


def waits_for(condition: object, seconds: float = 120) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False
