"""One piece of work, and what runs it: the interface that every executor serves.

An executor gets a Task: a command line with everything that it reads and writes, so that one which runs elsewhere
knows what to carry there and back. The local executor runs it on this machine; the container executor mounts `reads`
read-only and `writes` writable at the same paths into a container of an image that holds `toolchain`, without network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kdriver.core.errors import BuildError
from kdriver.core.process import Completed


class ToolMissingError(BuildError):
    """A program that a task needs is not installed."""


class StoppedError(BuildError):
    """The work was stopped before it ended."""


@dataclass(frozen=True, slots=True)
class Task:
    """A command to run once.

    argv: absolute paths or names on the executor's PATH. cwd: where. log: its output is appended here.
    reads: files and folders that it needs and must not change. writes: folders that it may change.
    env: the whole environment; nothing is inherited, so that a build does not depend on who started it.
    toolchain: which compilers it needs (`gcc-12`), for an executor that chooses an image by it.
    """

    argv: tuple[str, ...]
    cwd: Path
    log: Path
    timeout_s: float
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    toolchain: str = ""


class Executor(Protocol):
    """Runs tasks; may be called from several threads at once."""

    def run(self, task: Task) -> Completed:
        """Run a task to its end. A failure of the command is in the result; raises ToolMissingError when its
        program does not exist, StoppedError after stop()."""
        ...

    def libc(self) -> tuple[int, int]:
        """The version of the C library that tasks run with: (2, 36). (0, 0) when it is no glibc."""
        ...

    def stop(self) -> None:
        """Kill what runs and refuse what comes: every run() returns or raises soon after."""
        ...
