"""Whether a module's file is laid out so that a kernel's module loader can take it: sections within the file, symbols
within the sections, and relocations of kinds that the loader knows, within what they change.

Source: load_module and apply_relocate_add of Linux (kernel/module, arch/x86/kernel/module.c).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from kdriver.core.errors import IntegrityError
from kdriver.inspect.elf import strip_signature

THIS_MODULE = ".gnu.linkonce.this_module"
_WIDTHS = {0: 0, 1: 8, 2: 4, 4: 4, 10: 4, 11: 4, 24: 8}
"""Relocations of x86_64 that kernels know, by number, to the bytes that they change: NONE, 64, PC32, PLT32, 32, 32S,
PC64.
Loaders of early kernels refuse PLT32, but which ones is not to be told by their version; the builder writes none."""
_MUST_HAVE = (".modinfo", THIS_MODULE)


def layout_faults(path: Path) -> tuple[str, ...]:
    """What is wrong, one line each; empty for a module that is laid out well.

    Raises IntegrityError for a file that is no module at all, or whose appended signature is damaged.
    """
    content = path.read_bytes()
    try:
        elf = ELFFile(io.BytesIO(strip_signature(content)))
        if elf.header["e_type"] != "ET_REL" or elf.header["e_machine"] != "EM_X86_64":
            return (f"the file is {elf.header['e_type']} for {elf.header['e_machine']}, not a module for x86_64",)
        return tuple(_faults(elf, len(content)))
    except (ELFError, ValueError, KeyError, IndexError) as error:
        raise IntegrityError(f"{path.name}: is no kernel module: {error or 'damaged ELF file'}") from error


def this_module_bytes(path: Path) -> int:
    """The size of the module's `struct module`, which must be the kernel's; 0 where it has none."""
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(THIS_MODULE)
        return 0 if section is None else int(section["sh_size"])


def _faults(elf: ELFFile, size_bytes: int) -> Iterator[str]:
    sections: list[Any] = list(elf.iter_sections())
    names = {section.name for section in sections}
    for name in _MUST_HAVE:
        if name not in names:
            yield f"section {name} is missing"
    for section in sections:
        if (
            section["sh_type"] not in ("SHT_NULL", "SHT_NOBITS")
            and section["sh_offset"] + section["sh_size"] > size_bytes
        ):
            yield f"section {section.name} ends behind the end of the file"
            return
    tables = [section for section in sections if section["sh_type"] == "SHT_SYMTAB"]
    if len(tables) != 1:
        yield f"one symbol table was expected, {len(tables)} are there"
        return
    symbols = list(tables[0].iter_symbols())
    for symbol in symbols:
        home = symbol["st_shndx"]
        if isinstance(home, int) and home >= len(sections):
            yield f"symbol {symbol.name} is in section {home} of {len(sections)}"
    for section in sections:
        if section["sh_type"] == "SHT_REL":
            yield f"section {section.name} holds relocations of a form that x86_64 does not have"
        elif section["sh_type"] == "SHT_RELA":
            yield from _relocation_faults(section, sections, len(symbols))


def _relocation_faults(section: Any, sections: list[Any], symbols: int) -> Iterator[str]:
    """The first fault of a section's relocations: one that is wrong is rarely alone."""
    if section["sh_info"] >= len(sections):
        yield f"section {section.name} changes section {section['sh_info']} of {len(sections)}"
        return
    target = sections[section["sh_info"]]
    for one in section.iter_relocations():
        kind, offset = one["r_info_type"], one["r_offset"]
        if kind not in _WIDTHS:
            yield f"section {section.name} has a relocation of kind {kind}, which kernels do not know"
            return
        if offset + _WIDTHS[kind] > target["sh_size"]:
            yield f"section {section.name} has a relocation at {offset:#x}, behind the end of {target.name}"
            return
        if one["r_info_sym"] >= symbols:
            yield f"section {section.name} has a relocation by symbol {one['r_info_sym']} of {symbols}"
            return
