"""Events against expectations: event by event and parameter by parameter, thread by thread. Pure.

The events of a thread that the cases name must be exactly the expected ones, in that order. Not held against a driver
are further events of a name in NOISE (the scheduler switches when it likes, programs touch new memory and make calls
that have no event) and those of calls that the cases make for themselves (their `helpers`). An expectation of a name in
NOISE is met by any one event of that name and thread.

Values are compared as they are in JSON, with three exceptions:
- addresses of a sockaddr or socktuple are compared as addresses: `::ffff:127.0.0.1` is `::ffff:7f00:1`;
- an expected member "nonzero" (kernel addresses in socktuples of unix sockets) is met by any number but 0;
- members of an event besides its parameters (`ts`, `cpu`, `enter_ts`) are not looked at.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdriver.catalogue.model import Catalogue
from kdriver.core.verdict import CaseCounts, CheckCounts, Difference
from kdriver.verifier.expectation import Expectation, faults_of, read_case_lines

Record = Mapping[str, Any]
"""An event as kd-capture prints it: {"ts", "cpu", "tid", "type", "name", "params": {name: value}}."""

NOISE = frozenset({"switch", "page_fault", "syscall"})
_ADDRESS_MEMBERS = ("addr", "src", "dst")
_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it. failures: one line each, nothing is left out. events: how many were compared with an
    expectation. checks: parameters compared, by kind of check. missing: expectations without an event. extra: events
    that nobody expected. skipped: (case, reason) of cases that could not run. cases: how many held. differences: the
    parameters that were wrong, in the order of the failures."""

    failures: tuple[str, ...]
    events: int
    checks: CheckCounts
    missing: tuple[Expectation, ...] = ()
    extra: tuple[Record, ...] = ()
    skipped: tuple[tuple[str, str], ...] = field(default=())
    cases: CaseCounts = field(default_factory=CaseCounts)
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A parameter that differs. note: what is said in place of what was expected, where nothing was."""

    name: str
    expected: str
    seen: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.note or f'expected {self.expected}'}, {self.seen_words}"

    @property
    def seen_words(self) -> str:
        """What was seen, or that nothing was."""
        return f"seen {self.seen}" if self.seen else f"{'but ' if self.note else ''}no such parameter seen"

    def of(self, one: Expectation) -> Difference:
        """For the verdict's record."""
        return Difference(one.case, one.event, self.name, self.expected or self.note, self.seen or "no such parameter")


def _lost(one: Expectation) -> Difference:
    return Difference(one.case, one.event, "", _show(_expected_params(one)), "no such event")


@dataclass(slots=True)
class _Thread:
    """One thread's comparison in the making: pairs in the order of the calls, and what has no partner."""

    pairs: list[tuple[Expectation, Record]] = field(default_factory=list)
    missing: list[Expectation] = field(default_factory=list)
    extra: list[Record] = field(default_factory=list)


def compare(
    lines: Iterable[Record],
    events: Iterable[Record],
    catalogue: Catalogue,
    *,
    unavailable: frozenset[str] = frozenset(),
) -> Comparison:
    """Compare what kd-cases printed with what kd-capture printed (each thread's events in the order they came).

    unavailable: names of events that the driver said it cannot give on this kernel (no kprobes, say); none of them may
    come then. Raises VerifyError for a line of kd-cases that is none.
    """
    said = read_case_lines(lines)
    expected: dict[int, list[Expectation]] = defaultdict(list)
    for one in said.expectations:
        if one.event not in unavailable:
            expected[one.tid].append(one)
    seen: dict[int, list[Record]] = defaultdict(list)
    for event in events:
        if event["tid"] in expected:
            seen[event["tid"]].append(event)
    failures = [f"case {case}: {text}" for case, text in said.errors]
    failures += [f"expectation: {fault}" for one in said.expectations for fault in faults_of(one, catalogue)]
    counts: dict[str, int] = defaultdict(int)
    missing: list[Expectation] = []
    extra: list[Record] = []
    shown: list[Difference] = []
    wrong = {case for case, _ in said.errors}
    compared = 0
    for tid, wanted in expected.items():
        thread = _align(wanted, seen[tid], said.helpers - {one.event for one in wanted})
        compared += len(thread.pairs)
        for one, event in thread.pairs:
            differences = _differences(one, event, counts)
            if differences:
                failures.append(f"{one}: " + "; ".join(str(each) for each in differences))
                shown += [each.of(one) for each in differences]
                wrong.add(one.case)
        failures += _unpaired(thread)
        wrong |= {one.case for one in thread.missing}
        shown += [_lost(one) for one in thread.missing]
        missing += thread.missing
        extra += thread.extra
    checks = CheckCounts(counts["exact"], counts["between"], counts["unchecked"])
    cases = {one.case for one in said.expectations if one.event not in unavailable} | wrong
    counted = CaseCounts(len(cases - wrong), tuple(sorted(wrong)), said.skipped)
    return Comparison(
        tuple(failures), compared, checks, tuple(missing), tuple(extra), said.skipped, counted, tuple(shown)
    )


