"""A file of images says what it carries before anything of it is used; the rest is tested on real engines."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from builder.images.exchange import MANIFEST, CarriedImage, read_manifest
from kdriver.core.errors import ConfigError, IntegrityError

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
