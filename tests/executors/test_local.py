"""The local executor runs a task as it is described, reports failure as a result, and can be stopped."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from kdriver.core.errors import ExitCode
from kdriver.executors.local import LocalExecutor
from kdriver.executors.task import Executor, StoppedError, Task, ToolMissingError


def task(folder: Path, *argv: str, timeout_s: float = 30) -> Task:
    return Task(argv, folder, folder / "log", timeout_s, env={"PATH": os.environ["PATH"], "KD_WORD": "seen"})


def test_local_executor_is_an_executor() -> None:
    executor: Executor = LocalExecutor()
    assert executor.libc() >= (2, 17)


def test_task_sees_only_its_own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_SECRET", "hidden")
    assert LocalExecutor().run(task(tmp_path, "env")).ok
    said = (tmp_path / "log").read_text()
    assert "KD_WORD=seen" in said
    assert "KD_SECRET" not in said


def test_failure_of_the_command_is_in_the_result(tmp_path: Path) -> None:
    completed = LocalExecutor().run(task(tmp_path, "sh", "-c", "echo gone wrong; exit 3"))
    assert completed.status == 3
    assert not completed.ok
    assert completed.tail(1) == "gone wrong"


def test_missing_program_is_named_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ToolMissingError, match="no-such-program: is not installed") as caught:
        LocalExecutor().run(task(tmp_path, "no-such-program"))
    assert caught.value.hint == "Install the package that holds no-such-program."
    assert caught.value.exit_code is ExitCode.BUILD


def test_time_out_kills_the_whole_group(tmp_path: Path) -> None:
    completed = LocalExecutor().run(task(tmp_path, "sh", "-c", "sleep 60 & echo $! > child; wait", timeout_s=0.5))
    assert completed.timed_out
    assert _ended(int((tmp_path / "child").read_text()))


def test_stop_kills_what_runs_and_refuses_what_comes(tmp_path: Path) -> None:
    executor = LocalExecutor()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            executor.run(task(tmp_path, "sh", "-c", "echo $$ > pid; exec sleep 60"))
        except StoppedError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.02)
    executor.stop()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert len(raised) == 1
    with pytest.raises(StoppedError, match="was not started"):
        executor.run(task(tmp_path, "true"))


def _ended(pid: int) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False
