"""The index on disk: fast for what is asked of it, taken over from older versions, honest when it is broken."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from kdriver.core.errors import NotFoundError
from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.query import find_kernels, select_kernels
from kernel_index.store import FILE_NAME, RowIndex, SuiteState, load_index, load_kernels, opened, write_row

STATES = (SuiteState("bookworm", "main", "fetched", date="2026-11-22T00:00:00+00:00", checked="2026-11-22"),)


@pytest.fixture(autouse=True)
def own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table that ships with kdriver."""
    monkeypatch.delenv("KDRIVER_DISTROS", raising=False)


def kernel(number: int, row: str = "debian12", arch: str = "x86_64", *named_by: str) -> Kernel:
    """A kernel with five packages, as most have."""
    release, version = f"6.1.{number}-1-amd64", f"6.1.{number}-1"
    packages = tuple(
        Package(role, f"linux-{role}-{release}", version, "amd64", "main", f"pool/main/l/linux/{role}.deb", 1, "0" * 64)
        for role in PackageRole
    )
    return Kernel("debian", row, release, version, version, arch, "amd64", packages, named_by=named_by)


def test_an_index_is_written_and_read_back(tmp_path: Path) -> None:
    index = RowIndex("debian12", "2026-11-22T00:00:00+00:00", STATES, (kernel(1), kernel(2, "debian12", "aarch64")))
    write_row(index, tmp_path)
    assert load_index(tmp_path) == (index,)
    assert load_kernels(tmp_path) == index.kernels


def test_it_exports_to_plain_json_and_back(tmp_path: Path) -> None:
    index = RowIndex("debian12", "2026-11-22T00:00:00+00:00", STATES, (kernel(1),))
    assert RowIndex.from_json(json.loads(json.dumps(index.to_json()))) == index
    del tmp_path


def test_what_an_older_kdriver_wrote_is_taken_over(tmp_path: Path) -> None:
    index = RowIndex("debian12", "2026-11-22T00:00:00+00:00", STATES, (kernel(1),))
    old = index.to_json() | {"format": 1}
    for package in old["kernels"][0]["packages"]:
        for new_key in ("state", "authenticated", "sha512"):
            del package[new_key]
    del old["kernels"][0]["gone"]
    (tmp_path / "debian12.json").write_text(json.dumps(old))
    assert load_index(tmp_path) == (index,)
    assert (tmp_path / FILE_NAME).exists() and (tmp_path / "debian12.json").exists()


def test_an_update_that_is_not_finished_is_not_seen(tmp_path: Path) -> None:
    write_row(RowIndex("debian12", "then", STATES, (kernel(1),)), tmp_path)
    with opened(tmp_path) as store:
        store.put_row(RowIndex("debian12", "now", STATES, ()))
    assert load_kernels(tmp_path) == (kernel(1),)


def test_a_query_reads_what_select_would_choose(tmp_path: Path) -> None:
    kernels = (kernel(1), kernel(2, "debian12", "x86_64", "linux-image-amd64"), kernel(3, "debian12", "aarch64"))
    write_row(RowIndex("debian12", "now", STATES, kernels), tmp_path)
    assert find_kernels(tmp_path) == select_kernels(kernels)
    for words in ("newest", "newest:6.1", "6.1.1-1-amd64", kernels[0].key):
        assert find_kernels(tmp_path, kernel=words) == select_kernels(kernels, kernel=words)
    with pytest.raises(NotFoundError) as caught:
        find_kernels(tmp_path, kernel="6.1.4-1-amd64")
    assert caught.value.hint and "6.1.1-1-amd64" in caught.value.hint


def test_fifty_thousand_kernels_are_queried_in_a_tenth_of_a_second(tmp_path: Path) -> None:
    for row in ("debian11", "debian12"):
        named = ("linux-image-amd64",)
        kernels = tuple(kernel(number, row, "x86_64", *(named if number == 7 else ())) for number in range(25_000))
        write_row(RowIndex(row, "now", STATES, kernels), tmp_path)
    for words in ("newest", "6.1.20000-1-amd64"):
        took = []
        for _ in range(5):
            started = time.process_time()
            (found,) = find_kernels(tmp_path, distro="debian12", kernel=words)
            took.append(time.process_time() - started)
        assert found.distro_release == "debian12"
        assert min(took) < 0.1
