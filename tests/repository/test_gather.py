"""What is found to publish: the driver that was built or judged last, with the verdict on that kernel."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import IntegrityError
from kdriver.repository.gather import (
    Built,
    Candidate,
    gather,
    kernels_of,
    read_built_cache,
    read_built_folder,
    read_verdict,
    verdict_path,
)
from tests.fakes.published import candidate, kernel

KEY = kernel().key
BOTH = (DriverKind.KMOD, DriverKind.CORE)


def write_verdict(verdicts: Path, one: Candidate, *, of: str = KEY, date: str = "2026-11-22T11:00:00+00:00") -> None:
    assert one.verdict
    path = verdict_path(verdicts, one.artifact.sha256, of)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(replace(one.verdict, kernel=of, date=date).to_json()))


def built(one: Candidate, **changes: str) -> Built:
    return Built(replace(one.artifact, **changes), one.path)  # type: ignore[arg-type]


def test_each_kernel_gets_its_module_and_the_shared_core_object(tmp_path: Path) -> None:
    module, core = candidate(tmp_path), candidate(tmp_path, kind=DriverKind.CORE)
    write_verdict(tmp_path, module)
    found = gather((built(module), built(core)), (kernel(),), BOTH, tmp_path)
    assert [(one.artifact.kind, one.verdict is not None) for one in found] == [
        (DriverKind.KMOD, True),
        (DriverKind.CORE, False),
    ]


def test_a_module_of_another_kernel_serves_only_where_it_was_judged(tmp_path: Path) -> None:
    module, other = candidate(tmp_path), kernel("6.1.0-55-amd64", "6.1.190-1")
    assert gather((built(module),), (other,), BOTH, tmp_path) == ()
    write_verdict(tmp_path, module, of=other.key)
    (found,) = gather((built(module),), (other,), BOTH, tmp_path)
    assert found.verdict and found.verdict.kernel == other.key


def test_a_newer_build_without_a_verdict_hides_an_older_one_that_passed(tmp_path: Path) -> None:
    old, new = candidate(tmp_path, salt="old"), candidate(tmp_path, salt="new")
    write_verdict(tmp_path, old)
    (found,) = gather((built(old), built(new, built_at="2026-11-22T12:00:00+00:00")), (kernel(),), BOTH, tmp_path)
    assert (found.artifact.sha256, found.verdict) == (new.artifact.sha256, None)


def test_an_older_build_that_was_judged_again_is_meant(tmp_path: Path) -> None:
    old, new = candidate(tmp_path, salt="old"), candidate(tmp_path, salt="new")
    write_verdict(tmp_path, old, date="2026-11-22T13:00:00+00:00")
    (found,) = gather((built(new, built_at="2026-11-22T12:00:00+00:00"), built(old)), (kernel(),), BOTH, tmp_path)
    assert found.artifact.sha256 == old.artifact.sha256


def test_a_verdict_on_something_else_is_refused(tmp_path: Path) -> None:
    one = candidate(tmp_path)
    write_verdict(tmp_path, one)
    path = verdict_path(tmp_path, one.artifact.sha256, KEY)
    path.write_text(path.read_text().replace(one.artifact.sha256, "f" * 64))
    with pytest.raises(IntegrityError, match="is the verdict on ffffffffffff") as caught:
        read_verdict(tmp_path, one.artifact.sha256, KEY)
    assert caught.value.hint == "Delete it and verify again."


def test_a_damaged_verdict_is_named(tmp_path: Path) -> None:
    path = verdict_path(tmp_path, "abc", KEY)
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(IntegrityError, match=r"6\.1\.192-2\.json: is no verdict"):
        read_verdict(tmp_path, "abc", KEY)


def test_the_cache_and_an_output_folder_are_read(tmp_path: Path) -> None:
    one = candidate(tmp_path)
    record = json.dumps(one.artifact.to_json())
    cache, out = tmp_path / "cache/some-key", tmp_path / "out/6.1.0-56-amd64"
    for folder, name in ((cache, "record.json"), (out, "kdriver.ko.json")):
        folder.mkdir(parents=True)
        (folder / "kdriver.ko").write_bytes(one.path.read_bytes())
        (folder / name).write_text(record)
    assert read_built_cache(tmp_path / "cache") == (Built(one.artifact, cache / "kdriver.ko"),)
    assert read_built_folder(tmp_path / "out") == (Built(one.artifact, out / "kdriver.ko"),)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/record.json").write_text('{"kernel": 1}')
    with pytest.raises(IntegrityError, match=r"x/record\.json: is no artifact's record"):
        read_built_cache(tmp_path)


def test_kernels_are_those_built_for_and_those_judged_on(tmp_path: Path) -> None:
    module, core, other = candidate(tmp_path), candidate(tmp_path, kind=DriverKind.CORE), kernel("6.1.0-55-amd64", "1")
    write_verdict(tmp_path, core, of=other.key)
    assert kernels_of((built(module), built(core)), tmp_path) == {KEY, other.key}
