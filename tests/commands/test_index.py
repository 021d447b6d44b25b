"""`kdriver index list` and `show`: what a person sees and what programs rely on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdriver.cli import run
from kdriver.commands.index import fitting
from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.store import RowIndex, SuiteState, write_row

PACKAGES = tuple(
    Package(
        role,
        f"linux-{role}",
        "6.1.192-2",
        "amd64",
        "security",
        f"pool/linux-{role}_6.1.192-2_amd64.deb",
        size,
        "a" * 64,
    )
    for role, size in (
        (PackageRole.HEADERS, 1_800_000),
        (PackageRole.HEADERS_COMMON, 10_500_000),
        (PackageRole.KBUILD, 1_600_000),
        (PackageRole.IMAGE, 70_600_000),
    )
)
NEWEST = Kernel(
    distro="debian",
    distro_release="debian12",
    release="6.1.0-56-amd64",
    build="6.1.192-2",
    package_version="6.1.192-2",
    arch="x86_64",
    flavour="amd64",
    packages=PACKAGES,
    compiler="gcc-12",
    libc="2.34",
    first_seen="2026-11-01",
    last_seen="2026-11-22",
    named_by=("linux-image-amd64",),
)
OLD = Kernel(
    "debian",
    "debian12",
    "6.1.0-52-amd64",
    "6.1.180-1",
    "6.1.180-1",
    "x86_64",
    "amd64",
    PACKAGES[3:],
    last_seen="2026-11-22",
)


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An index of two kernels of Debian 12."""
    monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path))
    monkeypatch.setenv("KDRIVER_MIRROR", "http://mirror.example")
    monkeypatch.delenv("KDRIVER_DISTROS", raising=False)
    state = SuiteState("bookworm", "main", "fetched", "", "2026-11-21T00:00:00+00:00", "2026-11-22")
    write_row(RowIndex("debian12", "2026-11-22T10:00:00+00:00", (state,), (OLD, NEWEST)))
    yield tmp_path


def test_the_list_is_a_table_with_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", "list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][:5] == ["KERNEL", "BUILD", "HEADERS", "IMAGE", "--kernel"]
    assert lines[1][:5] == ["6.1.0-52-amd64", "6.1.180-1", "gone", "70.6", "MB"]
    assert lines[2][:7] == ["6.1.0-56-amd64", "6.1.192-2", "13.9", "MB", "70.6", "MB", "newest"]


def test_the_table_takes_as_many_columns_as_fit() -> None:
    assert fitting([28, 19, 8, 8, 23, 8], 80) == 4
    assert fitting([28, 19, 8, 8, 23, 8], 200) == 6
    assert fitting([100], 80) == 1


def test_the_list_as_json_has_the_keys_that_others_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", "list", "--distro", "debian12", "--kernel", "newest", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    wanted = {"key", "distro", "distro_release", "release", "build", "package_version", "arch", "flavour", "packages"}
    assert wanted <= set(record)
    assert record["key"] == "debian/x86_64/6.1.0-56-amd64/6.1.192-2"
    assert {"role", "archive", "path", "size_bytes", "sha256"} <= set(record["packages"][0])
    assert Kernel.from_json(record) == NEWEST


def test_one_kernel_is_shown_with_its_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", "show", "newest"]) == 0
    out = capsys.readouterr().out
    assert "debian/x86_64/6.1.0-56-amd64/6.1.192-2" in out and "2.34 or later" in out
    assert "http://mirror.example/debian-security/pool/linux-image_6.1.192-2_amd64.deb" in out
    assert run(["index", "show", "6.1.0-52-amd64"]) == 0
    assert "headers       gone" in capsys.readouterr().out


def test_one_kernel_as_json_is_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", "show", "6.1.0-56-amd64", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == NEWEST.to_json()


@pytest.mark.parametrize("words", [["list", "--kernel", "6.1.0-57-amd64"], ["show", "6.1.0-57-amd64"]])
def test_an_unknown_kernel_names_the_nearest(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", *words]) == 3
    said = capsys.readouterr().err
    assert "kdriver: kernel '6.1.0-57-amd64' is not in the index" in said and "hint: The nearest are 6.1.0-5" in said


def test_without_an_index_the_hint_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path / "none"))
    assert run(["index", "list"]) == 3
    said = capsys.readouterr().err
    assert "there is no kernel index in" in said and "hint: Run `kdriver index update` first." in said


def test_a_broken_index_is_said_so(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (index / "index.sqlite").write_bytes(b"no database" * 1000)
    assert run(["index", "list"]) == 2
    said = capsys.readouterr().err
    assert "index.sqlite: the kernel index cannot be read" in said and "hint: " in said


@pytest.mark.parametrize("words", [[], ["update"], ["list"], ["show"]])
def test_every_command_explains_itself(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", *words, "--help"]) == 0
    assert "Usage: kdriver index" in capsys.readouterr().out
