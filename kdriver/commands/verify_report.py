"""How `kdriver verify` tells what came of it: the table or document, the explanations, the exit status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from kdriver.core.console import print_json, print_table, shortened
from kdriver.core.errors import ExitCode
from kdriver.core.verdict import Fault, Outcome, Verdict
from kdriver.verifier.run import Verified
from kdriver.verifier.runs import Run

_DIFFERENCES_SHOWN = 10
_REASON_SHOWN = 160
"""In the table; below it all of it is told."""


def print_verdicts(verified: Sequence[Verified], *, as_json: bool, run: Run | None = None) -> None:
    """A row for each kernel and kind on stdout, of several kernels with a summary; what did not pass is explained on
    stderr, each reason once. run: what was worked on, None where all verdicts were kept."""
    if as_json:
        print_json(verdict_rows(verified))
    else:
        columns = ("kernel", "kind", "verdict", "events", "exact", "between", "unchecked", "seconds", "reason")
        print_table(columns, [_row(one) for one in verified], by_first=True)
    said: set[str] = set()
    for one in verified:
        verdict = one.verdict
        if not verdict.reason or verdict.reason in said:
            continue
        said.add(verdict.reason)
        click.echo(f"kdriver: {verdict.kernel} {verdict.kind}: {verdict.outcome}: {verdict.reason}", err=True)
        for failure in verdict.failures[1:6]:
            click.echo(f"    {failure}", err=True)
        _print_differences(verdict)
        if len(verdict.failures) > 6:
            click.echo(f"    and {len(verdict.failures) - 6} more; --json prints them", err=True)
        if one.console is not None:
            click.echo(f"  console: {one.console}", err=True)
        if one.error is not None and one.error.hint:
            click.echo(f"  hint: {one.error.hint}", err=True)
    if not as_json and len({one.verdict.kernel for one in verified}) > 1:
        click.echo(summary(verified, run))


def summary(verified: Sequence[Verified], run: Run | None) -> str:
    """`801 drivers of 267 kernels: 700 passed (12 kept), 1 failed (wrong events 1), 100 not verified (not built 97);
    3541 s, 6902 CPU s`: as long as this run took."""
    parts = []
    for outcome in Outcome:
        mine = [one for one in verified if one.verdict.outcome is outcome]
        kept = sum(one.kept for one in mine)
        classes = Counter(one.verdict.fault for one in mine if one.verdict.fault)
        notes = [*([f"{kept} kept"] if kept else []), *(f"{name} {count}" for name, count in classes.most_common())]
        if mine:
            parts.append(f"{len(mine)} {outcome}" + (f" ({', '.join(notes)})" if notes else ""))
    kernels = len({one.verdict.kernel for one in verified})
    took = f"; {run.wall_s:.0f} s, {run.cpu_s:.0f} CPU s" if run is not None else ""
    return f"{len(verified)} drivers of {kernels} kernels: {', '.join(parts)}{took}"


def _print_differences(verdict: Verdict) -> None:
    """What the cases expected and what came, side by side."""
    cells = [
        (one.case, f"{one.event}.{one.parameter}".rstrip("."), one.expected, one.seen)
        for one in verdict.differences[:_DIFFERENCES_SHOWN]
    ]
    if cells:
        print_table(("case", "event", "expected", "seen"), cells, stderr=True)


def verdict_rows(verified: Sequence[Verified]) -> list[dict[str, Any]]:
    """What --json prints: the verdicts' records, each with the path of its console log (null: no guest ran), and
    whether it was given before."""
    return [
        {**one.verdict.to_json(), "console": str(one.console) if one.console else None, "kept": one.kept}
        for one in verified
    ]


def _row(one: Verified) -> tuple[str, ...]:
    verdict = one.verdict
    numbers = (verdict.events, verdict.checks.exact, verdict.checks.between, verdict.checks.unchecked)
    return (
        verdict.kernel,
        verdict.kind,
        str(verdict.outcome),
        *(str(number) for number in numbers),
        f"{verdict.seconds:.1f}",
        shortened(verdict.reason, _REASON_SHOWN) or dict(verdict.facts).get("check", "") or _since(one),
    )


def _since(one: Verified) -> str:
    return f"kept: given {one.verdict.date[:16].replace('T', ' ')} UTC" if one.kept else ""


def exit_status(verified: Sequence[Verified]) -> int:
    """0 when all passed; kinds that cannot work on a kernel do not count where another passed. One kernel: what stopped
    it (a package that is not what was promised, a server that did not answer), of builds only where none gave a driver,
    else 5. Several: 1."""
    good = {one.verdict.kernel for one in verified if one.verdict.outcome is Outcome.PASSED}
    bad = [
        one
        for one in verified
        if one.verdict.outcome is not Outcome.PASSED and not (one.lacking and one.verdict.kernel in good)
    ]
    if not bad:
        return int(ExitCode.DONE)
    if len({one.verdict.kernel for one in verified}) > 1:
        return int(ExitCode.SOME_FAILED)
    built = [one for one in verified if one.verdict.fault not in (Fault.NOT_BUILT, Fault.LACKING)]
    if not built:
        codes = {one.error.exit_code for one in bad if one.error is not None}
        codes = (codes - {ExitCode.NOT_FOUND}) or codes
        return int(codes.pop() if len(codes) == 1 else ExitCode.BUILD if codes else ExitCode.VERIFICATION)
    error = next((one.error for one in built if one.error is not None), None)
    return int(error.exit_code if error is not None else ExitCode.VERIFICATION)
