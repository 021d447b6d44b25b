"""`kdriver events`: the catalogue of events."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from kdriver.core.console import print_json, print_table
from kdriver.core.errors import NotFoundError


@click.group(name="events")
def command() -> None:
    """The catalogue of events.

    \b
    Examples:
      kdriver events list
      kdriver events show openat
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
    print_table(("id", "event", "category", "calls", "captured at", "parameters"), rows)


@command.command(name="show")
@click.argument("name")
@_SOURCE
@_JSON
def show_event(name: str, driver_src: Path | None, as_json: bool) -> None:
    """Show one event: its parameters, how each is captured and checked, and the values of its flags.

    \b
    Examples:
      kdriver events show openat
      kdriver events show pread64 --json
    """
    from kdriver.catalogue.load import load_catalogue

    catalogue = load_catalogue(driver_src)
    event = catalogue.event(name) or next((one for one in catalogue.events if name in one.calls), None)
    if event is None:
        near = difflib.get_close_matches(name, [one.name for one in catalogue.events])
        raise NotFoundError(
            f"{name}: no event of the catalogue has that name",
            hint=f"Did you mean {' or '.join(near)}?" if near else "Run `kdriver events list` to see them all.",
        )
    if as_json:
        print_json(event.to_json())
        return
    click.echo(f"{event.name} (id {event.id}, {event.category}), captured at {event.captured_at}")
    if event.calls:
        click.echo(f"calls: {' '.join(event.calls)}")
    if event.notes:
        click.echo(event.notes)
    click.echo()
    rows = [(param.name, param.type, param.capture, param.check, param.values) for param in event.params]
    print_table(("parameter", "type", "captured as", "check", "values"), rows)
    for param in event.params:
        if param.values:
            value_set = catalogue.value_sets[param.values]
            click.echo(f"\n{param.values}: {'bits' if value_set.flags else 'one of'}")
            print_table(("name", "value"), [(key, str(value)) for key, value in value_set.values])
