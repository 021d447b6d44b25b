"""Runs one guest to its end: QEMU in a session of its own, watched stage by stage, killed when time is up, when this
process is interrupted, and when it dies. What the guest said is read as it comes."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kdriver.verifier.initramfs import write_initramfs
from kdriver.verifier.machine import Accelerator, MachinePlan, machine_argv
from kdriver.verifier.plan import GuestPlan, GuestTools, Limits, guest_entries
from kdriver.verifier.results import GuestResult, ResultError, ResultReader

logger = logging.getLogger(__name__)

_POLL_S = 0.05
_LEAST_FREE_BYTES = 4096
_CONSOLE_TAIL_BYTES = 200_000
# What a kernel prints when it breaks; the first such line tells most.
_CRASH = re.compile(
    r"(Kernel panic - not syncing.*|Oops: .*|BUG: .*|general protection fault.*|"
    r"Unable to mount root fs.*|double fault.*|Internal error.*)"
)
_STAMP = re.compile(r"^\[ *\d+\.\d+\](\[[^\]]*\])? ?")


class Ending(StrEnum):
    """How a guest ended."""

    COMPLETE = "complete"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    QEMU_FAILED = "qemu failed"
    """It was killed, did not start, or could not write: whatever the driver did, this is the machine's fault."""
    GARBLED = "garbled"


@dataclass(frozen=True, slots=True)
class GuestRun:
    """A guest that ended. stage: the one it was in. driver: whose turn it was, empty before the first.

    results_sha256: of all that came over the result channel, and of what it pointed to in shared memory.
    reason: one line on why it did not complete. boot_seconds: until /init spoke, 0 if it never did.
    """

    ending: Ending
    result: GuestResult
    reason: str
    seconds: float
    boot_seconds: float
    console: Path
    accelerator: Accelerator = Accelerator.TCG
    results_sha256: str = ""

    @property
    def booted(self) -> bool:
        """Whether /init spoke."""
        return bool(self.result.release)

    @property
    def stage(self) -> str:
        """The stage it was last in, `boot` before /init spoke."""
        return self.result.stage