def _align(wanted: Sequence[Expectation], came: Sequence[Record], helpers: frozenset[str]) -> _Thread:
    """Pair the expectations of a thread with its events."""
    thread = _Thread()
    noise = [event for event in came if event["name"] in NOISE]
    for one in wanted:
        if one.event in NOISE:
            _take_noise(one, noise, thread)
    strict = [one for one in wanted if one.event not in NOISE]
    events = [event for event in came if event["name"] not in NOISE and event["name"] not in helpers]
    if [one.event for one in strict] == [event["name"] for event in events]:
        thread.pairs += zip(strict, events, strict=True)
    else:
        _align_best(strict, events, thread)
    return thread


def _take_noise(one: Expectation, noise: list[Record], thread: _Thread) -> None:
    """The event that meets the expectation; where none does, the one that comes closest is shown beside it."""
    candidates = sorted(
        (event for event in noise if event["name"] == one.event), key=lambda event: len(_differences(one, event))
    )
    if candidates:
        thread.pairs.append((one, candidates[0]))
        noise.remove(candidates[0])
    else:
        thread.missing.append(one)


def _align_best(wanted: Sequence[Expectation], came: Sequence[Record], thread: _Thread) -> None:
    """The alignment in which most parameters agree: one lost event must not make all later ones look wrong."""
    rows, columns = len(wanted), len(came)
    score = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            paired = _likeness(wanted[i], came[j])
            score[i][j] = max(score[i + 1][j], score[i][j + 1], paired + score[i + 1][j + 1] if paired else 0.0)
    i = j = 0
    while i < rows and j < columns:
        paired = _likeness(wanted[i], came[j])
        if paired and score[i][j] == paired + score[i + 1][j + 1]:
            thread.pairs.append((wanted[i], came[j]))
            i, j = i + 1, j + 1
        elif score[i][j] == score[i + 1][j]:
            thread.missing.append(wanted[i])
            i += 1
        else:
            thread.extra.append(came[j])
            j += 1
    thread.missing += wanted[i:]
    thread.extra += came[j:]


def _likeness(one: Expectation, event: Record) -> float:
    """0 for another event; else from 1 (no parameter agrees) to 2."""
    if one.event != event["name"]:
        return 0.0
    total = len(one.params) + len(one.between) + len(one.unchecked)
    return 2.0 - min(len(_differences(one, event)), total) / total if total else 2.0


def _unpaired(thread: _Thread) -> Iterator[str]:
    """Missing and unexpected events; the same event in both is one that came at the wrong place."""
    extra = list(thread.extra)
    for one in thread.missing:
        moved = next((event for event in extra if _likeness(one, event) == 2.0), None)
        if moved is None:
            yield f"{one}: expected {_show(_expected_params(one))}, no such event seen"
        else:
            extra.remove(moved)
            yield f"{one}: seen, but not in the order of the calls (call {one.order})"
    for event in extra:
        yield f"{event['name']} of thread {event['tid']}: not expected, seen {_show(event['params'])}"


def _expected_params(one: Expectation) -> dict[str, Any]:
    ranges = {name: f"{least}..{greatest}" for name, (least, greatest) in one.between.items()}
    return {**one.params, **ranges}


def _differences(one: Expectation, event: Record, counts: dict[str, int] | None = None) -> list[_Wrong]:
    """Each parameter that differs. counts: is added to, by kind of check."""
    seen: Mapping[str, Any] = event["params"]
    found = [_Wrong(name, "", _show(seen[name]), "not expected") for name in seen if not one.check_of(name)]
    for name, value in one.params.items():
        if name not in seen:
            found.append(_Wrong(name, _show(value), ""))
        elif not _same(value, seen[name]):
            found.append(_Wrong(name, _show(value), _show(seen[name])))
    for name, (least, greatest) in one.between.items():
        value = seen.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= greatest:
            found.append(_Wrong(name, f"{least} to {greatest}", _show(value)))
    found += [_Wrong(name, "", "", "not checked") for name in one.unchecked if name not in seen]
    if counts is not None:
        counts["exact"] += len(one.params)
        counts["between"] += len(one.between)
        counts["unchecked"] += len(one.unchecked)
    return found


def _same(expected: Any, seen: Any) -> bool:
    if type(expected) in (int, str):
        return type(seen) is type(expected) and bool(expected == seen)
    if isinstance(expected, dict):
        return (
            isinstance(seen, dict)
            and expected.keys() == seen.keys()
            and all(_same_member(name, value, seen[name]) for name, value in expected.items())
        )
    if isinstance(expected, list):
        return (
            isinstance(seen, list)
            and len(expected) == len(seen)
            and all(_same(*pair) for pair in zip(expected, seen, strict=True))
        )
    return type(expected) is type(seen) and bool(expected == seen)


def _same_member(name: str, expected: Any, seen: Any) -> bool:
    if expected == "nonzero":
        return isinstance(seen, int) and seen != 0
    if name in _ADDRESS_MEMBERS and isinstance(expected, str) and isinstance(seen, str):
        try:
            return ipaddress.ip_address(expected) == ipaddress.ip_address(seen)
        except ValueError:
            return False
    return _same(expected, seen)


def _show(value: Any) -> str:
    """A value for a person; what is long keeps its beginning and its length."""
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
