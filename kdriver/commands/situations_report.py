"""Prints what the event cases tried."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from kdriver.core.console import print_json, print_table
from kdriver.verifier.situations import Combination, Coverage


def print_coverage(coverage: Coverage, event: str | None, *, as_json: bool) -> None:
    """A line an event, or of one event a line a combination; and what is missing, in any case."""
    if as_json:
        print_json(_document(coverage, event))
        return
    if event is not None:
        _print_event(coverage, event)
        return
    counts = {
        "tried": Counter(one.event for one in coverage.tried),
        "reasons": Counter(one.event for one in coverage.untried),
        "missing": Counter(one.event for one in coverage.missing),
    }
    names = sorted({name for count in counts.values() for name in count})
    rows = [(name, *(str(count[name] or "-") for count in counts.values())) for name in names]
    print_table(("event", "tried", "with a reason", "missing"), rows)
    click.echo(
        f"\n{len(names)} events: {len(coverage.tried)} combinations tried, "
        f"{len(coverage.untried)} not tried with a reason, {len(coverage.missing)} missing"
    )
    for one in coverage.missing:
        click.echo(f"missing: {_words(one)}")


def _print_event(coverage: Coverage, event: str) -> None:
    rows = []
    for one, cases in coverage.tried.items():
        if one.event == event:
            rows.append((one.param or "(result)", one.abi, one.situation, " ".join(cases)))
    for one, reason in coverage.untried.items():
        if one.event == event:
            rows.append((one.param or "(result)", one.abi, one.situation, f"not tried: {reason}"))
    for one in coverage.missing:
        if one.event == event:
            rows.append((one.param or "(result)", one.abi, one.situation, "missing"))
    print_table(("parameter", "calls", "situation", "cases"), rows)


def _words(one: Combination) -> str:
    return f"{one.event}{'.' if one.param else ''}{one.param} {one.situation} ({one.abi})"


def _document(coverage: Coverage, event: str | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for one, cases in coverage.tried.items():
        rows.append({**_fields(one), "outcome": "tried", "cases": list(cases)})
    for one, reason in coverage.untried.items():
        rows.append({**_fields(one), "outcome": "not tried", "reason": reason})
    rows += [{**_fields(one), "outcome": "missing"} for one in coverage.missing]
    return [row for row in rows if event in (None, row["event"])]


def _fields(one: Combination) -> dict[str, str]:
    return {"event": one.event, "abi": one.abi, "param": one.param, "situation": str(one.situation)}
