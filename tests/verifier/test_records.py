"""Verdicts are kept by artifact and kernel, whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kdriver.core.errors import IntegrityError
from kdriver.core.verdict import CheckCounts, Outcome, Verdict
from kdriver.verifier.records import read_verdict, verdict_path, write_verdict

VERDICT = Verdict(
    kernel="debian/x86_64/6.1.0-56-amd64/6.1.192-2",
    kind="kmod",
    artifact_sha256="a" * 64,
    outcome=Outcome.PASSED,
    reason="",
    seconds=3.21,
    date="2026-01-01T00:00:00Z",
    events=7,
    checks=CheckCounts(5, 1, 1),
    steps=(("load", 0), ("unload", 0)),
    facts=(("drops", "0"),),
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path))


def test_a_verdict_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = write_verdict(VERDICT)
    assert path == tmp_path / "verdicts" / ("a" * 64) / "debian_x86_64_6.1.0-56-amd64_6.1.192-2.json"
    assert path == verdict_path(VERDICT.artifact_sha256, VERDICT.kernel)
    assert read_verdict(VERDICT.artifact_sha256, VERDICT.kernel) == VERDICT


def test_a_newer_verdict_replaces_the_older_and_leaves_no_other_file() -> None:
    write_verdict(VERDICT)
    path = write_verdict(replace(VERDICT, outcome=Outcome.FAILED, reason="drops"))
    kept = read_verdict(VERDICT.artifact_sha256, VERDICT.kernel)
    assert kept is not None and kept.outcome is Outcome.FAILED
    assert list(path.parent.iterdir()) == [path]


def test_no_verdict_is_none() -> None:
    assert read_verdict("b" * 64, VERDICT.kernel) is None


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"outcome": "perhaps"}'])
def test_a_broken_record_is_an_integrity_error(content: str) -> None:
    path = write_verdict(VERDICT)
    path.write_text(content)
    with pytest.raises(IntegrityError) as caught:
        read_verdict(VERDICT.artifact_sha256, VERDICT.kernel)
    assert "is no verdict" in caught.value.message
    assert caught.value.hint == "Delete it and verify again."
