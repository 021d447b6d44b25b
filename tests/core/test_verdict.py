"""A verdict holds as long as what it was about; its record says all that it was given by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kdriver.core.verdict import POLICY, CaseCounts, CheckCounts, Difference, Fault, Outcome, Verdict, void_reason

VERDICT = Verdict(
    "debian/x86_64/6.1.0-56-amd64/6.1.192-2",
    "core",
    "a" * 64,
    Outcome.FAILED,
    "dup: ...",
    3.0,
    "2026-11-22T10:01:00Z",
    events=41,
    checks=CheckCounts(7, 2, 1),
    failures=("dup: ...",),
    case_set="c" * 64,
    image_sha256="e" * 64,
    steps=(("open", 0),),
    facts=(("qemu", "7.2"),),
    fault=Fault.WRONG_EVENTS,
    policy=POLICY,
    catalogue="1.1.0 0123456789ab",
    cases=CaseCounts(40, ("dup",), (("quota", "no such file system"),)),
    durations=(("open", 0.5),),
    differences=(Difference("dup", "dup", "res", "3", "9"),),
)


def test_a_record_is_read_as_it_was_written() -> None:
    assert Verdict.from_json(VERDICT.to_json()) == VERDICT


def test_a_record_from_before_policies_is_void() -> None:
    old = VERDICT.to_json()
    for name in ("fault", "policy", "catalogue", "cases", "durations", "differences"):
        del old[name]
    read = Verdict.from_json(old)
    assert read.policy == ""
    assert void_reason(read) == f"it was given by policy 1 of the verifier, which is {POLICY} now"


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        pytest.param({}, "", id="nothing-known"),
        pytest.param({"artifact_sha256": "a" * 64, "image_sha256": "e" * 64, "case_set": "c" * 64}, "", id="the-same"),
        pytest.param({"artifact_sha256": "b" * 64}, "it is about another artifact", id="artifact"),
        pytest.param(
            {"image_sha256": "f" * 64}, f"the kernel's image is {'f' * 12} now, {'e' * 12} was booted", id="image"
        ),
        pytest.param({"case_set": "d" * 64}, "the cases have changed", id="cases"),
        pytest.param({"policy": "9"}, f"it was given by policy {POLICY} of the verifier, which is 9 now", id="policy"),
    ],
)
def test_a_verdict_is_void_when_what_it_is_about_changes(now: dict[str, Any], reason: str) -> None:
    assert void_reason(VERDICT, **now) == reason


def test_what_was_found_without_a_guest_does_not_depend_on_the_cases() -> None:
    static = replace(VERDICT, fault=str(Fault.VERMAGIC))
    assert void_reason(static, case_set="d" * 64) == ""
    assert void_reason(static, image_sha256="f" * 64)
