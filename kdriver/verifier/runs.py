"""What runs of the verifier took: one line for each in `<cache>/verdicts/runs.jsonl`, for who reads the coverage."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kdriver.core.paths import cache_dir
from kdriver.version import VERSION


@dataclass(frozen=True, slots=True)
class Run:
    """One run. began, ended: UTC as verdicts have it. kernels: that were worked on. jobs: at a time. cpus: that the run
    could use. wall_s; cpu_s: of the verifier and of all that it started and waited for (compilers, QEMU); what a
    container engine ran for it is not in it. machine_s: that all processors of the machine were busy, for whomever.
    kdriver: its version."""

    began: str
    ended: str
    kernels: int
    jobs: int
    cpus: int
    wall_s: float
    cpu_s: float
    kdriver: str
    machine_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """A flat object; keys are this class's fields."""
        return asdict(self)


class Clock:
    """A run that goes on. done: how many kernels ended so far. run: what it took, once it has ended."""

    def __init__(self, kernels: int, jobs: int) -> None:
        self.kernels = kernels
        self.jobs = jobs
        self.done = 0
        self.run: Run | None = None


@contextlib.contextmanager
def clock_run(kernels: int, jobs: int, *, noted: bool = True) -> Iterator[Clock]:
    """Time what happens in the block, and note it at its end, interrupted or not, with the kernels that it came to.
    noted: False for a run of which no verdict is kept."""
    clock = Clock(kernels, jobs)
    began, wall, cpu, busy = _now(), time.monotonic(), _cpu_seconds(), _busy_seconds()
    try:
        yield clock
    finally:
        clock.run = Run(
            began,
            _now(),
            clock.done,
            jobs,
            len(os.sched_getaffinity(0)),
            round(time.monotonic() - wall, 1),
            round(_cpu_seconds() - cpu, 1),
            VERSION,
            round(_busy_seconds() - busy, 1),
        )
        if clock.done and noted:
            _append(clock.run)


def read_runs(since: str = "") -> tuple[Run, ...]:
    """All runs that began at that time or later, oldest first; lines that are none are left out."""
    try:
        lines = _path().read_text().splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError):
            run = Run(**json.loads(line))
            if run.began >= since:
                found.append(run)
    return tuple(found)


def _path() -> Path:
    return cache_dir() / "verdicts" / "runs.jsonl"


def _append(run: Run) -> None:
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as out:
        out.write(json.dumps(run.to_json()) + "\n")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _busy_seconds() -> float:
    """Of all processors together, since the machine started: user, nice, system, irq and softirq of /proc/stat."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    ticks = [int(word) for word in words]
    return sum(ticks[place] for place in (0, 1, 2, 5, 6)) / os.sysconf("SC_CLK_TCK")
