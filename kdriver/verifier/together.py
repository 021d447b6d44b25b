"""What follows from a guest in which all drivers were loaded at once. Pure.

Such a guest can only say that all is well: the cases ran once, each driver saw all of them rightly, and nothing broke.
Whatever went wrong in it could be another driver's doing, so each is then tried by itself, and that is what is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kdriver.core.artifact import DriverKind
from kdriver.core.verdict import Outcome, Verdict


def doubts_of(verdicts: Sequence[Verdict]) -> dict[DriverKind, str]:
    """By kind, what went wrong while all drivers were loaded; empty when nothing did."""
    return {DriverKind(one.kind): f"{one.kind}: {one.reason}" for one in verdicts if one.outcome is not Outcome.PASSED}


def unexplained_doubts(doubts: Mapping[DriverKind, str], alone: Sequence[Verdict]) -> dict[DriverKind, tuple[str, ...]]:
    """Failures, by kind, that no driver shows by itself: those of the kinds that went wrong together. A driver that
    fails alone explains what went wrong in the others' company."""
    if any(one.outcome is not Outcome.PASSED for one in alone):
        return {}
    return {kind: (f"together with the other drivers: {text}; alone it passes",) for kind, text in doubts.items()}
