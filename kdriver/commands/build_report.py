"""What `kdriver build` shows: what runs and what ended while it works, and the results when it is done."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from kdriver.core.artifact import twin_note
from kdriver.core.console import print_json, print_table, progress, size
from kdriver.core.errors import ExitCode

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from builder.choice import Toolchains
    from builder.explain import Explanation
    from builder.plan import BuildPlan
    from builder.result import BuildResult

_STEPS = 5
_ENDS = ("built", "cached", "shared", "skipped", "failed")
_COLUMNS = ("kernel", "kind", "outcome", "compiler", "seconds", "size", "reason")
_AGAIN = {"identical": "two builds are identical"}


class Live:
    """A batch while it runs. On a terminal: a bar for the batch, and one for each build that runs now. Else: a line on
    stderr for each result of a batch of several kernels, so that a CI log shows how far it is. Results that took no
    time are only counted."""

    def __init__(self, plans: Sequence[BuildPlan], display: Progress) -> None:
        self._display = display
        self._total = len(plans)
        self._several = len({plan.kernel.key for plan in plans}) > 1
        self._lock = threading.Lock()
        self._tasks: dict[BuildPlan, TaskID] = {}
        self._counts: Counter[str] = Counter()
        self._batch = display.add_task(f"{self._total} drivers", total=self._total, note="") if self._several else None

    def step(self, plan: BuildPlan, step: str) -> None:
        """A step of a plan begins, or the plan has ended; called by the threads that build."""
        with self._lock:
            task = self._tasks.pop(plan, None) if step in _ENDS else self._tasks.get(plan)
            if step in _ENDS:
                if task is not None:
                    self._display.remove_task(task)
            elif task is None:
                title = f"{plan.kernel.release} {plan.kind}"
                self._tasks[plan] = self._display.add_task(title, total=_STEPS, note=step)
            else:
                self._display.update(task, advance=1, note=step)

    def say(self, line: str) -> None:
        """What the whole batch does now."""
        self._display.add_task(line, total=None, note="")

    def result(self, plan: BuildPlan, result: BuildResult) -> None:
        """A plan has ended; called in the order in which they end."""
        self._counts[str(result.outcome)] += 1
        if self._batch is None:
            return
        done = self._counts.total()
        self._display.update(self._batch, completed=done, note=counted(self._counts))
        if result.outcome not in ("built", "failed"):
            return
        line = f"[{done}/{self._total}] {result.outcome}: {result.kernel} {result.kind}, {result.seconds:.1f} s"
        line += f": {result.reason}" if result.reason else ""
        if self._display.console.is_terminal:
            self._display.console.print(line, soft_wrap=True)
        else:
            print(line, file=sys.stderr, flush=True)


@contextmanager
def live(plans: Sequence[BuildPlan]) -> Iterator[Live]:
    """Show a batch while it runs; the display is gone afterwards."""
    with progress() as display:
        yield Live(plans, display)


def counted(counts: Counter[str]) -> str:
    """`3 built, 8 cached, 1 failed`: of the outcomes those that there are, in a fixed order."""
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in _ENDS if counts[outcome])


def print_plans(plans: Sequence[BuildPlan], as_json: bool, toolchains: Toolchains) -> None:
    """What --dry-run prints. As JSON with the toolchain that the index's facts lead to, null where there is none."""
    rows = [plan.to_json() for plan in plans]
    if as_json:
        from builder.explain import explain_from_index

        print_json(
            [{**row, **_toolchain(one)} for row, one in zip(rows, explain_from_index(plans, toolchains), strict=True)]
        )
        return
    columns = ("kernel", "kind", "action", "compiler", "packages", "reason")
    cells = [
        (
            row["kernel"], row["kind"], row["action"], row["compiler"],
            f"{len(row['packages'])} ({size(row['size_bytes'])})" if row["packages"] else "",
            row["reason"] or twin_note(row["twin_of"]),
        )
        for row in rows
    ]  # fmt: skip
    print_table(columns, cells, by_first=True)


def _toolchain(explanation: Explanation) -> dict[str, Any]:
    found = explanation.to_json()
    return {"toolchain": found["toolchain"], "no_toolchain": "" if explanation.plan.skip else found["reason"]}


def print_results(results: Sequence[BuildResult], as_json: bool) -> None:
    """The results on stdout, and on stderr what failed, each reason once, with the number of each outcome."""
    if as_json:
        print_json([result.to_json() for result in results])
    else:
        print_table(_COLUMNS, [_row(result) for result in results], by_first=True)
    said: set[str] = set()
    for result in results:
        # A missing compiler fails all kinds of a kernel alike, and a broken CO-RE probe all kernels: said once.
        if result.exit_code is ExitCode.DONE or result.outcome == "skipped" or result.reason in said:
            continue
        said.add(result.reason)
        click.echo(f"kdriver: {result.kernel} {result.kind}: {result.reason}", err=True)
        for line in result.detail.splitlines():
            click.echo(f"    {line}", err=True)
        if result.log is not None:
            click.echo(f"  log: {result.log}", err=True)
        if result.hint:
            click.echo(f"  hint: {result.hint}", err=True)
    if not as_json and len({result.kernel for result in results}) > 1:
        click.echo(summary(results))


def summary(results: Sequence[BuildResult]) -> str:
    """`60 drivers: 40 built, 19 shared, 1 failed (compile 1); 19 builds saved, 401 s`: as long as these builds took."""
    text = counted(Counter(str(result.outcome) for result in results))
    classes = Counter(result.failure for result in results if result.failure)
    blame = ", ".join(f"{name} {count}" for name, count in classes.most_common())
    shared = [result.record for result in results if result.outcome == "shared" and result.record is not None]
    saved = f"; {len(shared)} builds saved, {sum(one.seconds for one in shared):.0f} s" if shared else ""
    return f"{len(results)} drivers: {text}" + (f" ({blame})" if blame else "") + saved


def _with(result: BuildResult) -> str:
    return f"serves as the one of {result.shared_with.split('/')[2]}" if result.shared_with else ""


def _row(result: BuildResult) -> tuple[str, ...]:
    record = result.record
    return (
        result.kernel,
        str(result.kind),
        str(result.outcome),
        record.compiler if record else "",
        f"{result.seconds:.1f}",
        size(record.size_bytes) if record else "",
        result.reason
        or _with(result)
        or ("and a signed file" if result.signed else "")
        or _AGAIN.get(result.reproduced)
        or twin_note(record.twin_of if record else ""),
    )
