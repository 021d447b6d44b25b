"""What the event cases tried: each event's success and failure, and each pointer that a parameter comes from with
every sort of pointer, natively and as an i386 call. What is wanted follows from the catalogue; what was tried is read
from what the cases said in a guest, never declared. A gap needs a written reason (driver_src/cases/untried.toml)."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kdriver.catalogue.model import Catalogue, Event, Param
from kdriver.catalogue.pointers import pointer_of
from kdriver.core.errors import ConfigError

NATIVE, I386 = "x86_64", "i386"
_UNMAPPED_BELOW = 0x10000
_PAGE = 4096
_ERRNO_MAX = 4095
_USER_END = 1 << 47
_RESULTS = ("ret", "fd(ret)", "u32(ret)", "s32(ret)")


class Situation(StrEnum):
    """How a call ended, or what the pointer behind a parameter was like."""

    SUCCESS = "success"
    FAILURE = "failure"
    SEEN = "seen"
    VALID = "valid"
    NULL = "null"
    UNMAPPED = "unmapped"
    PAGE_END = "page-end"
    OVER_PAGE_END = "over-page-end"
    LONG = "long"


LETTERS = {
    "v": Situation.VALID,
    "n": Situation.NULL,
    "u": Situation.UNMAPPED,
    "e": Situation.PAGE_END,
    "o": Situation.OVER_PAGE_END,
    "l": Situation.LONG,
}
"""As the cases write them (driver_src/cases/record.c)."""


@dataclass(frozen=True, slots=True, order=True)
class Combination:
    """One thing to be tried. param: empty for how the call ended."""

    event: str
    abi: str
    param: str
    situation: str


@dataclass(frozen=True, slots=True)
class Untried:
    """Combinations that no case can try, by patterns, and why."""

    events: tuple[str, ...]
    params: tuple[str, ...]
    abis: tuple[str, ...]
    situations: tuple[str, ...]
    reason: str

    def covers(self, one: Combination) -> bool:
        """Whether it is about that combination."""
        return (
            any(fnmatchcase(one.event, pattern) for pattern in self.events)
            and any(fnmatchcase(one.param, pattern) for pattern in self.params)
            and one.abi in self.abis
            and one.situation in self.situations
        )


@dataclass(frozen=True, slots=True)
class Coverage:
    """tried: the cases that tried each combination. untried: why none does. missing: neither of both. stale: reasons
    that are about nothing that is missing."""

    tried: Mapping[Combination, tuple[str, ...]]
    untried: Mapping[Combination, str]
    missing: tuple[Combination, ...]
    stale: tuple[Untried, ...]


def wanted(catalogue: Catalogue) -> tuple[Combination, ...]:
    """All that must be tried, by event and ABI, in the order of the catalogue."""
    return tuple(one for event in catalogue.events for abi in abis_of(event, catalogue) for one in _of(event, abi))


def abis_of(event: Event, catalogue: Catalogue) -> tuple[str, ...]:
    """Those in which some call of the event exists; the native one for events that are no calls."""
    if not event.calls:
        return (NATIVE,)
    return tuple(abi for abi in (NATIVE, I386) if any(abi in catalogue.calls.get(call, {}) for call in event.calls))


def _of(event: Event, abi: str) -> Iterator[Combination]:
    ends = (Situation.SUCCESS, Situation.FAILURE) if event.calls else (Situation.SEEN,)
    for end in ends:
        yield Combination(event.name, abi, "", end)
    for param in event.params:
        found = pointer_of(param.capture)
        if found is None:
            continue
        for situation in LETTERS.values():
            if situation is not Situation.LONG or found[0].bounded:
                yield Combination(event.name, abi, param.name, situation)


def tried(lines: Iterable[Mapping[str, Any]], catalogue: Catalogue) -> dict[Combination, tuple[str, ...]]:
    """What the lines of kd-cases show to have been tried, with the cases in the order of their names."""
    found: dict[Combination, set[str]] = defaultdict(set)
    for line in lines:
        event = catalogue.event(line["event"]) if "event" in line else None
        if event is not None:
            for one in _shown_by(line, event):
                found[one].add(str(line["case"]))
    return {one: tuple(sorted(found[one])) for one in sorted(found)}


def _shown_by(line: Mapping[str, Any], event: Event) -> Iterator[Combination]:
    abi = I386 if line.get("i386") else NATIVE
    if not event.calls:
        yield Combination(event.name, abi, "", Situation.SEEN)
    result = _result(line, event)
    if result is not None:
        failed = -_ERRNO_MAX <= result < 0
        yield Combination(event.name, abi, "", Situation.FAILURE if failed else Situation.SUCCESS)
    pointers = line.get("pointers", {})
    for param in event.params:
        for letter in pointers.get(param.name, ""):
            yield Combination(event.name, abi, param.name, LETTERS[letter])
        passed = _passed(line, param)
        if passed is not None:
            yield Combination(event.name, abi, param.name, passed)


def _result(line: Mapping[str, Any], event: Event) -> int | None:
    """What the call returned; None for an event that is no call's, or of a call that does not return."""
    if "ret" in line:
        return int(line["ret"])
    for param in event.params:
        if param.capture in _RESULTS and isinstance(line["params"].get(param.name), int):
            return int(line["params"][param.name])
    return 0 if event.calls else None


def _passed(line: Mapping[str, Any], param: Param) -> Situation | None:
    """Where the pointer itself tells: one that a failed call was given is seen, even if nothing was read there."""
    found = pointer_of(param.capture) if "args" in line else None
    if found is None:
        return None
    # Zeros at the end of the arguments are left out.
    address = line["args"][found[1]] if found[1] < len(line["args"]) else 0
    if address < _PAGE:
        return Situation.NULL
    return Situation.UNMAPPED if address < _UNMAPPED_BELOW or address >= _USER_END else None


def read_untried(path: Path) -> tuple[Untried, ...]:
    """The written reasons. Raises ConfigError where one is not as it should be."""
    rows = tomllib.loads(path.read_text()).get("untried", [])
    found = []
    for row in rows:
        unknown = row.keys() - {"events", "params", "abis", "situations", "reason"}
        if unknown or not str(row.get("reason", "")).strip() or not row.get("events") or not row.get("situations"):
            raise ConfigError(
                f"{path.name}: {row}: needs events, situations and a reason, and may have params and abis",
                hint="Mend that row.",
            )
        found.append(
            Untried(
                tuple(row["events"]),
                tuple(row.get("params", ("", "*"))),
                tuple(row.get("abis", (NATIVE, I386))),
                tuple(row["situations"]),
                str(row["reason"]).strip(),
            )
        )
    return tuple(found)


def cover(
    catalogue: Catalogue, shown: Mapping[Combination, tuple[str, ...]], reasons: Iterable[Untried] = ()
) -> Coverage:
    """Hold what was tried against what is wanted."""
    reasons = tuple(reasons)
    done: dict[Combination, tuple[str, ...]] = {}
    excused: dict[Combination, str] = {}
    missing: list[Combination] = []
    used: set[Untried] = set()
    for one in wanted(catalogue):
        reason = next((reason for reason in reasons if reason.covers(one)), None)
        if one in shown:
            done[one] = shown[one]
        elif reason is not None:
            excused[one] = reason.reason
            used.add(reason)
        else:
            missing.append(one)
    return Coverage(done, excused, tuple(missing), tuple(reason for reason in reasons if reason not in used))
