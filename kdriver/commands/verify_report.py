"""How `kdriver verify` tells what came of it: the table or document, the explanations, the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from kdriver.core.console import print_json, print_table
from kdriver.core.errors import ExitCode
from kdriver.core.verdict import Outcome, Verdict
from kdriver.verifier.run import Verified

_DIFFERENCES_SHOWN = 10


def print_verdicts(verified: Sequence[Verified], *, as_json: bool) -> None:
    """A row for each kernel and kind on stdout; what did not pass is explained on stderr, each reason once."""
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


def status_line(one: Verified) -> str:
    """A result as it comes, in one line."""
    verdict = one.verdict
    told = f"{verdict.events} events, {verdict.seconds:.1f} s" if verdict.events else verdict.fault
    return f"{verdict.kernel} {verdict.kind}: {verdict.outcome} ({told})"


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
        verdict.reason or dict(verdict.facts).get("check", ""),
    )


def exit_status(verified: Sequence[Verified]) -> int:
    """0 when all passed; kinds that cannot work on a kernel do not count where another passed. One kernel: what stopped
    it (a package that is not what was promised, a server that did not answer), else 5. Several: 1."""
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
    error = next((one.error for one in bad if one.error is not None), None)
    return int(error.exit_code if error is not None else ExitCode.VERIFICATION)
