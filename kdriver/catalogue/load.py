"""Reads the catalogue's files and checks them all before it raises."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from kdriver.catalogue.expression import parse_expression, serves
from kdriver.catalogue.model import (
    CHECKS,
    FORMATS,
    OTHER_CALLS,
    TYPE_SIZES,
    VARIABLE_TYPES,
    Catalogue,
    Event,
    Param,
    ValueSet,
    Versions,
)
from kdriver.core.errors import ConfigError, NotFoundError
from kdriver.core.paths import source_dir

_NOT_EVENTS = ("calls.toml", "value_sets.toml")


def load_catalogue(folder: Path | None = None) -> Catalogue:
    """The catalogue of a driver source (default: the one that ships). folder holds driver.toml and catalogue/.

    Raises NotFoundError where the folder has no catalogue, and ConfigError with every problem found.
    """
    folder = folder or source_dir("driver_src")
    if not (folder / "catalogue").is_dir() or not (folder / "driver.toml").is_file():
        raise NotFoundError(
            f"{folder}: no driver.toml and catalogue/ in it, so it is no kdriver driver source",
            hint="Name a folder laid out as driver_src with --driver-src.",
        )
    problems: list[str] = []
    source = _read(folder / "driver.toml", problems)
    versions = Versions(**{name: str(source.get(name, "")) for name in Versions.__dataclass_fields__})
    value_sets = {
        name: ValueSet(name, bool(row["flags"]), tuple((str(key), int(value)) for key, value in row["values"]))
        for name, row in _read(folder / "catalogue" / "value_sets.toml", problems).items()
    }
    calls = _read(folder / "catalogue" / "calls.toml", problems)
    events: list[Event] = []
    for path in sorted((folder / "catalogue").glob("*.toml")):
        if path.name not in _NOT_EVENTS:
            for row in _read(path, problems).get("event", []):
                events.append(_event(row, path.name, problems))
    catalogue = Catalogue(versions, tuple(events), value_sets, calls)
    problems += _check(catalogue)
    if problems:
        raise ConfigError(
            "catalogue: " + "; ".join(problems),
            hint="Mend these in driver_src/catalogue; docs/adding-an-event.md helps.",
        )
    return catalogue


def _read(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        problems.append(f"{path.name}: {error}")
        return {}


def _event(row: dict[str, Any], file_name: str, problems: list[str]) -> Event:
    wanted = {"id", "name", "category", "flags", "calls", "captured_at", "params"}
    for name in wanted - row.keys():
        problems.append(f"{file_name}: event {row.get('name', row.get('id', '?'))} lacks {name}")
    for name in row.keys() - wanted - {"notes", "asked"}:
        problems.append(f"{file_name}: event {row.get('name', '?')} has an unknown key {name}")
    params = []
    for param in row.get("params", []):
        try:
            params.append(Param(**param))
        except TypeError as error:
            problems.append(f"{file_name}: {row.get('name')}: {error}")
    return Event(
        id=int(row.get("id", 0)),
        name=str(row.get("name", "")),
        category=str(row.get("category", "")),
        flags=tuple(row.get("flags", [])),
        calls=tuple(row.get("calls", [])),
        captured_at=str(row.get("captured_at", "")),
        params=tuple(params),
        notes=str(row.get("notes", "")),
        asked=bool(row.get("asked", False)),
    )


def _check(catalogue: Catalogue) -> list[str]:
    problems = []
    for field in ("id", "name"):
        values = [getattr(event, field) for event in catalogue.events]
        problems += [
            f"{field} {value} is used twice" for value in sorted({one for one in values if values.count(one) > 1})
        ]
    served = [(call, event.captured_at) for event in catalogue.events for call in event.calls]
    problems += [
        f"call {call} has two events at its {where}"
        for call, where in sorted({one for one in served if served.count(one) > 1})
    ]
    for event in catalogue.events:
        problems += [f"{event.name}: {problem}" for problem in _check_event(event, catalogue)]
    return problems


def _check_event(event: Event, catalogue: Catalogue) -> list[str]:
    known = {*catalogue.calls, OTHER_CALLS}
    problems = [f"call {call} has no number in calls.toml" for call in event.calls if call not in known]
    where, _, what = event.captured_at.partition(":")
    if where not in ("exit", "entry", "tracepoint", "kprobe"):
        problems.append(f"captured_at {event.captured_at!r} is none of exit, entry, tracepoint:NAME, kprobe:NAME")
    if (where in ("exit", "entry")) != bool(event.calls) or (where in ("tracepoint", "kprobe")) != bool(what):
        problems.append(f"captured_at {event.captured_at!r} does not fit its calls")
    names = [param.name for param in event.params]
    problems += [f"parameter {name} twice" for name in sorted({name for name in names if names.count(name) > 1})]
    if len(names) > 32:
        problems.append(f"{len(names)} parameters; a block has 32 at most")
    for param in event.params:
        problems += [f"{param.name}: {problem}" for problem in _check_param(param, catalogue)]
    return problems


def _check_param(param: Param, catalogue: Catalogue) -> list[str]:
    problems = []
    if param.type not in TYPE_SIZES and param.type not in VARIABLE_TYPES:
        problems.append(f"type {param.type!r} is unknown")
    if param.values and param.values not in catalogue.value_sets:
        problems.append(f"value set {param.values!r} is not in value_sets.toml")
    if param.format not in FORMATS:
        problems.append(f"format {param.format!r} is none of {', '.join(FORMATS)}")
    if param.check_kind not in CHECKS or (param.check_kind == "unchecked") != bool(
        param.check.partition(":")[2].strip()
    ):
        problems.append(f"check {param.check!r} is none of exact, between, unchecked: REASON")
    try:
        expression = parse_expression(param.capture)
    except ValueError as error:
        return [*problems, f"capture: {error}"]
    if not serves(expression, param.type):
        problems.append(f"capture {param.capture!r} does not yield the type {param.type}")
    return problems
