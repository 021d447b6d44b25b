"""What each build of a batch takes of the processors: of kdriver in the build's thread, and of every program that the
build starts."""

from __future__ import annotations

import re
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder.plan import BuildPlan
from builder.result import BuildOutcome
from kdriver.core.process import Completed
from kdriver.executors.task import Executor, Task

_TIMED = ("bash", "-c", '"$@"; status=$?; times >"$0"; exit $status')
"""Runs a command and writes what it and all that it started took of the processors."""
_PREPARING = {"headers": "unpack", "layouts": "probe", "compile probes": "probe"}
"""What the steps of a build are counted as; all others are the build."""


@dataclass(slots=True)
class Meter:
    """Which build took how much CPU time in which of its steps; the builds may run at the same time in threads."""

    spent: dict[tuple[BuildPlan, str], float] = field(default_factory=dict)
    _here: threading.local = field(default_factory=threading.local)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, plan: BuildPlan, step: str) -> None:
        """A step of a plan begins in this thread, or the plan has ended there: a StepListener."""
        now = time.thread_time() + self.children_s()
        before = getattr(self._here, "begun", None)
        if before is not None:
            of, name, since = before
            with self._lock:
                self.spent[of, name] = self.spent.get((of, name), 0.0) + now - since
        ended = step in tuple(BuildOutcome)
        self._here.begun = None if ended else (plan, _PREPARING.get(step, "build"), now)

    def children_s(self) -> float:
        """What the programs took that this thread ran so far."""
        return float(getattr(self._here, "children", 0.0))

    def add(self, cpu_s: float) -> None:
        """A program that this thread ran has ended."""
        self._here.children = self.children_s() + cpu_s

    def total(self, name: str) -> float:
        """Of all builds in one part: unpack, probe or build."""
        return sum(cpu_s for (_, part), cpu_s in self.spent.items() if part == name)

    def of_plan(self, plan: BuildPlan) -> float:
        """Of one build, all parts."""
        return sum(cpu_s for (of, _), cpu_s in self.spent.items() if of == plan)


@dataclass(slots=True)
class MeteredExecutor:
    """Runs tasks as another executor does, each below a shell that tells their CPU time."""

    inner: Executor
    meter: Meter

    def run(self, task: Task) -> Completed:
        """See Executor.run."""
        with tempfile.NamedTemporaryFile() as told:
            completed = self.inner.run(replace(task, argv=(*_TIMED, told.name, *task.argv)))
            self.meter.add(read_times(Path(told.name).read_text()))
        return completed

    def libc(self) -> tuple[int, int]:
        """See Executor.libc."""
        return self.inner.libc()

    def stop(self) -> None:
        """See Executor.stop."""
        self.inner.stop()


def read_times(text: str) -> float:
    """Seconds of what `times` of a shell prints: user and system time of itself, and of what it started."""
    return sum(int(minutes) * 60 + float(seconds) for minutes, seconds in re.findall(r"(\d+)m([\d.]+)s", text))
