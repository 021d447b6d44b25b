"""The symbols that a kernel exports to modules, read from its uncompressed file: names, and CRCs where it has them.

They stand in sections that the kernel's own module loader searches (include/linux/export.h, kernel/module): `__ksymtab`
and `__ksymtab_gpl` name each symbol, `__kcrctab` and `__kcrctab_gpl` hold the CRCs in the same order. An entry is two
addresses (before 4.19), or two offsets from where they stand, to which 5.4 added a third for the namespace. A CRC is a
word of 8 bytes before 4.10, of 4 since.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

_TABLES = (("__ksymtab", "__kcrctab"), ("__ksymtab_gpl", "__kcrctab_gpl"))
_STRINGS = "__ksymtab_strings"
_ENTRY_BYTES = (12, 8, 16)
_SYMBOL = re.compile(r"[A-Za-z_][\w.$]*")


@dataclass(frozen=True, slots=True)
class Exports:
    """crcs: symbol to CRC, 0 where the kernel has none of it. has_crcs: whether it has any at all."""

    crcs: dict[str, int]
    has_crcs: bool


@dataclass(frozen=True, slots=True)
class _Section:
    address: int
    content: bytes


def read_exports(vmlinux: Path) -> Exports:
    """Read them. Empty where the file has no such sections, or lays them out in a way that is not known: that is no
    fault of the kernel. Raises OSError."""
    crcs: dict[str, int] = {}
    has_crcs = False
    try:
        with vmlinux.open("rb") as file:
            elf = ELFFile(file)
            strings = _section(elf, _STRINGS)
            for names, sums in _TABLES:
                table, values = _section(elf, names), _section(elf, sums)
                if table.content and strings.content:
                    found = _read(table, values, strings)
                    has_crcs = has_crcs or bool(values.content)
                    crcs.update(found)
    except (ELFError, struct.error, ValueError, UnicodeDecodeError):
        return Exports({}, False)
    return Exports(crcs, has_crcs)


def read_places(vmlinux: Path) -> dict[str, tuple[str, int]]:
    """Where each exported symbol is: the name of its section, and how far from that one's beginning. Empty where
    read_exports is. Raises OSError."""
    found: dict[str, int] = {}
    try:
        with vmlinux.open("rb") as file:
            elf = ELFFile(file)
            strings = _section(elf, _STRINGS)
            for name, _ in _TABLES:
                table = _section(elf, name)
                if table.content and strings.content:
                    found.update(_addresses(table, strings))
            sections = [
                (str(one.name), int(one["sh_addr"]), int(one["sh_size"]))
                for one in elf.iter_sections()
                if one["sh_addr"]
            ]
    except (ELFError, struct.error, ValueError, UnicodeDecodeError):
        return {}
    return {
        symbol: (name, at - start)
        for symbol, at in found.items()
        for name, start, size in sections
        if start <= at < start + size and not name.startswith(".data..percpu")
    }


def _addresses(table: _Section, strings: _Section) -> Iterator[tuple[str, int]]:
    size = _entry_size(table, strings)
    for at in range(0, len(table.content), size):
        if size == 16:
            (address,) = struct.unpack_from("<Q", table.content, at)
        else:
            (offset,) = struct.unpack_from("<i", table.content, at)
            address = table.address + at + offset
        yield _name(table, at, size, strings), address


def _entry_size(table: _Section, strings: _Section) -> int:
    for size in _ENTRY_BYTES:
        count, rest = divmod(len(table.content), size)
        if not rest and all(_name(table, at * size, size, strings) for at in range(count)):
            return size
    raise ValueError("the entries are of no known size")


def _section(elf: ELFFile, name: str) -> _Section:
    found = elf.get_section_by_name(name)
    return _Section(0, b"") if found is None else _Section(found["sh_addr"], bytes(found.data()))


def _read(table: _Section, values: _Section, strings: _Section) -> Iterator[tuple[str, int]]:
    for size in _ENTRY_BYTES:
        count, rest = divmod(len(table.content), size)
        width = len(values.content) // count if count else 0
        if rest or (values.content and (len(values.content) % count or width not in (4, 8))):
            continue
        names = [_name(table, at * size, size, strings) for at in range(count)]
        if all(names):
            sums = struct.unpack(f"<{count}{'I' if width == 4 else 'Q'}", values.content) if width else (0,) * count
            return iter([(name, crc & 0xFFFFFFFF) for name, crc in zip(names, sums, strict=True)])
    raise ValueError("the entries are of no known size")


def _name(table: _Section, at: int, size: int, strings: _Section) -> str:
    """The name of the entry, empty when it points to none: the entry's size was guessed wrong."""
    if size == 16:
        (address,) = struct.unpack_from("<Q", table.content, at + 8)
    else:
        (offset,) = struct.unpack_from("<i", table.content, at + 4)
        address = table.address + at + 4 + offset
    start = address - strings.address
    if not 0 <= start < len(strings.content):
        return ""
    # The linker lets a name be the end of a longer one, so that nothing need stand before it.
    name = strings.content[start : strings.content.index(b"\0", start)].decode("ascii")
    return name if _SYMBOL.fullmatch(name) else ""
