"""The index as a document, and kernels that no crawl found."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError
from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.exchange import add_kernels, export_index, read_document, read_export, read_kernels, store_kernels
from kernel_index.store import RowIndex, SuiteState, load_index, write_row

HEADERS = Package(PackageRole.HEADERS, "headers", "1", "amd64", "main", "pool/headers.deb", 1, "a" * 64)
STRANGE = dataclasses.replace(HEADERS, archive="", path="http://x.example/h.deb", sha256="", authenticated=False)
IMAGE = dataclasses.replace(STRANGE, role=PackageRole.IMAGE, name="image")
KERNEL = Kernel(
    "debian", "debian12", "6.1.0-56-amd64", "6.1.192-2", "6.1.192-2", "x86_64", "amd64", (HEADERS,),
    compiler="gcc-12", first_seen="2026-11-01", last_seen="2026-11-22", named_by=("linux-image-amd64",),
)  # fmt: skip
ROW = RowIndex("debian12", "2026-11-22T10:00:00+00:00", (SuiteState("bookworm", "main", "fetched"),), (KERNEL,))


def test_what_is_exported_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "index.json"
    file.write_text(json.dumps(export_index([ROW])))
    assert read_export(read_document(file), "index.json") == (ROW,)
    assert read_kernels(file) == (KERNEL,)
    assert read_kernels(file, "debian12") == (KERNEL,)
    assert read_kernels(file, "ubuntu") == ()


def test_an_import_never_replaces_what_signed_metadata_said() -> None:
    found = dataclasses.replace(KERNEL, packages=(STRANGE, IMAGE), authenticated=False, compiler="", named_by=())
    (kernel,) = add_kernels(ROW, [found], "2026-11-23").kernels
    assert kernel.packages == (HEADERS, IMAGE)
    assert not kernel.authenticated
    assert dataclasses.replace(kernel, packages=(HEADERS,), authenticated=True) == KERNEL


def test_kernels_are_added_to_the_index_once(tmp_path: Path) -> None:
    write_row(ROW, tmp_path)
    new = dataclasses.replace(KERNEL, release="6.1.0-1-amd64", packages=(STRANGE,), authenticated=False)
    assert store_kernels([new, KERNEL], tmp_path) == (new,)
    assert store_kernels([new], tmp_path) == ()
    (row,) = load_index(tmp_path)
    assert row.kernels == (KERNEL, new)
    assert row.suites == ROW.suites


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("{", "no JSON document", id="not JSON"),
        pytest.param("[]", "no exported index", id="another document"),
        pytest.param('{"format": 9, "distributions": []}', "format 9, 1 was expected", id="of a later kdriver"),
        pytest.param('{"format": 1, "distributions": [{"format": 2}]}', "distro_release", id="a row without its id"),
        pytest.param('{"format": 1, "distributions": [7]}', "TypeError", id="a row that is none"),
    ],
)
def test_a_document_of_another_form_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_kernels(file)
    assert fault in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2
