"""A cluster of processes on this machine: a scheduler and workers, each with a cache of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO


class Farm:
    """The processes of a cluster; all end with the context."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._stack = ExitStack()
        self.workers: dict[str, subprocess.Popen[str]] = {}
        self.address = ""

    def __enter__(self) -> Farm:
        self.scheduler = self._start("scheduler", "scheduler", "--port", "0")
        assert self.scheduler.stdout is not None
        self.address = self.scheduler.stdout.readline().strip()
        assert "://127.0.0.1:" in self.address, (self._folder / "scheduler.log").read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def worker(self, name: str, *words: str) -> None:
        """Start a worker and wait until it is ready."""
        cache = self._folder / f"cache-{name}"
        environment = {"KDRIVER_CACHE": str(cache)}
        options = ["--scheduler", self.address, "--name", name, "--executor", "local", "--death-timeout", "5"]
        self.workers[name] = self._start(name, "worker", *options, *words, **environment)
        log = self._folder / f"{name}.log"
        assert waits_for(lambda: f"{name} at tcp://" in log.read_text()), log.read_text()

    def built_by(self, name: str) -> int:
        """How many artifacts a worker's own cache holds."""
        return len(list((self._folder / f"cache-{name}" / "artifacts").glob("*/record.json")))

    def kill(self, name: str) -> None:
        """As when its machine loses power."""
        self.workers[name].send_signal(signal.SIGKILL)
        self.workers[name].wait()

    def _start(self, name: str, *words: str, **environment: str) -> subprocess.Popen[str]:
        log: IO[str] = self._stack.enter_context((self._folder / f"{name}.log").open("w"))
        process = subprocess.Popen(
            [sys.executable, "-m", "kdriver.cli", *words],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **self._environment, **environment},
        )
        self._stack.callback(_end, process)
        return process


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def waits_for(condition: object, seconds: float = 120) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False
