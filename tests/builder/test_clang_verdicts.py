"""A verdict that a kernel refused a clang's object is heeded by the next build; one that passed takes it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.clang_verdicts import clang_name, learn, learn_beside, refused_clangs
from kdriver.core.verdict import Outcome, Verdict

KERNEL = "debian/x86_64/5.4.0-tiny/5.4.0-1"
CLANG = "Debian clang version 16.0.6 (15~deb12u1)"


def verdict(outcome: Outcome, *, kind: str = "bpf", **steps: int) -> Verdict:
    reason = "open: the kernel refused it: unbounded min value\nmore" if outcome is Outcome.FAILED else ""
    return Verdict(KERNEL, kind, "ab" * 32, outcome, reason, 1.0, "2026-01-01T00:00:00Z", steps=tuple(steps.items()))


def test_a_refusal_is_kept_with_its_reason(tmp_path: Path) -> None:
    learn(verdict(Outcome.FAILED, open=7), CLANG, tmp_path)
    assert refused_clangs(KERNEL, tmp_path) == {"clang-16": "open: the kernel refused it: unbounded min value"}
    assert refused_clangs("debian/x86_64/6.1.0-tiny/6.1.0-1", tmp_path) == {}


def test_an_object_that_passed_takes_back_what_was_held_against_its_clang(tmp_path: Path) -> None:
    learn(verdict(Outcome.FAILED, open=7), CLANG, tmp_path)
    learn(verdict(Outcome.FAILED, open=7), CLANG.replace("16", "19"), tmp_path)
    learn(verdict(Outcome.PASSED, open=0), CLANG, tmp_path)
    assert set(refused_clangs(KERNEL, tmp_path)) == {"clang-19"}
    learn(verdict(Outcome.PASSED, open=0), CLANG.replace("16", "19"), tmp_path)
    assert not list((tmp_path / "clangs").iterdir())


@pytest.mark.parametrize(
    ("found", "compiler"),
    [
        pytest.param(verdict(Outcome.FAILED, open=0), CLANG, id="wrong events are not the verifier's no"),
        pytest.param(verdict(Outcome.FAILED, open=124), CLANG, id="nor is a time-out"),
        pytest.param(verdict(Outcome.NOT_VERIFIED), CLANG, id="nor what was not tried"),
        pytest.param(
            verdict(Outcome.FAILED, kind="kmod", open=7), "gcc-12 (Debian) 12.2.0", id="a module has no clang"
        ),
        pytest.param(verdict(Outcome.FAILED, kind="core", open=7), CLANG, id="a CO-RE object serves all kernels"),
    ],
)
def test_nothing_else_counts_against_a_clang(found: Verdict, compiler: str, tmp_path: Path) -> None:
    learn(found, compiler, tmp_path)
    assert refused_clangs(KERNEL, tmp_path) == {}


def test_the_compiler_comes_from_the_record_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "kdriver.bpf.o"
    record = {"sha256": "ab" * 32, "compiler": CLANG}
    (tmp_path / "record.json").write_text(json.dumps({**record, "sha256": "of another file"}))
    learn_beside(verdict(Outcome.FAILED, open=7), file, tmp_path)
    assert refused_clangs(KERNEL, tmp_path) == {}
    (tmp_path / "kdriver.bpf.o.json").write_text(json.dumps(record))
    learn_beside(verdict(Outcome.FAILED, open=7), file, tmp_path)
    assert set(refused_clangs(KERNEL, tmp_path)) == {"clang-16"}


def test_what_was_said_of_another_driver_source_is_not_held_against_a_clang(tmp_path: Path) -> None:
    file = tmp_path / "kdriver.bpf.o"
    inputs = [{"name": "linux-headers.deb", "sha256": "11" * 32}, {"name": "driver source", "sha256": "22" * 32}]
    (tmp_path / "record.json").write_text(json.dumps({"sha256": "ab" * 32, "compiler": CLANG, "inputs": inputs}))
    learn_beside(verdict(Outcome.FAILED, open=7), file, tmp_path)
    assert set(refused_clangs(KERNEL, tmp_path, "22" * 32)) == {"clang-16"}
    assert refused_clangs(KERNEL, tmp_path, "33" * 32) == {}
    assert set(refused_clangs(KERNEL, tmp_path)) == {"clang-16"}


def test_a_damaged_file_knows_nothing(tmp_path: Path) -> None:
    learn(verdict(Outcome.FAILED, open=7), CLANG, tmp_path)
    (file,) = (tmp_path / "clangs").iterdir()
    file.write_text("{")
    assert refused_clangs(KERNEL, tmp_path) == {}


def test_clang_is_named_by_its_major_version() -> None:
    assert clang_name(CLANG) == "clang-16"
    assert clang_name("Ubuntu clang version 14.0.0-1ubuntu1") == "clang-14"
    assert clang_name("gcc-12 (Debian 12.2.0-14) 12.2.0") == ""
