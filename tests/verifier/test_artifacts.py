"""Driver files of a folder: found with their records, checked, and chosen for a kernel."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from kdriver.core.artifact import CORE_KERNEL, Artifact, DriverKind, DriverVersion
from kdriver.core.errors import IntegrityError, NotFoundError
from kdriver.verifier.artifacts import artifacts_for, find_artifacts

KEY = "debian/x86_64/1.2.3-tiny-amd64/1.2.3-1"
RELEASE = "1.2.3-tiny-amd64"


def _write(folder: Path, kind: DriverKind, kernel: str, release: str, *, record: str = "", unsigned: str = "") -> Path:
    """A driver file with its record. unsigned: it is the signed file of that module."""
    folder.mkdir(parents=True, exist_ok=True)
    content = f"{kind} of {kernel}{' signed' if unsigned else ''}".encode()
    artifact = Artifact(
        kernel=kernel,
        release=release,
        kind=kind,
        name="my_driver",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        driver=DriverVersion("0.1.0", "1.0.0", "2.0.0", "10.1.0", "4.5.1"),
        compiler="gcc-12",
        flags=(),
        inputs=(),
        content_key="0" * 64,
        seconds=1.0,
        built_at="2026-01-01T00:00:00Z",
        signer="f" * 64 if unsigned else "",
        unsigned=unsigned,
    )
    path = folder / kind.file_name
    path.write_bytes(content)
    (folder / (record or f"{kind.file_name}.json")).write_text(json.dumps(artifact.to_json()))
    return path


def test_the_builders_folder_is_read_whatever_its_layout(tmp_path: Path) -> None:
    kmod = _write(tmp_path / RELEASE, DriverKind.KMOD, KEY, RELEASE)
    core = _write(tmp_path / "any" / "deep", DriverKind.CORE, CORE_KERNEL, "", record="record.json")
    assert [one.path for one in find_artifacts(tmp_path)] == [kmod, core]


@pytest.mark.parametrize("kernel", [KEY, ""], ids=["of the index", "by its release"])
@pytest.mark.parametrize("signed", ["a/signed", "A"], ids=["behind the module", "before it"])
def test_a_module_and_its_signed_file_are_one_driver(kernel: str, signed: str, tmp_path: Path) -> None:
    plain = _write(tmp_path / "a", DriverKind.KMOD, KEY, RELEASE)
    digest = hashlib.sha256(plain.read_bytes()).hexdigest()
    _write(tmp_path / signed, DriverKind.KMOD, KEY, RELEASE, unsigned=digest)
    drivers, missing = artifacts_for(find_artifacts(tmp_path), [DriverKind.KMOD], kernel=kernel, release=RELEASE)
    assert ([one.sha256 for one in drivers], missing) == ([digest], ())


def test_a_kernel_gets_its_own_drivers_and_the_core_object(tmp_path: Path) -> None:
    _write(tmp_path / "a", DriverKind.KMOD, KEY, RELEASE)
    _write(tmp_path / "b", DriverKind.KMOD, KEY + "+b1", RELEASE)
    _write(tmp_path / "c", DriverKind.CORE, CORE_KERNEL, "")
    found = find_artifacts(tmp_path)
    drivers, missing = artifacts_for(found, list(DriverKind), kernel=KEY, release=RELEASE)
    assert [(one.kind, one.name, one.schema) for one in drivers] == [
        (DriverKind.KMOD, "my_driver", "2.0.0"),
        (DriverKind.CORE, "my_driver", "2.0.0"),
    ]
    assert drivers[0].path == tmp_path / "a" / "kdriver.ko"
    assert missing == ((DriverKind.BPF, f"no bpf driver for {KEY} is in the folder"),)


def test_without_a_key_the_release_decides(tmp_path: Path) -> None:
    _write(tmp_path, DriverKind.BPF, KEY, RELEASE)
    drivers, _ = artifacts_for(find_artifacts(tmp_path), [DriverKind.BPF], kernel="", release=RELEASE)
    assert len(drivers) == 1
    none, missing = artifacts_for(find_artifacts(tmp_path), [DriverKind.BPF], kernel="", release="9.9")
    assert none == ()
    assert missing == ((DriverKind.BPF, "no bpf driver for 9.9 is in the folder"),)


def test_a_file_that_is_not_what_its_record_says_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, DriverKind.KMOD, KEY, RELEASE)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityError) as caught:
        find_artifacts(tmp_path)
    assert "its SHA-256 is " in caught.value.message
    assert (caught.value.hint, caught.value.exit_code) == ("Build the driver again.", 6)


def test_a_record_of_another_shape_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, DriverKind.KMOD, KEY, RELEASE)
    (tmp_path / "kdriver.ko.json").write_text('{"kind": "kmod"}')
    with pytest.raises(IntegrityError, match="is no record of a driver"):
        find_artifacts(tmp_path)


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_without_drivers_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError) as caught:
        find_artifacts(tmp_path / name)
    assert caught.value.message == f"{tmp_path / name}: holds no driver with its record"
    assert caught.value.hint == "Name the folder that `kdriver build --out DIR` wrote."
