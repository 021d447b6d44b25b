"""JUnit XML: a suite for each kernel, counts that add up, and blame where it belongs."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from builder.junit import junit, write_junit
from builder.result import BuildOutcome, BuildResult
from kdriver.core.artifact import DriverKind

RESULTS = (
    BuildResult("a", DriverKind.KMOD, BuildOutcome.BUILT, 2.5, artifact=Path("/a/kdriver.ko")),
    BuildResult(
        "a", DriverKind.BPF, BuildOutcome.FAILED, 1.0, "compile: x \x1b[1m", "compile", detail="<b>", log=Path("/l")
    ),
    BuildResult("b", DriverKind.KMOD, BuildOutcome.FAILED, 0.5, "download: no answer", "download"),
    BuildResult("b", DriverKind.BPF, BuildOutcome.SKIPPED, reason="known bad: y"),
)


def test_counts_add_up_and_a_mirror_is_not_the_drivers_failure() -> None:
    root = junit(RESULTS)
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1", "time": "4.00"
    }  # fmt: skip
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [("a", "2"), ("b", "2")]
    assert [case[0].tag for case in root.iter("testcase")] == ["system-out", "failure", "error", "skipped"]


def test_a_cluster_without_workers_is_not_the_drivers_failure() -> None:
    lost = BuildResult("a", DriverKind.KMOD, BuildOutcome.FAILED, reason="worker: none left", failure="worker")
    (case,) = junit([lost]).iter("testcase")
    assert (case[0].tag, case[0].get("type")) == ("error", "worker")


def test_what_xml_cannot_hold_is_replaced(tmp_path: Path) -> None:
    write_junit(RESULTS, tmp_path / "deep" / "results.xml")
    root = ElementTree.parse(tmp_path / "deep" / "results.xml").getroot()
    (failure,) = root.iter("failure")
    assert failure.get("message") == "compile: x ?[1m"
    assert failure.get("type") == "compile"
    assert failure.text == "compile: x ?[1m\n<b>\nlog: /l"
