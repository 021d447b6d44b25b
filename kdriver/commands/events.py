"""`kdriver events`: the catalogue of events."""

from __future__ import annotations

import difflib
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdriver.core.console import print_json, print_table
from kdriver.core.errors import ExitCode, NotFoundError

if TYPE_CHECKING:
    from kdriver.catalogue.model import Catalogue, Event


@click.group(name="events")
def command() -> None:
    """The catalogue of events.

    \b
    Examples:
      kdriver events list
      kdriver events show openat
      kdriver events coverage openat
      kdriver events list --json | jq '.[] | select(.category == "net") | .name'
    """


_SOURCE = click.option(
    "--driver-src",
    type=click.Path(path_type=Path),
    default=None,
    help="A driver source other than the one that ships.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


@command.command(name="list")
@click.option("--category", help="Only events of this category.")
@_SOURCE
@_JSON
def list_events(category: str | None, driver_src: Path | None, as_json: bool) -> None:
    """List the events: what each is called, which calls it serves, where it is captured.

    \b
    Examples:
      kdriver events list --category net
      kdriver events list --json
    """
    from kdriver.catalogue.load import load_catalogue

    events = [event for event in load_catalogue(driver_src).events if category in (None, event.category)]
    if not events:
        raise NotFoundError(f"category {category}: no event has it", hint="Run `kdriver events list` to see them all.")
    events.sort(key=lambda event: event.id)
    if as_json:
        print_json([event.to_json() for event in events])
        return
    rows = [
        (str(event.id), event.name, event.category, " ".join(event.calls), event.captured_at, str(len(event.params)))
        for event in events
    ]
    print_table(("id", "event", "category", "calls", "captured at", "params"), rows)


def _find(catalogue: Catalogue, name: str) -> Event:
    """The event of that name, or that serves the call of that name."""
    event = catalogue.event(name) or next((one for one in catalogue.events if name in one.calls), None)
    if event is None:
        near = difflib.get_close_matches(name, [one.name for one in catalogue.events])
        raise NotFoundError(
            f"{name}: no event of the catalogue has that name",
            hint=f"Did you mean {' or '.join(near)}?" if near else "Run `kdriver events list` to see them all.",
        )
    return event


@command.command(name="show")
@click.argument("name")
@_SOURCE
@_JSON
def show_event(name: str, driver_src: Path | None, as_json: bool) -> None:
    """Show one event: the calls that it serves, where it is captured, its parameters with how each is captured and
    checked, the values of its flags and enumerations, and the cases that try it.

    \b
    Examples:
      kdriver events show openat
      kdriver events show pread64 --json
    """
    from kdriver.catalogue.load import load_catalogue
    from kdriver.catalogue.words import facts_of, shown_value, used_value_sets

    catalogue = load_catalogue(driver_src)
    event = _find(catalogue, name)
    value_sets = used_value_sets(catalogue, [event])
    cases = _cases_of(event, driver_src)
    if as_json:
        values = {one.name: {"flags": one.flags, "values": dict(one.values)} for one in value_sets}
        numbers = {call: catalogue.calls[call] for call in event.calls if call in catalogue.calls}
        print_json({**event.to_json(), "numbers": numbers, "value_sets": values, "cases": list(cases)})
        return
    click.echo(f"{event.name}, category {event.category}")
    for fact in facts_of(event, catalogue):
        click.echo(f"  {fact}")
    if event.notes:
        click.echo(textwrap.fill(event.notes, 78, initial_indent="  ", subsequent_indent="  "))
    if event.params:
        click.echo()
        rows = [(param.name, param.type, param.capture, param.check, param.values) for param in event.params]
        print_table(("parameter", "type", "captured from", "check", "values"), rows)
    for value_set in value_sets:
        click.echo(f"\n{value_set.name}: {'bits' if value_set.flags else 'one of'}")
        print_table(("value", "name"), [(shown_value(value_set, value), key) for key, value in value_set.values])
    if cases:
        said = textwrap.fill(f"cases: {' '.join(cases)}", 78, subsequent_indent="  ", break_on_hyphens=False)
        click.echo(f"\n{said}")


def _cases_of(event: Event, driver_src: Path | None) -> tuple[str, ...]:
    """The cases that try an event, of the record that ships with the driver source; none without one."""
    from kdriver.verifier.situations_record import read_record, record_path

    path = record_path(driver_src)
    if not path.is_file():
        return ()
    tried = read_record(path)
    return tuple(sorted({case for one, cases in tried.items() if one.event == event.name for case in cases}))


@command.command(name="manual")
@click.option("--out", type=click.Path(path_type=Path), help="Write it to this file instead of stdout.")
@_SOURCE
def manual(out: Path | None, driver_src: Path | None) -> None:
    """Write the reference manual of the events, in Markdown.

    \b
    Example:
      kdriver events manual --out docs/events.md
    """
    from kdriver.catalogue.load import load_catalogue
    from kdriver.catalogue.manual import render_manual

    text = render_manual(load_catalogue(driver_src))
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text)


@command.command(name="coverage")
@click.argument("name", required=False)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="What a guest said (results.jsonl of `kdriver verify --keep`), in place of the record that ships.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the record of these results to this file.")
@_SOURCE
@_JSON
def coverage(
    name: str | None, results: Path | None, out: Path | None, driver_src: Path | None, as_json: bool
) -> ExitCode:
    """What the event cases try: success and failure of each event, and for each pointer that a parameter comes from a
    valid one, NULL, an unmapped one, one that ends at a page's end or runs over it, and one to more than is shown;
    natively and as an i386 call.

    What was tried is read from what the cases said in a guest. With NAME, the cases of one event.

    \b
    Examples:
      kdriver events coverage
      kdriver events coverage openat
      kdriver events coverage --results results.jsonl --out coverage.json

    Exit status: 0 when each combination was tried or has a written reason, else 1.
    """
    from kdriver.catalogue.load import load_catalogue
    from kdriver.commands.situations_report import print_coverage
    from kdriver.verifier.situations import cover, tried
    from kdriver.verifier.situations_record import (
        expectations_of,
        read_record,
        record_path,
        untried_of,
        write_record,
    )

    catalogue = load_catalogue(driver_src)
    event = _find(catalogue, name) if name else None
    shown = tried(expectations_of(results), catalogue) if results else read_record(record_path(driver_src))
    if out is not None:
        write_record(shown, out)
    found = cover(catalogue, shown, untried_of(driver_src))
    print_coverage(found, event.name if event else None, as_json=as_json)
    return ExitCode.SOME_FAILED if found.missing else ExitCode.DONE
