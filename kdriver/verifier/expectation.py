"""What the event cases expect: the lines of kd-cases, checked against the catalogue before anything is compared.

A line is one of
    {"case", "event", "tid", "order", "params": {name: value}, "between": {name: [lo, hi]}, "unchecked": {name: reason}}
    {"case", "skipped": reason}     the case cannot run on this kernel
    {"case", "error": text}         the case itself went wrong
    {"helpers": [event names]}      calls that the cases make for themselves
Source: driver_src/cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kdriver.catalogue.model import CHECKS, Catalogue, Event
from kdriver.core.errors import VerifyError

_STRICTER = {check: rank for rank, check in enumerate(CHECKS)}
"""exact 0, between 1, unchecked 2: a smaller number is the stricter check."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One event that must come from thread `tid`. order: rises with each call of a thread. params: exact values.
    between: least and greatest value. unchecked: why a value is not compared."""

    case: str
    event: str
    tid: int
    order: int
    params: Mapping[str, Any]
    between: Mapping[str, tuple[int, int]]
    unchecked: Mapping[str, str]

    def check_of(self, param: str) -> str:
        """`exact`, `between`, `unchecked`, or empty where the expectation does not name the parameter."""
        if param in self.params:
            return "exact"
        if param in self.between:
            return "between"
        return "unchecked" if param in self.unchecked else ""

    def __str__(self) -> str:
        return f"{self.case}: {self.event} of thread {self.tid}"


@dataclass(frozen=True, slots=True)
class CaseLines:
    """All that kd-cases said. expectations: by order. helpers: names of events that the cases make for themselves.
    skipped, errors: (case, text)."""

    expectations: tuple[Expectation, ...]
    helpers: frozenset[str]
    skipped: tuple[tuple[str, str], ...]
    errors: tuple[tuple[str, str], ...]


_CLASSIC, _RINGS = "tp", "ringbuf"
_NOT_IN_CLASSIC = {"signaldeliver": ("spid",)}
"""What the records of classic tracepoints do not have: CONVENTIONS.md says that these are empty there."""


def of_hooks(line: dict[str, Any], ready: Mapping[str, Any]) -> dict[str, Any]:
    """The line as it holds for the hooks that the driver has. ready: what the loader said when it had loaded the
    driver; its `program_type` is "tp" where the programs of calls hang at classic tracepoints. Those of signals do only
    where the kernel has no raw ones; a kernel with ring buffers (5.8) has them in any case."""
    absent = _NOT_IN_CLASSIC.get(str(line.get("event", "")), ())
    if not absent or ready.get("program_type") != _CLASSIC or ready.get("buffer") == _RINGS:
        return line
    return {**line, "params": {**line.get("params", {}), **dict.fromkeys(absent)}}


def read_case_lines(lines: Iterable[Mapping[str, Any]]) -> CaseLines:
    """Sort lines by what they are. Raises VerifyError for a line of another shape."""
    expectations: list[Expectation] = []
    helpers: set[str] = set()
    skipped: list[tuple[str, str]] = []
    errors: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        match line:
            case {"event": str(), "tid": int()}:
                expectations.append(_expectation(line, number))
            case {"case": str(case), "skipped": str(text)}:
                skipped.append((case, text))
            case {"case": str(case), "error": str(text)}:
                errors.append((case, text))
            case {"helpers": list(names)}:
                helpers |= set(names)
            case _:
                raise _unreadable(line)
    expectations.sort(key=lambda one: one.order)
    return CaseLines(tuple(expectations), frozenset(helpers), tuple(skipped), tuple(errors))


def _expectation(line: Mapping[str, Any], number: int) -> Expectation:
    try:
        return Expectation(
            str(line.get("case", "")),
            line["event"],
            line["tid"],
            int(line.get("order", number)),
            dict(line.get("params", {})),
            {name: (int(bounds[0]), int(bounds[1])) for name, bounds in line.get("between", {}).items()},
            {name: str(reason) for name, reason in line.get("unchecked", {}).items()},
        )
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise _unreadable(line) from error


def _unreadable(line: Mapping[str, Any]) -> VerifyError:
    return VerifyError(
        f"kd-cases: a line is no expectation: {str(dict(line))[:160]}",
        hint="Build the tools anew: kd-cases and this kdriver are of different versions.",
    )


def faults_of(expectation: Expectation, catalogue: Catalogue) -> tuple[str, ...]:
    """What is wrong with an expectation: an event or parameter that the catalogue does not have, one that is in none
    or several of its three parts, an empty range, and a check weaker than the one that the catalogue declares."""
    event = catalogue.event(expectation.event)
    if event is None:
        return (f"{expectation}: the catalogue has no such event",)
    return tuple(f"{expectation}: {fault}" for fault in _faults(expectation, event))


def _faults(expectation: Expectation, event: Event) -> Iterable[str]:
    declared = {param.name: param.check_kind for param in event.params}
    parts = (expectation.params, expectation.between, expectation.unchecked)
    for name in dict.fromkeys(name for part in parts for name in part):
        if name not in declared:
            yield f"{name} is no parameter of the event"
        elif sum(name in part for part in parts) > 1:
            yield f"{name} is expected in more than one way"
    for name, check in declared.items():
        expected = expectation.check_of(name)
        if not expected:
            yield f"{name} is not expected at all; its declared check is {check}"
        elif _STRICTER[expected] > _STRICTER[check]:
            yield f"{name} is only expected as {expected}; its declared check is {check}"
    for name, (least, greatest) in expectation.between.items():
        if least > greatest:
            yield f"{name} is expected between {least} and {greatest}, which nothing is"
    for name, reason in expectation.unchecked.items():
        if not reason.strip():
            yield f"{name} is unchecked without a reason"