def boot_guest(
    plan: GuestPlan,
    tools: GuestTools,
    machine: MachinePlan,
    *,
    stop: threading.Event | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> GuestRun:
    """Write the root file system that the machine names, and run the guest."""
    machine.initramfs.write_bytes(write_initramfs(guest_entries(plan, tools)))
    return run_guest(machine, plan.limits, stop=stop, on_stage=on_stage)


def run_guest(
    machine: MachinePlan,
    limits: Limits,
    *,
    stop: threading.Event | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> GuestRun:
    """Boot and wait. Never raises for what a guest does; KeyboardInterrupt when `stop` is set by another thread.

    on_stage: told of each new stage (`boot`, `kmod load`). The console and results files are emptied first.
    Nothing of QEMU is left when this returns or raises.
    """
    for path in (machine.console, machine.results):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    machine.bulk.unlink(missing_ok=True)
    errors = machine.results.with_name("qemu.err")
    argv = dying_with_us(machine_argv(machine))
    logger.debug("%s", " ".join(argv))
    with errors.open("wb") as stderr:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, start_new_session=True)
    watch = _Watch(machine, limits, errors, on_stage or (lambda stage: None))
    try:
        while process.poll() is None:
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt
            if watch.look():
                break
            time.sleep(_POLL_S)
        watch.look(last=True)
    finally:
        _kill_group(process)
    return watch.ended(process.returncode)


def dying_with_us(argv: list[str]) -> list[str]:
    """The same command line, killed by the kernel when the thread that started it is gone, where util-linux can
    arrange for that: a killed verifier leaves no guest behind."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *argv] if setpriv else argv


class _Watch:
    """What is known about a running guest."""

    def __init__(self, machine: MachinePlan, limits: Limits, errors: Path, on_stage: Callable[[str], None]) -> None:
        self.machine = machine
        self.limits = limits
        self.errors = errors
        self.on_stage = on_stage
        on_stage("boot")
        self.reader = ResultReader(machine.bulk)
        self.started = time.monotonic()
        self.stage_started = self.started
        self.seen_stage = ("", "boot")
        self.boot_seconds = 0.0
        self.offset = 0
        self.garbled = ""
        self.timed_out = ""

    def look(self, *, last: bool = False) -> bool:
        """Read what came; true when there is no sense in waiting on."""
        with self.machine.results.open("rb") as stream:
            stream.seek(self.offset)
            chunk = stream.read()
        self.offset += len(chunk)
        try:
            self.reader.feed(chunk)
            if last and self.reader.result.ended:
                self.reader.finish()
        except ResultError as error:
            self.garbled = self.garbled or error.message
            return True
        now = time.monotonic()
        result = self.reader.result
        if result.release and not self.boot_seconds:
            self.boot_seconds = now - self.started
        stage = (result.driver, result.stage)
        if stage != self.seen_stage:
            self.seen_stage, self.stage_started = stage, now
            self.on_stage(" ".join(part for part in stage if part))
        if not last:
            self._check_time(now)
        return bool(self.timed_out)

    def _check_time(self, now: float) -> None:
        stage_s = self.limits.of_stage(self.seen_stage[1]) if self.seen_stage[1] != "boot" else self.limits.boot_s
        name = " ".join(part for part in self.seen_stage if part)
        if now - self.started > self.limits.total_s:
            self.timed_out = f"the guest was still in stage {name} after {self.limits.total_s:g} s in all"
        elif now - self.stage_started > stage_s:
            self.timed_out = f"stage {name} took longer than {stage_s:g} s"

    def ended(self, status: int | None) -> GuestRun:
        result = self.reader.result
        ending, reason = self._ending(status)
        return GuestRun(
            ending,
            result,
            reason,
            time.monotonic() - self.started,
            self.boot_seconds,
            self.machine.console,
            self.machine.accelerator,
            self._sha256(),
        )

    def _sha256(self) -> str:
        """Of the channel, and of what it pointed to."""
        digest = hashlib.sha256(self.machine.results.read_bytes())
        digest.update(self.reader.bulk_sha256.digest())
        return digest.hexdigest()

    def _ending(self, status: int | None) -> tuple[Ending, str]:
        result = self.reader.result
        if self.garbled and self._full_folder() is None:
            return Ending.GARBLED, self.garbled
        if result.ended and not self.garbled:
            return Ending.COMPLETE, ""
        crash = crash_line(self.machine.console)
        full = self._full_folder()
        if full is not None:
            return Ending.QEMU_FAILED, f"no space is left in {full}"
        if self.timed_out:
            return Ending.TIMED_OUT, self.timed_out + (f"; its console says: {crash}" if crash else "")
        stage = " ".join(part for part in (result.driver, result.stage) if part)
        if not crash and status not in (0, None):
            said = self.errors.read_text(errors="replace").strip().splitlines()
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            return Ending.QEMU_FAILED, said[-1] if said else f"QEMU {how} in stage {stage}"
        return Ending.CRASHED, f"the guest ended in stage {stage}: {crash or 'its console says nothing'}"

    def _full_folder(self) -> Path | None:
        """Where QEMU could not write what the guest said."""
        folders = (self.machine.console.parent, self.machine.results.parent)
        return next((folder for folder in folders if shutil.disk_usage(folder).free < _LEAST_FREE_BYTES), None)


def crash_line(console: Path) -> str:
    """The first line of the console that tells of a broken kernel, without its time stamp; empty without one."""
    with console.open("rb") as stream:
        stream.seek(max(0, console.stat().st_size - _CONSOLE_TAIL_BYTES))
        text = stream.read().decode(errors="replace")
    for line in text.splitlines():
        found = _CRASH.search(_STAMP.sub("", line.strip()))
        if found:
            return found[1].strip()
    return ""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
