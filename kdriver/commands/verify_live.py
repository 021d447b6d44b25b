"""What `kdriver verify` shows while it works: how far the batch is, what runs now, and each kernel as it ends."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from kdriver.core.console import progress, shortened
from kdriver.core.verdict import Outcome
from kdriver.verifier.run import Verified

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_REASON_SHOWN = 160


class Live:
    """A batch while it runs. On a terminal: a bar for the batch and a line for each kernel that is worked on. Else a
    line on stderr for each kernel of a batch of several, so that a CI log shows how far it is. Called by the threads
    that work."""

    def __init__(self, kernels: int, display: Progress) -> None:
        self._display = display
        self._total = kernels
        self._done = 0
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._batch = display.add_task(f"{kernels} kernels", total=kernels, note="") if kernels > 1 else None

    def stage(self, kernel: str, stage: str) -> None:
        """A kernel has come to a stage."""
        with self._lock:
            if kernel not in self._tasks:
                self._tasks[kernel] = self._display.add_task(kernel.split("/")[2], total=None, note=stage)
            else:
                self._display.update(self._tasks[kernel], note=stage)

    def done(self, kernel: str, release: str, verified: Sequence[Verified], seconds: float) -> None:
        """A kernel has its verdicts."""
        with self._lock:
            self._done += 1
            self._counts.update(str(one.verdict.outcome) for one in verified)
            task = self._tasks.pop(kernel, None)
            if task is not None:
                self._display.remove_task(task)
            if self._batch is None:
                return
            self._display.update(self._batch, completed=self._done, note=_counted(self._counts))
            line = f"[{self._done}/{self._total}] {kernel_line(release, verified, seconds)}"
            if self._display.console.is_terminal:
                self._display.console.print(line, soft_wrap=True)
            else:
                print(line, file=sys.stderr, flush=True)

    def stopped(self, some_cases: object) -> None:
        """A person stopped the batch."""
        if self._batch is None:
            return
        click.echo(f"kdriver: stopped after {self._done} of {self._total} kernels", err=True)
        if not some_cases:
            click.echo("  hint: Run the same with --changed; it goes on where this one stopped.", err=True)


@contextmanager
def live(kernels: int) -> Iterator[Live]:
    """Show a batch while it runs; the display is gone afterwards."""
    with progress() as display:
        yield Live(kernels, display)


def kernel_line(release: str, verified: Sequence[Verified], seconds: float) -> str:
    """`6.1.0-56-amd64: kmod passed, bpf passed, core failed, 7121 events, 41 s: core: <reason>`, in one line."""
    told = ", ".join(f"{one.verdict.kind} {one.verdict.outcome}" for one in verified)
    events = max((one.verdict.events for one in verified), default=0)
    bad = next((one.verdict for one in verified if one.verdict.outcome is not Outcome.PASSED and not one.lacking), None)
    why = f": {bad.kind}: {shortened(bad.reason, _REASON_SHOWN)}" if bad is not None else ""
    return f"{release}: {told}{f', {events} events' if events else ''}, {seconds:.0f} s{why}"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[str(outcome)]} {outcome}" for outcome in Outcome if counts[str(outcome)])
