"""Running other programs: their output goes to a log file, a failure shows its last lines."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ended. status: its exit status, negative for a signal. log: all that it printed."""

    argv: tuple[str, ...]
    status: int
    seconds: float
    log: Path
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended with status 0 in time."""
        return self.status == 0 and not self.timed_out

    def tail(self, lines: int = 8) -> str:
        """The last lines that it printed."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def run_logged(
    argv: Sequence[str],
    *,
    log: Path,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_start: Callable[[int], None] | None = None,
) -> Completed:
    """Run a program with both outputs appended to `log`; never raises for a failure, only OSError
    (FileNotFoundError where the program does not exist). On time-out or an exception here the whole
    process group is killed: nothing is left behind. on_start gets the process's id, which is its group's too:
    another thread can kill the group and so end this call."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("ab") as out:
        out.write(("$ " + " ".join(argv) + "\n").encode())
        out.flush()
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(env) if env is not None else None,
            start_new_session=True,
        )
        timed_out = False
        try:
            if on_start is not None:
                on_start(process.pid)
            status = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            status = _kill_group(process)
        except BaseException:
            _kill_group(process)
            raise
    seconds = time.monotonic() - started
    logger.debug("%s: status %d in %.1f s", argv[0], status, seconds)
    return Completed(tuple(argv), status, seconds, log, timed_out)


@contextlib.contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """In the block SIGTERM ends the work as ctrl-C does: what it started is killed, nothing half-written stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    """What ctrl-C does now; also where SIGINT itself is ignored, as in a shell's background job."""
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(number, frame)
    else:
        raise KeyboardInterrupt


def _kill_group(process: subprocess.Popen[bytes]) -> int:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
