"""The uncompressed kernel inside a bzImage: extracted by its setup header, without scanning for magic numbers.

Source of the layout: Documentation/arch/x86/boot.rst of Linux (setup_sects at 0x1f1, "HdrS" at 0x202, boot protocol
at 0x206, payload_offset and payload_length at 0x248); the payload is a compressed ELF followed, for every format but
gzip, by its uncompressed size as a little-endian u32 (scripts/Makefile.lib, size_append).
"""

from __future__ import annotations

import lzma
import os
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from kdriver.core.errors import IntegrityError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_SETUP_SECTS = 0x1F1
_HEADER_MAGIC = 0x202
_PROTOCOL = 0x206
_VERSION_POINTER = 0x20E
_PAYLOAD = 0x248
_PAYLOAD_SINCE_PROTOCOL = 0x0208
_SECTOR_BYTES = 512
_ELF_MAGIC = b"\x7fELF"
_LZ4_LEGACY_BLOCK_BYTES = 8 << 20
_LZ4_LEGACY_MAGIC = 0x184C2102
_MAX_KERNEL_BYTES = 512 << 20
_XEN_PHYS32_ENTRY = 18
_PT_NOTE = 4


def extract_vmlinux(image: Path, out: Path) -> Path:
    """Write the uncompressed kernel ELF of `image` (a bzImage, or already an ELF) to `out` and return `out`.

    `out` is replaced atomically: a reader never sees half a kernel. Raises IntegrityError when the image is no
    bzImage, its payload is damaged or compressed in an unknown way; OSError when `out` cannot be written.
    """
    content = image.read_bytes()
    elf = content if content.startswith(_ELF_MAGIC) else _unpack(image.name, _payload(image.name, content))
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(elf)
        Path(partial).chmod(0o644)
        Path(partial).replace(out)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return out


def kernel_version(image: Path) -> tuple[str, str]:
    """What a kernel's file says of itself without being started: its `uname -r` and `uname -v`; empty where it does not
    say. A bzImage has both in its setup header (kernel_version at 0x20e), an ELF in its banner (init/version.c).

    Raises OSError.
    """
    content = image.read_bytes()
    if content.startswith(_ELF_MAGIC):
        found = re.search(rb"Linux version (\S+) \([^\0\n]*\) (#[^\0\n]*)\n", content)
        return (found[1].decode("ascii", "replace"), found[2].decode("ascii", "replace")) if found else ("", "")
    if content[_HEADER_MAGIC : _HEADER_MAGIC + 4] != b"HdrS":
        return ("", "")
    (pointer,) = struct.unpack_from("<H", content, _VERSION_POINTER)
    at = pointer + _SECTOR_BYTES
    text = content[at : at + 512].split(b"\0", 1)[0].decode("ascii", "replace") if pointer else ""
    release, _, rest = text.partition(" ")
    return release, rest[rest.index("#") :] if "#" in rest else ""


