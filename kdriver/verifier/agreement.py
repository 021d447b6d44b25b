"""Whether several drivers tell the same story: the same cases must give the same events on each of them.

What a case's parameter is worth differs from run to run (thread ids, addresses). So two drivers are compared by value
where their case programs expected the same value, and elsewhere by whether there is a value at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kdriver.core.artifact import DriverKind
from kdriver.verifier.compare import NOISE
from kdriver.verifier.expectation import of_hooks
from kdriver.verifier.results import DriverRun, Record

Key = tuple[str, str, int]
"""A case, an event's name, and which of the case's events of that name it is."""

_NOTHING = "nothing"
_SOMETHING = "a value"
_LIMIT = 20
_FEW = 20
"""Events and parameters that runs may have apart, or a twentieth of all where that is more."""


@dataclass(frozen=True, slots=True)
class _Told:
    expected: Record
    event: Record | None


@dataclass(frozen=True, slots=True)
class Agreed:
    """What came of comparing several drivers. complaints: by kind, where it differs from the others; kinds without one
    are left out. events: that all of them were expected to tell of. values, presences: parameters of these that were
    compared by value, and by whether there is a value at all. alone: events that only some of the runs were expected
    to tell of, and uncertain: parameters that one run's case had a value for and another's none."""

    complaints: Mapping[DriverKind, tuple[str, ...]]
    events: int = 0
    values: int = 0
    presences: int = 0
    alone: int = 0
    uncertain: int = 0

    def __str__(self) -> str:
        return f"{self.events} events, {self.values} parameters by value and {self.presences} by presence"


def compare_kinds(runs: Mapping[DriverKind, DriverRun]) -> Agreed:
    """Compare every parameter of every event that all runs were expected to tell of. Blamed are those that differ from
    what the cases expected, where one of them did not; else those that differ from most; else all. A single run agrees
    with itself. Runs that have too little in common to agree are a complaint about all."""
    stories = {kind: _story(run) for kind, run in runs.items()}
    found: dict[DriverKind, list[str]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for key in dict.fromkeys(key for story in stories.values() for key in story):
        told = {kind: story[key] for kind, story in stories.items() if key in story}
        if len(told) < len(stories):
            counts["alone"] += 1  # cases poll now and then: one run of them made a call more often than another
            continue
        counts["event"] += 1
        for subject, words, right, how in _subjects(key, told):
            counts[how] += 1
            for kind in _odd_ones(words, right):
                others = "; ".join(f"{other}: {word}" for other, word in words.items() if other is not kind)
                found[kind].append(f"agreement: {subject}: {words[kind]} here, {others}")
    if len(runs) > 1:
        for text in _vacuous(counts):
            for kind in runs:
                found[kind].append(f"agreement: {text}")
    return Agreed(
        {kind: tuple(texts[:_LIMIT]) for kind, texts in found.items()},
        counts["event"],
        counts["value"],
        counts["presence"],
        counts["alone"],
        counts["uncertain"],
    )


def disagreements(runs: Mapping[DriverKind, DriverRun]) -> Mapping[DriverKind, tuple[str, ...]]:
    """By kind, where it differs from the others."""
    return compare_kinds(runs).complaints


def _vacuous(counts: Mapping[str, int]) -> Iterator[str]:
    """What makes an agreement worth nothing: events or parameters that were not compared, beyond a few."""
    if counts["alone"] > max(_FEW, counts["event"] // 20):
        yield f"{counts['alone']} events were expected of some runs only, {counts['event']} of all"
    compared = counts["value"] + counts["presence"]
    if counts["uncertain"] > max(_FEW, compared // 20):
        yield f"{counts['uncertain']} parameters were expected in one run and not in another, {compared} in all"


def _story(run: DriverRun) -> dict[Key, _Told]:
    """What a run told of each expected event: the n-th event of a name in a thread is the n-th expected one."""
    events: dict[tuple[int, str], list[Record]] = defaultdict(list)
    for event in run.events:
        events[event["tid"], event["name"]].append(event)
    story: dict[Key, _Told] = {}
    ordinal: dict[tuple[str, str], int] = defaultdict(int)
    expectations = [of_hooks(one, run.ready) for one in run.expectations]
    for expected in sorted(expectations, key=lambda one: int(one.get("order", 0))):
        case, name = str(expected.get("case", "")), expected["event"]
        if name in NOISE:
            continue
        come = events[expected["tid"], name]
        story[case, name, ordinal[case, name]] = _Told(expected, come.pop(0) if come else None)
        ordinal[case, name] += 1
    return story


def _subjects(key: Key, told: Mapping[DriverKind, _Told]) -> Iterator[tuple[str, dict[DriverKind, str], str, str]]:
    """What is compared, what each kind says of it, what the cases expect (empty where that is not known), and how."""
    case, name, _ = key
    there = {kind: "no event" if one.event is None else "an event" for kind, one in told.items()}
    yield f"case {case}, {name}", there, "an event", "there"
    with_event = {kind: one for kind, one in told.items() if one.event is not None}
    params = dict.fromkeys(param for one in with_event.values() for param in _params(one.event))
    expectations = [one.expected for one in with_event.values()]
    for param in params:
        how = _comparable(param, expectations)
        if how == "uncertain":
            yield f"case {case}, {name}.{param}", {}, "", how
        else:
            words = {kind: _word(one, param, how) for kind, one in with_event.items()}
            right = _shown(expectations[0]["params"][param]) if how == "value" else ""
            yield f"case {case}, {name}.{param}", words, right, how


def _params(event: Record | None) -> Record:
    params = event["params"] if event else {}
    assert isinstance(params, dict)
    return params


def _comparable(param: str, expectations: list[Record]) -> str:
    """`value` where all case programs expected the same, `presence` where values differ from run to run or are not
    checked, `uncertain` where one run's case has a value and another's none."""
    first = expectations[0]
    if all(one is first for one in expectations):  # the drivers watched the same calls
        return "value" if param in first.get("params", {}) else "presence"
    exact = [one["params"][param] for one in expectations if param in one.get("params", {})]
    if len(exact) < len(expectations):
        return "presence"
    if all(value == exact[0] for value in exact):
        return "value"
    return "uncertain" if None in exact else "presence"


def _word(told: _Told, param: str, how: str) -> str:
    params = _params(told.event)
    if param not in params:
        return "no such parameter"
    value = params[param]
    if how == "value":
        return _shown(_masked(told.expected["params"][param], value))
    return _NOTHING if value is None else _SOMETHING


def _shown(value: Any) -> str:
    return _NOTHING if value is None else repr(value)


def _masked(expected: Any, seen: Any) -> Any:
    """What was seen, without the members of which only `nonzero` is expected: addresses in the kernel."""
    if expected == "nonzero" and isinstance(seen, int):
        return "nonzero" if seen else seen
    if isinstance(expected, dict) and isinstance(seen, dict):
        return {name: _masked(expected.get(name), value) for name, value in seen.items()}
    return seen


def _odd_ones(words: Mapping[DriverKind, str], right: str) -> tuple[DriverKind, ...]:
    values = list(words.values())
    if len(set(values)) < 2:
        return ()
    most = right if right in values else max(set(values), key=values.count)
    if most != right and values.count(most) * 2 <= len(values):
        return tuple(words)
    return tuple(kind for kind, word in words.items() if word != most)
