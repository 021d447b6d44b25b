"""A kernel module file that no compiler made: an ELF object with just what a loader reads."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_SHT_PROGBITS, _SHT_SYMTAB, _SHT_STRTAB, _SHT_NOTE = 1, 2, 3, 7
_HEADER_BYTES, _SECTION_BYTES = 64, 64


def module_file(
    *,
    vermagic: str = "6.1.0-56-amd64 SMP preempt mod_unload modversions ",
    versions: Mapping[str, int] | None = None,
    srcversion: str = "0123456789ABCDEF0123456",
    build_id: bytes = b"",
    version: str = "0.1.0",
) -> bytes:
    """An x86_64 relocatable file with .modinfo, __versions, a build id note and undefined symbols for `versions`."""
    needed = {"module_layout": 0x11111111, "register_thing": 0x22222222} if versions is None else versions
    modinfo = b"".join(
        f"{name}={value}".encode() + b"\0"
        for name, value in (("version", version), ("srcversion", srcversion), ("vermagic", vermagic))
        if value
    )
    crcs = b"".join(struct.pack("<Q56s", crc, name.encode()) for name, crc in needed.items())
    names = b"\0" + b"".join(name.encode() + b"\0" for name in needed)
    symbols = bytes(24)
    for name in needed:
        symbols += struct.pack("<IBBHQQ", names.index(b"\0" + name.encode() + b"\0") + 1, 0x10, 0, 0, 0, 0)
    sections = [
        (".modinfo", _SHT_PROGBITS, modinfo, 0, 0),
        ("__versions", _SHT_PROGBITS, crcs, 0, 0),
        (".symtab", _SHT_SYMTAB, symbols, 4, 24),
        (".strtab", _SHT_STRTAB, names, 0, 0),
    ]
    if build_id:
        note = struct.pack("<III4s", 4, len(build_id), 3, b"GNU\0") + build_id
        sections.append((".note.gnu.build-id", _SHT_NOTE, note, 0, 0))
    return _elf(sections)


def _elf(sections: list[tuple[str, int, bytes, int, int]]) -> bytes:
    table = b"\0" + b"".join(name.encode() + b"\0" for name, *_ in sections) + b".shstrtab\0"
    named = [*sections, (".shstrtab", _SHT_STRTAB, table, 0, 0)]
    body = b""
    headers = bytes(_SECTION_BYTES)
    for name, kind, content, link, entry_bytes in named:
        at = _HEADER_BYTES + len(body)
        offset = table.index(b"\0" + name.encode() + b"\0") + 1
        headers += struct.pack("<IIQQQQIIQQ", offset, kind, 0, 0, at, len(content), link, 1, 1, entry_bytes)
        body += content
    count = len(named) + 1
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, _HEADER_BYTES + len(body), 0, 64, 0, 0, 64, count, count - 1
    )
    return header + body + headers
