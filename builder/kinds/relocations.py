"""Relocations of a module, as loaders of all kernels know them.

Since binutils 2.31 the assembler marks direct calls of x86_64 as R_X86_64_PLT32, where it wrote R_X86_64_PC32 before.
In a kernel there is no procedure linkage table, and loaders that know both treat them alike; but those before 4.16
(b21ebf2fb4cd, and stable kernels of early 2018) refuse a module with the former: "Unknown rela relocation: 4". Seen on
3.10.0-514.el7; 3.10.0-1160.el7 knows it.
"""

from __future__ import annotations

import io
import struct

from elftools.elf.elffile import ELFFile

_PC32 = 2
_PLT32 = 4
_ENTRY_BYTES = 24
_TYPE_AT = 8
"""struct Elf64_Rela: u64 r_offset, u32 type and u32 symbol (r_info), s64 r_addend."""


def without_plt_calls(module: bytes) -> bytes:
    """The same x86_64 module with R_X86_64_PC32 in place of R_X86_64_PLT32. Raises elftools' ELFError."""
    content = bytearray(module)
    for section in ELFFile(io.BytesIO(module)).iter_sections():
        if section["sh_type"] != "SHT_RELA":
            continue
        start = section["sh_offset"]
        for entry in range(start, start + section["sh_size"], _ENTRY_BYTES):
            (kind,) = struct.unpack_from("<I", content, entry + _TYPE_AT)
            if kind == _PLT32:
                struct.pack_into("<I", content, entry + _TYPE_AT, _PC32)
    return bytes(content)
