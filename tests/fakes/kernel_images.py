"""Kernel images that say who they are and hold nothing that runs."""

from __future__ import annotations

import gzip
import struct

BANNER = "#1 SMP Tiny 1.2.3-1 (2026-01-01)"


def vmlinux(release: str = "", *, pvh: bool = True) -> bytes:
    """A 64-bit ELF with one note (Xen's entry address for PVH, or another) and the kernel's banner behind it."""
    note = struct.pack("<III4sI", 4, 4, 18 if pvh else 6, b"Xen\0", 0x1000000)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    elf = head + struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4) + note
    banner = f"Linux version {release} (me@here) (gcc (Tiny 12.2.0) 12.2.0, GNU ld) {BANNER}\n\0"
    return elf + (banner.encode() if release else b"")


def bzimage(release: str = "", payload: bytes | None = None) -> bytes:
    """A boot header (protocol 2.15, one setup sector, the version's text) and a compressed kernel after it."""
    image = bytearray(2 * 512)
    image[0x1F1] = 1
    image[0x202:0x208] = b"HdrS" + struct.pack("<H", 0x020F)
    payload = gzip.compress(vmlinux(release)) if payload is None else payload
    struct.pack_into("<II", image, 0x248, 0, len(payload))
    if release:
        text = f"{release} (me@here) {BANNER}".encode()
        struct.pack_into("<H", image, 0x20E, 0x300 - 0x200)
        image[0x300 : 0x300 + len(text)] = text
    return bytes(image) + payload
