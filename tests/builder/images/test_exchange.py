"""A file of images says what it carries before anything of it is used; the rest is tested on real engines."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from builder.images.exchange import MANIFEST, CarriedImage, archive_names, check_names, read_manifest
from kdriver.core.errors import ConfigError, IntegrityError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

IMAGE = {
    "name": "debian13",
    "reference": "kdriver/debian13:abc",
    "file": "debian13.tar.zst",
    "sha256": "0" * 64,
    "size_bytes": 5,
    "layers": ["sha256:1"],
}


def write(path: Path, document: Any, *, name: str = MANIFEST) -> Path:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


def test_manifest_names_each_image_with_its_digests(tmp_path: Path) -> None:
    file = write(tmp_path / "images.tar", {"format": 1, "images": [IMAGE]})
    assert read_manifest(file) == (
        CarriedImage("debian13", "kdriver/debian13:abc", "debian13.tar.zst", "0" * 64, 5, ("sha256:1",)),
    )


def test_a_root_file_system_carries_no_manifest(tmp_path: Path) -> None:
    assert read_manifest(write(tmp_path / "root.tar", b"", name="etc/passwd")) == ()


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"{", id="no JSON"),
        pytest.param({"images": []}, id="no format"),
        pytest.param({"format": 1, "images": [{"name": "debian13"}]}, id="an image without digests"),
        pytest.param({"format": 1, "images": [{**IMAGE, "more": 1}]}, id="an image with more"),
    ],
)
def test_a_manifest_of_another_shape_is_refused(document: Any, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="is not what kdriver images export writes"):
        read_manifest(write(tmp_path / "images.tar", document))


def test_a_newer_format_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="is of format 2, 1 was expected") as caught:
        read_manifest(write(tmp_path / "images.tar", {"format": 2, "images": []}))
    assert caught.value.hint == "Use a newer kdriver."


def test_what_is_no_archive_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive\n")
    with pytest.raises(ConfigError, match="is no tar archive"):
        read_manifest(tmp_path / "text")
    with pytest.raises(ConfigError, match="there is no such file"):
        read_manifest(tmp_path / "nothing")


def test_folder_is_no_file_of_images(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        read_manifest(tmp_path)


def saved(
    tmp_path: Path, members: dict[str, Any], *, reference: str = "kdriver/debian13:abc"
) -> tuple[Path, CarriedImage]:
    """A file with one image whose own archive has those documents."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        add(tar, "layer.tar", b"x" * 5000)
        for name, document in members.items():
            add(tar, name, json.dumps(document).encode())
    file = tmp_path / "images.tar"
    with tarfile.open(file, "w") as tar:
        add(tar, "debian13.tar.zst", zstd.compress(inner.getvalue()))
    return file, CarriedImage("debian13", reference, "debian13.tar.zst", "0" * 64, 5, ())


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


OWN = {
    "manifest.json": [{"RepoTags": ["localhost/kdriver/debian13:abc"]}],
    "repositories": {"kdriver/debian13": {"abc": "1"}},
}
OTHER_INDEX = {"manifests": [{"annotations": {"io.containerd.image.name": "docker.io/library/debian:12"}}]}


def test_an_image_that_calls_itself_what_the_document_says_is_taken(tmp_path: Path) -> None:
    check_names(*saved(tmp_path, OWN))
    check_names(*saved(tmp_path, {"manifest.json": [{"RepoTags": None}]}))


