"""What a guest with all drivers in it says about one of them, and what the others' turns alone change of that."""

from __future__ import annotations

from kdriver.core.artifact import DriverKind
from kdriver.core.verdict import Outcome, Verdict
from kdriver.verifier.together import company, doubts_of, lasting_doubts, open_doubts, troubles_of

KMOD, BPF, CORE = DriverKind.KMOD, DriverKind.BPF, DriverKind.CORE
PASSED, FAILED, NOT_VERIFIED = Outcome


def _verdicts(*outcomes: Outcome) -> list[Verdict]:
    return [
        Verdict("k", str(kind), "a", outcome, "" if outcome is PASSED else f"{kind} said", 1.0, "2026-11-28")
        for kind, outcome in zip(DriverKind, outcomes, strict=True)
    ]


def test_only_a_failure_is_held_against_a_driver_but_any_trouble_makes_them_go_alone() -> None:
    together = _verdicts(NOT_VERIFIED, FAILED, PASSED)
    assert troubles_of(together) == ("kmod: kmod said", "bpf: bpf said")
    assert doubts_of(together) == {BPF: "bpf said"}


def test_one_that_could_not_be_tried_alone_explains_nothing() -> None:
    alone = _verdicts(NOT_VERIFIED, PASSED, NOT_VERIFIED)
    assert open_doubts({BPF: "it lost events"}, alone) == {BPF: "it lost events"}
    assert company(alone) == {KMOD, BPF, CORE}


def test_who_fails_alone_is_left_out_of_the_company_and_explains_it_where_nobody_else_is_left() -> None:
    alone = _verdicts(FAILED, PASSED, PASSED)
    assert company(alone) == {BPF, CORE}
    assert open_doubts({BPF: "it lost events"}, alone) == {BPF: "it lost events"}
    assert open_doubts({BPF: "it lost events"}, _verdicts(FAILED, PASSED, FAILED)) == {}
    assert open_doubts({KMOD: "it lost events"}, alone) == {}


def test_a_doubt_lasts_until_the_driver_passes_in_company() -> None:
    doubts = {BPF: "it lost events", CORE: "it was late"}
    assert lasting_doubts(doubts, _verdicts(PASSED, PASSED, PASSED)) == {}
    assert lasting_doubts(doubts, _verdicts(PASSED, FAILED, NOT_VERIFIED)) == {
        BPF: ("together with the other drivers: bpf said; alone it passes",),
        CORE: ("together with the other drivers: it was late; alone it passes",),
    }
