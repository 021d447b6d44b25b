"""Artifacts stand under their content key with their record, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from builder.store import content_key, copy_out, find_stored, put
from kdriver.core.artifact import Artifact, DriverKind, DriverVersion, Input

CONTENT = b"a driver"
RECORD = Artifact(
    kernel="debian/x86_64/1.2.3-tiny/1",
    release="1.2.3-tiny",
    kind=DriverKind.KMOD,
    name="kdriver",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_bytes=len(CONTENT),
    driver=DriverVersion("1", "1.0.0", "1.0.0", "10.1.0", "4.5.1"),
    compiler="gcc-12",
    flags=("-O2",),
    inputs=(Input("a", "00"),),
    content_key="k" * 64,
    seconds=1.5,
    built_at="2026-01-01T00:00:00Z",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "built"
    path.write_bytes(CONTENT)
    return path


def test_what_is_put_is_found(file: Path, tmp_path: Path) -> None:
    stored = put(tmp_path / "store", file, RECORD)
    assert stored.path.read_bytes() == CONTENT
    assert find_stored(tmp_path / "store", RECORD.content_key) == stored
    assert [path.name for path in (tmp_path / "store").iterdir()] == [RECORD.content_key]


def test_other_keys_are_not_found(file: Path, tmp_path: Path) -> None:
    put(tmp_path / "store", file, RECORD)
    assert find_stored(tmp_path / "store", "other") is None


def test_putting_again_replaces(file: Path, tmp_path: Path) -> None:
    put(tmp_path / "store", file, RECORD)
    later = replace(RECORD, built_at="2027-01-01T00:00:00Z")
    put(tmp_path / "store", file, later)
    found = find_stored(tmp_path / "store", RECORD.content_key)
    assert found is not None
    assert found.record == later


@pytest.mark.parametrize("name", ["kdriver.ko", "record.json"])
def test_changed_or_missing_file_does_not_count(name: str, file: Path, tmp_path: Path) -> None:
    stored = put(tmp_path / "store", file, RECORD)
    victim = stored.path.with_name(name)
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-3])
    assert find_stored(tmp_path / "store", RECORD.content_key) is None
    victim.unlink()
    assert find_stored(tmp_path / "store", RECORD.content_key) is None
    victim.write_bytes(whole)
    assert find_stored(tmp_path / "store", RECORD.content_key) == stored


def test_record_of_another_key_does_not_count(file: Path, tmp_path: Path) -> None:
    stored = put(tmp_path / "store", file, RECORD)
    stored.path.parent.rename(tmp_path / "store/elsewhere")
    assert find_stored(tmp_path / "store", "elsewhere") is None


def test_copy_has_its_record_beside_it(file: Path, tmp_path: Path) -> None:
    stored = put(tmp_path / "store", file, RECORD)
    out = copy_out(stored, tmp_path / "out")
    assert out.read_bytes() == CONTENT
    assert Artifact.from_json(json.loads((tmp_path / "out/kdriver.ko.json").read_text())) == RECORD


def test_key_depends_on_every_part_and_not_on_their_order() -> None:
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key({"a": 1, "b": 2}) != content_key({"a": 1, "b": 3})