@pytest.mark.parametrize(
    ("members", "named"),
    [
        pytest.param(
            {"manifest.json": [*OWN["manifest.json"], {"RepoTags": ["debian:12"]}]}, "debian:12", id="manifest"
        ),
        pytest.param(
            {**OWN, "repositories": {"kdriver/centos7": {"current": "1"}}}, "kdriver/centos7:current", id="old list"
        ),
        pytest.param({**OWN, "index.json": OTHER_INDEX}, "library/debian:12", id="OCI index"),
        pytest.param({"./manifest.json": [{"RepoTags": ["debian:12"]}]}, "debian:12", id="a dot in front"),
        pytest.param({"/manifest.json": [{"RepoTags": ["debian:12"]}]}, "debian:12", id="from the root"),
        pytest.param({"x/../manifest.json": [{"RepoTags": ["debian:12"]}]}, "debian:12", id="there and back"),
    ],
)
def test_an_archive_that_would_take_another_name_is_refused(
    members: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(IntegrityError, match=f"would also take the name {named}; nothing of it was taken"):
        check_names(*saved(tmp_path, members))


@pytest.mark.parametrize(
    "reference", ["debian:12", "kdriver/centos7:abc", "kdriver/debian13", "x/kdriver/debian13:abc"]
)
def test_an_image_must_be_called_by_its_row(reference: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="calls itself"):
        check_names(*saved(tmp_path, OWN, reference=reference))


def test_names_of_a_damaged_archive_are_none(tmp_path: Path) -> None:
    with pytest.raises(tarfile.TarError):
        archive_names(io.BytesIO(b"x" * 2000))


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"manifest.json": [{"RepoTags": ["debian:12"]}, " " * (1 << 20)]}, id="too large to be read"),
        pytest.param({**OWN, "./manifest.json": [{"RepoTags": None}]}, id="there twice"),
        pytest.param({**OWN, "link/manifest.json": [{"RepoTags": ["debian:12"]}]}, id="below a folder"),
    ],
)
def test_names_that_an_engine_could_read_in_another_way_are_refused(members: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"is no archive of an image: .*manifest\.json"):
        check_names(*saved(tmp_path, members))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[{"RepoTags": ["kdriver/debian13:abc"], "repoTags": ["debian:12"]}]', id="another case"),
        pytest.param('[{"RepoTags": ["debian:12"], "RepoTags": ["kdriver/debian13:abc"]}]', id="twice"),
    ],
)
def test_keys_that_an_engine_takes_for_one_are_refused(text: str) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        add(tar, "manifest.json", text.encode())
    inner.seek(0)
    with pytest.raises(ValueError, match="not everybody reads alike"):
        archive_names(inner)


@pytest.mark.parametrize("where", ["of all", "of one"])
def test_names_in_headers_that_engines_read_in_another_way_are_refused(where: str) -> None:
    inner = io.BytesIO()
    one_for_all = {"path": "other"} if where == "of all" else {}
    with tarfile.open(fileobj=inner, mode="w", format=tarfile.PAX_FORMAT, pax_headers=one_for_all) as tar:
        info = tarfile.TarInfo("manifest.json")
        if where == "of one":
            info.pax_headers = {"GNU.sparse.name": "other"}
        content = b'[{"RepoTags": ["debian:12"]}]'
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    inner.seek(0)
    with pytest.raises(ValueError, match="not everybody reads alike"):
        archive_names(inner)


def test_names_behind_a_link_are_refused(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        add(tar, "other.json", json.dumps([{"RepoTags": ["debian:12"]}]).encode())
        link = tarfile.TarInfo("manifest.json")
        link.type, link.linkname = tarfile.SYMTYPE, "other.json"
        tar.addfile(link)
    inner.seek(0)
    with pytest.raises(ValueError, match="no plain file"):
        archive_names(inner)


def test_archive_that_ends_too_early_is_one_clear_line(tmp_path: Path) -> None:
    whole, carried = saved(tmp_path, OWN)
    with tarfile.open(whole) as tar:
        content = tar.extractfile(carried.file)
        assert content is not None
        packed = content.read()
    file = tmp_path / "cut.tar"
    with tarfile.open(file, "w") as tar:
        add(tar, carried.file, packed[: len(packed) - 9])
    with pytest.raises(IntegrityError, match="is no archive of an image"):
        check_names(file, carried)
