"""What follows from a guest in which all drivers were loaded at once. Pure.

Such a guest can only say that all is well: the cases ran once, each driver saw all of them rightly, and nothing broke.
Whatever went wrong in it could be another driver's doing, so each is then tried by itself, and that is what is judged.
A driver that failed in company and passes alone is tried in company once more, without those that fail alone: they may
have been the reason. What it does there says whether its failure counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kdriver.core.artifact import DriverKind
from kdriver.core.verdict import Outcome, Verdict


def troubles_of(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """What went wrong while all drivers were loaded, a driver that never had its turn included; empty when nothing
    did. Each driver is to be tried by itself then."""
    return tuple(f"{one.kind}: {one.reason}" for one in verdicts if one.outcome is not Outcome.PASSED)


def doubts_of(verdicts: Sequence[Verdict]) -> dict[DriverKind, str]:
    """By kind, the failures while all drivers were loaded. One that never had its turn there did nothing wrong."""
    return {DriverKind(one.kind): one.reason for one in verdicts if one.outcome is Outcome.FAILED}


def open_doubts(doubts: Mapping[DriverKind, str], alone: Sequence[Verdict]) -> dict[DriverKind, str]:
    """The doubts about drivers that pass alone; the others' verdicts say enough. Empty, too, where all the others fail
    alone: then there is no company to try a driver in, and they explain what went wrong in theirs."""
    passed = {DriverKind(one.kind) for one in alone if one.outcome is Outcome.PASSED}
    return {kind: text for kind, text in doubts.items() if kind in passed} if len(company(alone)) > 1 else {}


def company(alone: Sequence[Verdict]) -> frozenset[DriverKind]:
    """The kinds to try together once more: all but those that fail alone. One that could not be tried alone explains
    nothing, and stays in the company."""
    return frozenset(DriverKind(one.kind) for one in alone if one.outcome is not Outcome.FAILED)


def lasting_doubts(doubts: Mapping[DriverKind, str], again: Sequence[Verdict]) -> dict[DriverKind, tuple[str, ...]]:
    """The failures, by kind, that count: of doubtful kinds that do not pass in company the second time, either.
    again: the verdicts on that guest; a kind without one there could not clear itself."""
    second = {DriverKind(one.kind): one for one in again}
    found: dict[DriverKind, tuple[str, ...]] = {}
    for kind, text in doubts.items():
        one = second.get(kind)
        if one is None or one.outcome is not Outcome.PASSED:
            said = one.reason if one is not None and one.outcome is Outcome.FAILED else text
            found[kind] = (f"together with the other drivers: {said}; alone it passes",)
    return found
