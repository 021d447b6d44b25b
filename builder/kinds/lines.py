"""Line numbers of an eBPF object, which no loader needs.

Clang writes into .BTF.ext where in the source each instruction comes from. The kernel would keep that for each program;
it is half of the object. The signatures of functions and the relocations of CO-RE, in the same section, stay.

Source of the format: Documentation/bpf/btf.rst of Linux, section 4.2.
"""

from __future__ import annotations

import io
import struct

from elftools.elf.elffile import ELFFile

_MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIIIII")
"""magic, version, flags, header's length, then offset and length of functions, of lines, of CO-RE relocations; the
offsets count from the header's end."""


def without_lines(content: bytes) -> bytes:
    """The same object with no line in .BTF.ext. The section shrinks where it stands: a strip afterwards closes the gap.

    Raises ValueError where .BTF.ext is not as expected. An object without that section stays as it is.
    """
    elf = ELFFile(io.BytesIO(content))
    index = elf.get_section_index(".BTF.ext")
    if index is None:
        return content
    section = elf.get_section(index)
    data = section.data()
    magic, version, flags, header, func_at, func_len, line_at, line_len, core_at, core_len = _HEADER.unpack_from(data)
    if magic != _MAGIC or line_at != func_at + func_len or core_at != line_at + line_len:
        raise ValueError(".BTF.ext is not laid out as functions, lines and relocations")
    lines = header + line_at
    core = data[header + core_at : header + core_at + core_len]
    head = _HEADER.pack(magic, version, flags, header, func_at, func_len, line_at, 0, line_at, core_len)
    shrunk = head + data[_HEADER.size : lines] + core
    changed = bytearray(content)
    start = section["sh_offset"]
    changed[start : start + len(shrunk)] = shrunk
    entry = elf["e_shoff"] + index * elf["e_shentsize"]
    struct.pack_into("<Q", changed, entry + 32, len(shrunk))  # sh_size of Elf64_Shdr
    return bytes(changed)