def has_pvh_note(vmlinux: Path) -> bool:
    """Whether a kernel ELF can be started by QEMU's `-kernel` through PVH: it has Xen's PHYS32_ENTRY note.

    Source: arch/x86/platform/pvh/head.S (CONFIG_PVH). Raises IntegrityError when the file is no 64-bit ELF.
    """
    with vmlinux.open("rb") as file:
        header = file.read(64)
        if len(header) < 64 or not header.startswith(_ELF_MAGIC + b"\x02\x01"):
            raise IntegrityError(f"{vmlinux.name}: is no 64-bit little-endian ELF file")
        (table,) = struct.unpack_from("<Q", header, 32)
        entry_bytes, count = struct.unpack_from("<HH", header, 54)
        file.seek(table)
        programs = file.read(entry_bytes * count)
        for index in range(len(programs) // entry_bytes if entry_bytes else 0):
            kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", programs, index * entry_bytes)
            if kind == _PT_NOTE:
                file.seek(offset)
                if _notes_hold_entry(file.read(min(size, 1 << 20))):
                    return True
    return False


def _notes_hold_entry(notes: bytes) -> bool:
    at = 0
    while at + 12 <= len(notes):
        name_bytes, desc_bytes, kind = struct.unpack_from("<III", notes, at)
        name = notes[at + 12 : at + 12 + name_bytes].rstrip(b"\0")
        if name == b"Xen" and kind == _XEN_PHYS32_ENTRY:
            return True
        at += 12 + (name_bytes + 3 & ~3) + (desc_bytes + 3 & ~3)
    return False


def _payload(name: str, image: bytes) -> bytes:
    """The compressed kernel within a bzImage."""
    if len(image) < _PAYLOAD + 8 or image[_HEADER_MAGIC : _HEADER_MAGIC + 4] != b"HdrS":
        raise IntegrityError(f"{name}: is no bzImage: the setup header's magic number is missing")
    (protocol,) = struct.unpack_from("<H", image, _PROTOCOL)
    if protocol < _PAYLOAD_SINCE_PROTOCOL:
        raise IntegrityError(
            f"{name}: boot protocol {protocol >> 8}.{protocol & 255:02d} does not say where the kernel is"
        )
    # A setup_sects of zero means four, by the protocol.
    setup_bytes = ((image[_SETUP_SECTS] or 4) + 1) * _SECTOR_BYTES
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    payload = image[setup_bytes + offset : setup_bytes + offset + length]
    if len(payload) != length or length < 8:
        raise IntegrityError(
            f"{name}: is cut short: {len(payload)} of {length} bytes of the compressed kernel are there"
        )
    return payload


def _unpack(name: str, payload: bytes) -> bytes:
    decompress = next((one for magic, one in _DECOMPRESSORS if payload.startswith(magic)), None)
    if decompress is None:
        raise IntegrityError(f"{name}: the kernel is compressed in an unknown way (it begins with {payload[:4].hex()})")
    try:
        elf = decompress(payload)
    except (lzma.LZMAError, zlib.error, zstd.ZstdError, EOFError, struct.error, ValueError, IndexError) as error:
        raise IntegrityError(f"{name}: the compressed kernel is damaged: {error}") from error
    if not elf.startswith(_ELF_MAGIC):
        raise IntegrityError(f"{name}: the payload is no ELF file")
    # gzip's own trailer is the size as well, so the last four bytes of the payload are the size in every format.
    (size,) = struct.unpack_from("<I", payload, len(payload) - 4)
    if size != len(elf):
        raise IntegrityError(f"{name}: the kernel has {len(elf)} bytes uncompressed, {size} were promised")
    return elf


def _gunzip(payload: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    return _whole(stream.decompress(payload, _MAX_KERNEL_BYTES), stream.eof)


def _unxz(payload: bytes) -> bytes:
    stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    return _whole(stream.decompress(payload, _MAX_KERNEL_BYTES), stream.eof)


def _unzstd(payload: bytes) -> bytes:
    stream = zstd.ZstdDecompressor()
    return _whole(stream.decompress(payload, _MAX_KERNEL_BYTES), stream.eof)


def _whole(kernel: bytes, at_end: bool) -> bytes:
    if not at_end:
        raise ValueError("the stream does not end")
    return kernel


def _unlz4_legacy(payload: bytes) -> bytes:
    """Blocks of a u32 size and that many bytes; source: doc/lz4_Frame_format.md of LZ4."""
    import lz4.block

    out = bytearray()
    at, end = 4, len(payload) - 4
    while at < end:
        (size,) = struct.unpack_from("<I", payload, at)
        at += 4
        if size == _LZ4_LEGACY_MAGIC:  # frames may be concatenated
            continue
        if at + size > end:
            raise ValueError("an LZ4 block runs past the end")
        try:
            out += lz4.block.decompress(payload[at : at + size], uncompressed_size=_LZ4_LEGACY_BLOCK_BYTES)
        except lz4.block.LZ4BlockError as error:
            raise ValueError(f"an LZ4 block: {error}") from error
        at += size
    return bytes(out)


_DECOMPRESSORS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", _gunzip),
    (b"\xfd7zXZ\0", _unxz),
    (b"\x28\xb5\x2f\xfd", _unzstd),
    (struct.pack("<I", _LZ4_LEGACY_MAGIC), _unlz4_legacy),
)
