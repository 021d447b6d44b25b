"""What a verdict covers that still holds is not verified again; what the others may take is known by the journal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.verdict import POLICY, Fault, Outcome, Verdict
from kdriver.verifier.covered import expected_seconds, outlived, split_covered
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.journal import append_journal
from kdriver.verifier.plan import DriverUnderTest
from kdriver.verifier.records import verdict_path, write_verdict
from kdriver.verifier.run import Verification

KEY = "debian/x86_64/6.1.0-56-amd64/6.1.192-2"
CASES, IMAGE, DRIVER = "c" * 64, "e" * 64, "a" * 64
VERDICT = Verdict(
    KEY, "core", DRIVER, Outcome.PASSED, "", 3.0, "2026-11-22T10:01:00Z", events=4, case_set=CASES, image_sha256=IMAGE,
    policy=POLICY, facts=(("guest_seconds", "12.5"),),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))


def _no_image() -> GuestKernel:
    raise AssertionError("nothing is to be booted here")


def _verification(*kinds: DriverKind, key: str = KEY, release: str = "6.1.0-56-amd64") -> Verification:
    drivers = tuple(DriverUnderTest(kind, "kdriver", Path(kind.file_name), DRIVER) for kind in kinds)
    return Verification(key, release, _no_image, drivers, image_sha256=IMAGE)


def test_a_verdict_that_holds_covers_its_driver_and_no_other() -> None:
    write_verdict(VERDICT)
    both = _verification(DriverKind.CORE)
    other = replace(both.drivers[0], kind=DriverKind.KMOD, sha256="b" * 64)
    left, kept = split_covered([replace(both, drivers=(other, *both.drivers))], CASES)
    assert [driver.kind for one in left for driver in one.drivers] == [DriverKind.KMOD]
    assert [(one.verdict, one.kept) for one in kept] == [(VERDICT, True)]


def test_a_kernel_of_which_nothing_is_left_is_left_out() -> None:
    write_verdict(replace(VERDICT, outcome=Outcome.FAILED, reason="dup: ..."))
    left, kept = split_covered([_verification(DriverKind.CORE)], CASES)
    assert left == ()
    assert [one.verdict.outcome for one in kept] == [Outcome.FAILED]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"case_set": "d" * 64}, id="other-cases"),
        pytest.param({"image_sha256": "f" * 64}, id="other-image"),
        pytest.param({"policy": "0"}, id="other-policy"),
        pytest.param({"outcome": Outcome.NOT_VERIFIED, "reason": "no boot"}, id="not-verified"),
    ],
)
def test_a_void_verdict_covers_nothing(change: dict[str, str]) -> None:
    write_verdict(replace(VERDICT, **change))  # type: ignore[arg-type]
    left, kept = split_covered([_verification(DriverKind.CORE)], CASES)
    assert (len(left), kept) == (1, ())


def test_a_record_that_cannot_be_read_covers_nothing() -> None:
    write_verdict(VERDICT)
    verdict_path(DRIVER, KEY).write_text("{")
    left, _ = split_covered([_verification(DriverKind.CORE)], CASES)
    assert len(left) == 1


@pytest.mark.parametrize(
    ("fault", "stays"),
    [(Fault.MACHINE, True), (Fault.PACKAGE, True), (Fault.NO_BOOT, False), (Fault.NO_TURN, False)],
)
def test_a_machine_or_a_server_at_fault_does_not_end_a_verdict_that_holds(fault: Fault, stays: bool) -> None:
    tried = _verification(DriverKind.CORE)
    now = replace(VERDICT, outcome=Outcome.NOT_VERIFIED, reason="x", fault=str(fault), image_sha256="")
    assert outlived(now, tried, CASES) is None
    write_verdict(VERDICT)
    assert outlived(now, tried, CASES) == (VERDICT if stays else None)
    assert outlived(now, tried, "d" * 64) is None
    assert outlived(replace(now, outcome=Outcome.FAILED), tried, CASES) is None


def test_how_long_a_guest_takes_is_known_by_its_last_one_or_guessed_by_flavour() -> None:
    append_journal(VERDICT, None)
    seconds = expected_seconds(
        [
            _verification(DriverKind.CORE),
            _verification(DriverKind.CORE, key="rt", release="6.1.0-56-rt-amd64"),
            _verification(DriverKind.CORE, key="cloud", release="6.1.0-56-cloud-amd64"),
            _verification(DriverKind.CORE, key="generic"),
        ]
    )
    assert seconds[KEY] == 12.5
    assert seconds["cloud"] < seconds["generic"] < seconds["rt"]
