"""The verdict on a foreign driver, from what its guest said."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.verdict import Outcome, Verdict
from kdriver.verifier.foreign import foreign_verdict
from kdriver.verifier.guest import Ending, GuestRun
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.plan import DriverUnderTest, GuestCheck, GuestPlan, guest_entries, plan_text
from kdriver.verifier.results import DriverRun, GuestResult, KernelMessage, ResultReader
from tests.fakes.guest_lines import ended, hello
from tests.fakes.guest_tools import FakeTools
from tests.fakes.qemu import deflated

TAINT = {"taint_before": 0, "taint_after": 4096, "time_before": 1, "time_after": 2, "pages_kept_kb": 0}


def driver(tmp_path: Path, kind: DriverKind = DriverKind.KMOD, *words: str) -> DriverUnderTest:
    program = tmp_path / "knock-check"
    program.write_bytes(b"program")
    path = tmp_path / "knock.ko"
    path.write_bytes(b"module")
    check = GuestCheck(words or ("/check/knock-check", "x y"), (program,))
    return DriverUnderTest(kind, "knock", path, sha256(b"module").hexdigest(), check=check)


def step(name: str, status: int = 0, detail: str = "") -> dict[str, Any]:
    return {"step": name, "status": status, "ms": 250, "detail": detail}


def judged(tested: DriverUnderTest, *lines: dict[str, Any], done: bool = True) -> Verdict:
    told = [hello(), *({"driver": str(tested.kind), **line} for line in (*lines, *([{"done": True}] if done else [])))]
    reader = ResultReader()
    reader.feed(deflated("".join(json.dumps(line) + "\n" for line in ended(told)).encode(), ended=True))
    guest = GuestRun(Ending.COMPLETE, reader.result, "", 1.0, 0.5, Path("/console"))
    return foreign_verdict(tested, guest, kernel="k", date="d", image_sha256="e" * 64)


def test_a_check_with_status_0_passes(tmp_path: Path) -> None:
    verdict = judged(driver(tmp_path), step("load"), step("check", detail="21 became 42\n"), step("unload"), TAINT)
    assert (verdict.outcome, verdict.reason, verdict.seconds) == (Outcome.PASSED, "", 0.75)
    assert dict(verdict.facts)["check"] == "/check/knock-check x y: exit status 0: 21 became 42"
    assert verdict.steps == (("load", 0), ("check", 0), ("unload", 0))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        pytest.param(
            [step("load"), step("check", 3, "a\nb\n"), step("unload")],
            "check: the driver's own check failed: exit status 3; a | b",
            id="status",
        ),
        pytest.param(
            [step("load"), step("check", 124, "waiting"), step("unload")],
            "check: the driver's own check failed: it did not end in time; waiting",
            id="hang",
        ),
        pytest.param([step("load", 8, "finit_module: Exec format error")],
            "load: the kernel refused the module: finit_module: Exec format error", id="refused"),
        pytest.param(
            [step("load"), step("check"), step("unload", 16, "delete_module: busy")],
            "unload: the driver could not be unloaded: delete_module: busy",
            id="stays",
        ),
        pytest.param([step("load"), step("unload")], "check: this step never ran", id="no check"),
        pytest.param([step("check"), step("unload")], "load: this step never ran", id="not loaded"),
        pytest.param(
            [step("load"), step("check"), {"kmsg": {"level": 4, "text": "WARNING: at knock"}}, step("unload")],
            "kernel log: WARNING: at knock",
            id="kernel warned",
        ),
        pytest.param(
            [step("load"), step("check"), step("unload"), {**TAINT, "taint_after": 1 << 9}],
            "kernel taint: the kernel issued a warning",
            id="taint",
        ),
        pytest.param(
            [step("load"), step("check"), step("unload"), {**TAINT, "pages_kept_kb": 16000}],
            "memory: 16000 kB of pages were not given back when the driver had gone",
            id="leak",
        ),
    ],
)  # fmt: skip
def test_what_goes_wrong_fails_with_its_words(lines: list[dict[str, Any]], reason: str, tmp_path: Path) -> None:
    verdict = judged(driver(tmp_path), *lines)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, reason)


def test_status_77_is_not_verified_with_what_the_check_said(tmp_path: Path) -> None:
    verdict = judged(driver(tmp_path), step("load"), step("check", 77, "no such hardware\n"), step("unload"))
    assert verdict.outcome is Outcome.NOT_VERIFIED
    assert verdict.reason == "check: cannot be made on this kernel: no such hardware"


def test_status_77_does_not_hide_a_warning(tmp_path: Path) -> None:
    warned = {"kmsg": {"level": 3, "text": "BUG: bad"}}
    verdict = judged(driver(tmp_path), step("load"), step("check", 77), warned, step("unload"))
    assert verdict.outcome is Outcome.FAILED


def test_a_guest_that_ends_early_fails_the_driver(tmp_path: Path) -> None:
    tested = driver(tmp_path)
    guest = GuestRun(Ending.CRASHED, GuestResult(release="r"), "the kernel panicked", 1.0, 0.5, Path("/console"))
    guest.result.runs["kmod"] = DriverRun("kmod", messages=[KernelMessage(6, "fine")])
    verdict = foreign_verdict(tested, guest, kernel="k", date="d", image_sha256="")
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "the kernel panicked")


def test_a_module_without_a_check_is_said_to_be_only_loaded(tmp_path: Path) -> None:
    tested = DriverUnderTest(DriverKind.KMOD, "knock", tmp_path / "k.ko", "0" * 64, check=GuestCheck(()))
    verdict = judged(tested, step("load"), step("unload"))
    assert verdict.outcome is Outcome.PASSED
    assert dict(verdict.facts)["check"] == "none: loaded and unloaded only"


def test_the_guest_gets_the_check_and_its_words(tmp_path: Path) -> None:
    tested = driver(tmp_path)
    plan = GuestPlan(GuestKernel(tmp_path / "vmlinux", "1.2.3", "0" * 64, pvh=True), (tested,))
    lines = plan_text(plan).splitlines()
    assert lines[-4:] == ["driver kmod knock /drivers/knock.ko", "foreign", "word /check/knock-check", "word x y"]
    entries = {entry.path: entry for entry in guest_entries(plan, FakeTools(*[tested.path] * 4))}
    assert entries["check/knock-check"].mode & 0o111
    assert entries["drivers/knock.ko"].content == b"module"


def test_another_check_is_another_case_set(tmp_path: Path) -> None:
    one = driver(tmp_path).check
    other = GuestCheck(("/check/knock-check", "z"), (tmp_path / "knock-check",))
    assert one is not None and one.sha256 != other.sha256
    before = one.sha256
    (tmp_path / "knock-check").write_bytes(b"another")
    assert one.sha256 != before
