"""The kernel is found by the setup header, unpacked from each format, and never half written."""

from __future__ import annotations

import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from kdriver.core.errors import ExitCode, IntegrityError
from kdriver.inspect.vmlinux import extract_vmlinux, has_pvh_note

LZ4_LEGACY = struct.pack("<I", 0x184C2102)


def elf_with_note(name: bytes, kind: int) -> bytes:
    """A 64-bit ELF with one PT_NOTE segment that holds one note."""
    note = struct.pack("<III", len(name) + 1, 8, kind) + (name + b"\0").ljust((len(name) + 4) & ~3, b"\0") + bytes(8)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    program = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4)
    return header + program + note + b"kernel " * 1000


VMLINUX = elf_with_note(b"Xen", 18)


def with_size(content: bytes) -> bytes:
    return content + struct.pack("<I", len(VMLINUX))


def lz4_block() -> bytes:
    """VMLINUX as one block: literals, then a match that overlaps itself, then the last literals."""
    tail = VMLINUX.index(b"kernel ")
    literals = VMLINUX[: tail + 7]
    match = len(VMLINUX) - len(literals) - 5
    block = bytes([0xFF]) + b"\xff" * ((len(literals) - 15) // 255) + bytes([(len(literals) - 15) % 255]) + literals
    block += struct.pack("<H", 7) + b"\xff" * ((match - 19) // 255) + bytes([(match - 19) % 255])
    return block + bytes([5 << 4]) + VMLINUX[-5:]


def lz4_legacy() -> bytes:
    block = lz4_block()
    return with_size(LZ4_LEGACY + struct.pack("<I", len(block)) + block)


def damaged_lz4() -> bytes:
    """A match that lies before the block."""
    block = bytes([1 << 4]) + b"x" + struct.pack("<H", 9) + bytes([5 << 4]) + b"lasts"
    return with_size(LZ4_LEGACY + struct.pack("<I", len(block)) + block)


def bzimage(payload: bytes, *, sectors: int = 3) -> bytes:
    """An image with that payload 0x40 bytes after `sectors` sectors of setup code and the boot sector."""
    setup = bytearray((sectors + 1) * 512 + 0x40)
    setup[0x1F1] = sectors
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, 0x020F)
    struct.pack_into("<II", setup, 0x248, 0x40, len(payload))
    return bytes(setup) + payload + b"after"


@pytest.mark.parametrize(
    "compress",
    [
        pytest.param(lambda: gzip.compress(VMLINUX), id="gzip"),
        pytest.param(lambda: with_size(lzma.compress(VMLINUX, format=lzma.FORMAT_XZ)), id="xz"),
        pytest.param(lambda: with_size(zstd.compress(VMLINUX)), id="zstd"),
        pytest.param(lz4_legacy, id="lz4-legacy"),
    ],
)
def test_kernel_is_unpacked_from_every_format(compress: Callable[[], bytes], tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(bzimage(compress()))
    out = extract_vmlinux(image, tmp_path / "deep" / "vmlinux")
    assert out.read_bytes() == VMLINUX
    assert [path.name for path in out.parent.iterdir()] == ["vmlinux"]


def test_an_image_that_is_already_an_elf_is_taken_as_it_is(tmp_path: Path) -> None:
    image = tmp_path / "vmlinux.in"
    image.write_bytes(VMLINUX)
    assert extract_vmlinux(image, tmp_path / "vmlinux").read_bytes() == VMLINUX


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"nothing", "is no bzImage", id="no header"),
        pytest.param(bzimage(b"unknown!" * 4), "compressed in an unknown way", id="unknown format"),
        pytest.param(bzimage(gzip.compress(VMLINUX))[:-50], "is cut short", id="cut short"),
        pytest.param(bzimage(with_size(zstd.compress(VMLINUX)[:-9])), "damaged", id="damaged zstd"),
        pytest.param(bzimage(damaged_lz4()), "an LZ4 block: ", id="damaged lz4"),
        pytest.param(bzimage(zstd.compress(VMLINUX) + struct.pack("<I", 7)), "7 were promised", id="other size"),
        pytest.param(bzimage(gzip.compress(b"no elf" * 99)), "is no ELF file", id="no elf"),
    ],
)
def test_a_bad_image_is_refused_and_nothing_is_written(content: bytes, says: str, tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(content)
    with pytest.raises(IntegrityError, match=says) as caught:
        extract_vmlinux(image, tmp_path / "out" / "vmlinux")
    assert caught.value.message.startswith("vmlinuz: ")
    assert caught.value.exit_code is ExitCode.INTEGRITY
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        pytest.param(b"Xen", 18, True, id="entry"),
        pytest.param(b"Xen", 5, False, id="another Xen note"),
        pytest.param(b"GNU", 18, False, id="another owner"),
    ],
)
def test_pvh_note_is_xens_entry_note(name: bytes, kind: int, expected: bool, tmp_path: Path) -> None:
    vmlinux = tmp_path / "vmlinux"
    vmlinux.write_bytes(elf_with_note(name, kind))
    assert has_pvh_note(vmlinux) is expected


def test_pvh_note_of_something_else_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(b"MZ" + bytes(100))
    with pytest.raises(IntegrityError, match="is no 64-bit little-endian ELF file"):
        has_pvh_note(path)
