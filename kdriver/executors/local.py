"""The local executor: a task is a process of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

from kdriver.core.process import Completed, run_logged
from kdriver.executors.task import StoppedError, Task, ToolMissingError


class LocalExecutor:
    """Runs tasks on this machine, each in a process group of its own that stop() kills."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._stopped = False

    def run(self, task: Task) -> Completed:
        """See Executor.run."""
        groups: list[int] = []

        def started(pid: int) -> None:
            with self._lock:
                groups.append(pid)
                self._groups.add(pid)
                stopped = self._stopped
            if stopped:
                self._kill(pid)

        if self._stopped:
            raise StoppedError(f"{task.argv[0]}: was not started: the work was stopped")
        try:
            completed = run_logged(
                task.argv, log=task.log, timeout_s=task.timeout_s, cwd=task.cwd, env=task.env, on_start=started
            )
        except FileNotFoundError as error:
            raise ToolMissingError(
                f"{task.argv[0]}: is not installed", hint=f"Install the package that holds {task.argv[0]}."
            ) from error
        finally:
            with self._lock:
                self._groups.difference_update(groups)
        if self._stopped and not completed.ok:
            raise StoppedError(f"{task.argv[0]}: was stopped")
        return completed

    def libc(self) -> tuple[int, int]:
        """See Executor.libc."""
        family, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        parts = version.split(".")
        return (int(parts[0]), int(parts[1])) if family == "glibc" and len(parts) >= 2 else (0, 0)

    def stop(self) -> None:
        """See Executor.stop."""
        with self._lock:
            self._stopped = True
            groups = tuple(self._groups)
        for group in groups:
            self._kill(group)

    @staticmethod
    def _kill(group: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
