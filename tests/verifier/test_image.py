"""The bootable kernel comes out of the image package, once for each package."""

from __future__ import annotations

import gzip
import struct
import tarfile
from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError, IntegrityError, NotFoundError
from kdriver.verifier.image import kernel_from_file, kernel_from_package
from tests.fakes.debs import write_deb

RELEASE = "1.2.3-tiny-amd64"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))


def _elf(*, pvh: bool) -> bytes:
    """A 64-bit ELF with one note: Xen's entry address, or another."""
    note = struct.pack("<III4sI", 4, 4, 18 if pvh else 6, b"Xen\0", 0x1000000)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4) + note


def _bzimage(payload: bytes) -> bytes:
    """A boot header (protocol 2.15, one setup sector) and the payload after it."""
    image = bytearray(2 * 512)
    image[0x1F1] = 1
    image[0x202:0x208] = b"HdrS" + struct.pack("<H", 0x020F)
    struct.pack_into("<II", image, 0x248, 0, len(payload))
    return bytes(image) + payload


def _package(tmp_path: Path, image: bytes, name: str = f"./boot/vmlinuz-{RELEASE}") -> Path:
    members = [(name, tarfile.REGTYPE, image), ("./lib/modules/x.ko", tarfile.REGTYPE, b"module")]
    return write_deb(tmp_path / "linux-image.deb", members)


def test_a_kernel_with_a_pvh_note_is_kept_uncompressed(tmp_path: Path) -> None:
    elf = _elf(pvh=True)
    kernel = kernel_from_package(_package(tmp_path, _bzimage(gzip.compress(elf))), RELEASE)
    assert (kernel.pvh, kernel.release) == (True, RELEASE)
    assert kernel.path.read_bytes() == elf
    assert sorted(path.name for path in kernel.path.parent.iterdir()) == ["vmlinux"]


def test_a_kernel_without_a_pvh_note_stays_compressed(tmp_path: Path) -> None:
    image = _bzimage(gzip.compress(_elf(pvh=False)))
    kernel = kernel_from_package(_package(tmp_path, image), RELEASE)
    assert not kernel.pvh
    assert kernel.path.read_bytes() == image
    assert sorted(path.name for path in kernel.path.parent.iterdir()) == ["bzImage"]


def test_a_compression_that_is_unknown_is_left_to_the_kernel(tmp_path: Path) -> None:
    image = _bzimage(b"what is this compression?")
    assert kernel_from_package(_package(tmp_path, image), RELEASE).path.read_bytes() == image


def test_a_package_is_unpacked_once(tmp_path: Path) -> None:
    package = _package(tmp_path, _bzimage(gzip.compress(_elf(pvh=True))))
    first = kernel_from_package(package, RELEASE)
    before = first.path.stat().st_ino
    assert kernel_from_package(package, RELEASE) == first
    assert first.path.stat().st_ino == before
    assert not [path for path in first.path.parent.parent.iterdir() if path.name.startswith(".")]


def test_a_kernel_beside_the_modules_is_found(tmp_path: Path) -> None:
    image = _bzimage(gzip.compress(_elf(pvh=True)))
    package = _package(tmp_path, image, f"./usr/lib/modules/{RELEASE}/vmlinuz")
    assert kernel_from_package(package, RELEASE).pvh


def test_a_package_of_another_release_is_refused(tmp_path: Path) -> None:
    package = _package(tmp_path, _bzimage(b""), "./boot/vmlinuz-9.9.9")
    with pytest.raises(NotFoundError) as caught:
        kernel_from_package(package, RELEASE)
    assert caught.value.message.startswith(f"linux-image.deb: {RELEASE}: no kernel in the unpacked package")
    assert caught.value.exit_code == 3


def test_a_damaged_package_is_an_integrity_error(tmp_path: Path) -> None:
    package = _package(tmp_path, _bzimage(gzip.compress(_elf(pvh=True))))
    package.write_bytes(package.read_bytes()[:-200])
    with pytest.raises(IntegrityError) as caught:
        kernel_from_package(package, RELEASE)
    assert caught.value.exit_code == 6
    assert not list((tmp_path / "cache" / "images").glob("*/*/*"))


def test_something_that_is_no_kernel_is_refused(tmp_path: Path) -> None:
    package = _package(tmp_path, b"not a kernel at all")
    with pytest.raises(IntegrityError, match="is no bzImage"):
        kernel_from_package(package, RELEASE)


def test_another_kind_of_package_is_refused_with_a_hint(tmp_path: Path) -> None:
    package = tmp_path / "kernel.rpm"
    package.write_bytes(b"rpm")
    with pytest.raises(ConfigError) as caught:
        kernel_from_package(package, RELEASE)
    assert caught.value.message == "kernel.rpm: is no Debian package"
    assert caught.value.hint == "Name the kernel file itself with --kernel-image FILE --release RELEASE."


def test_a_named_file_may_be_either_form(tmp_path: Path) -> None:
    for name, content in (("a", _elf(pvh=True)), ("b", _bzimage(gzip.compress(_elf(pvh=True))))):
        (tmp_path / name).write_bytes(content)
        assert kernel_from_file(tmp_path / name, RELEASE).path.read_bytes() == _elf(pvh=True)


def test_an_uncompressed_kernel_that_qemu_cannot_start_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_bytes(_elf(pvh=False))
    with pytest.raises(IntegrityError) as caught:
        kernel_from_file(tmp_path / "vmlinux", RELEASE)
    assert "without a PVH note" in caught.value.message
    assert caught.value.hint == "Name the compressed kernel (bzImage) instead."


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such kernel image"):
        kernel_from_file(tmp_path / "nothing", RELEASE)
