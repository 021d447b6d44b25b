"""What a driver file says of itself: modinfo, vermagic, symbol CRCs, sections of an eBPF object (by pyelftools)."""

from __future__ import annotations

import io
import lzma
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

from kdriver.core.errors import IntegrityError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SIGNATURE_MAGIC = b"~Module signature appended~\n"
SIGNATURE_TRAILER_BYTES = 12
GPL_COMPATIBLE = ("GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL")
"""Licences that the kernel takes as compatible. Source: include/linux/license.h."""
_VERSION_ENTRY_BYTES = 64
"""struct modversion_info of a 64-bit kernel: an unsigned long and a name of 56 bytes."""
_SHT_PROGBITS_FLAGS_EXEC = 0x4
_MAX_MODULE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """A kernel module. modinfo: pairs in file order. versions: symbol to the CRC that it was built against, empty
    without CONFIG_MODVERSIONS. undefined: symbols that the kernel must supply, sorted. sections: names."""

    modinfo: tuple[tuple[str, str], ...]
    versions: dict[str, int]
    undefined: tuple[str, ...]
    sections: tuple[str, ...]

    def value(self, key: str) -> str:
        """The first value of a modinfo key, empty when there is none."""
        return next((value for name, value in self.modinfo if name == key), "")

    @property
    def vermagic(self) -> str:
        """`6.1.0-56-amd64 SMP preempt mod_unload modversions `, without the space at its end."""
        return self.value("vermagic").strip()

    @property
    def release(self) -> str:
        """The `uname -r` within vermagic, empty when the file has none."""
        return self.vermagic.split(" ", 1)[0]


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """An eBPF object. sections: name to content of those that are small or needed (see read_object).
    programs: section names that hold instructions. functions: names of global functions, sorted."""

    machine: str
    programs: tuple[str, ...]
    functions: tuple[str, ...]
    sections: dict[str, bytes]

    def text(self, section: str) -> str:
        """A section's NUL-terminated text, empty when the section is missing."""
        return self.sections.get(section, b"").split(b"\0", 1)[0].decode("utf-8", errors="replace")


def read_module(path: Path) -> ModuleFacts:
    """Read a kernel module: plain, .xz, .zst or .gz, signed or not. Raises IntegrityError when it is none."""
    content = _unpacked(path.name, path.read_bytes())
    try:
        elf = ELFFile(io.BytesIO(strip_signature(content)))
        if elf.header["e_type"] != "ET_REL":
            raise IntegrityError(f"{path.name}: is no kernel module: its ELF type is {elf.header['e_type']}")
        return ModuleFacts(
            modinfo=_modinfo(_section(elf, ".modinfo")),
            versions=_versions(elf),
            undefined=_undefined(elf),
            sections=tuple(section.name for section in elf.iter_sections() if section.name),
        )
    except (ELFError, struct.error, ValueError) as error:
        raise IntegrityError(f"{path.name}: is no kernel module: {error or 'damaged ELF file'}") from error


def read_object(path: Path) -> ObjectFacts:
    """Read an eBPF object: all sections that are no relocations or debugging. Raises IntegrityError when it is none."""
    try:
        elf = ELFFile(io.BytesIO(path.read_bytes()))
        programs = []
        sections = {}
        for section in elf.iter_sections():
            if not section.name or section["sh_type"] in ("SHT_REL", "SHT_RELA", "SHT_NOBITS"):
                continue
            if section["sh_type"] == "SHT_PROGBITS" and section["sh_flags"] & _SHT_PROGBITS_FLAGS_EXEC:
                if section["sh_size"]:
                    programs.append(section.name)
            elif not section.name.startswith(".debug"):
                sections[section.name] = section.data()
        return ObjectFacts(str(elf.header["e_machine"]), tuple(programs), _functions(elf), sections)
    except (ELFError, struct.error, ValueError) as error:
        raise IntegrityError(f"{path.name}: is no eBPF object: {error or 'damaged ELF file'}") from error


def read_section(path: Path, name: str) -> bytes:
    """The content of one section of an ELF file, empty when it has none. Raises IntegrityError when it is no ELF."""
    try:
        with path.open("rb") as file:
            return _section(ELFFile(file), name)
    except (ELFError, struct.error) as error:
        raise IntegrityError(f"{path.name}: is no ELF file: {error or 'damaged'}") from error


def strip_signature(module: bytes) -> bytes:
    """A module without its appended signatures (there may be several). Source: struct module_signature of Linux.

    Raises ValueError or struct.error when a signature says that it is longer than the file.
    """
    while module.endswith(SIGNATURE_MAGIC):
        end = len(module) - len(SIGNATURE_MAGIC)
        (size,) = struct.unpack(">I", module[end - 4 : end])
        end -= SIGNATURE_TRAILER_BYTES + size
        if end <= 0:
            raise ValueError("the appended signature is longer than the module")
        module = module[:end]
    return module


def is_static(path: Path) -> bool:
    """Whether a program needs no loader of shared libraries; true for a file that is no ELF file at all."""
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return True
        return not any(segment["p_type"] == "PT_INTERP" for segment in ELFFile(file).iter_segments())


def needed_glibc(path: Path) -> tuple[int, int]:
    """The highest GLIBC_x.y symbol version that a program needs; (0, 0) for one that is no dynamic ELF file."""
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return (0, 0)
        section = ELFFile(file).get_section_by_name(".gnu.version_r")
        if not isinstance(section, GNUVerNeedSection):
            return (0, 0)
        found = [(0, 0)]
        for _, auxiliaries in section.iter_versions():
            for auxiliary in auxiliaries:
                family, _, number = auxiliary.name.partition("_")
                parts = number.split(".")
                if family == "GLIBC" and len(parts) >= 2 and all(part.isdigit() for part in parts):
                    found.append((int(parts[0]), int(parts[1])))
        return max(found)


def needed_libraries(path: Path) -> tuple[str, ...]:
    """The shared libraries that a program names (DT_NEEDED), in its order; none for one that is no dynamic ELF file."""
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return ()
        section = ELFFile(file).get_section_by_name(".dynamic")
        if not isinstance(section, DynamicSection):
            return ()
        return tuple(str(getattr(tag, "needed", "")) for tag in section.iter_tags("DT_NEEDED"))


def _unpacked(name: str, content: bytes) -> bytes:
    try:
        if content.startswith(b"\xfd7zXZ\0"):
            return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(content, _MAX_MODULE_BYTES)
        if content.startswith(b"\x28\xb5\x2f\xfd"):
            return bytes(zstd.ZstdDecompressor().decompress(content, _MAX_MODULE_BYTES))
        if content.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(content, _MAX_MODULE_BYTES)
    except (lzma.LZMAError, zlib.error, zstd.ZstdError) as error:
        raise IntegrityError(f"{name}: the compressed module is damaged: {error}") from error
    return content


def _section(elf: ELFFile, name: str) -> bytes:
    section = elf.get_section_by_name(name)
    return b"" if section is None else bytes(section.data())


def _modinfo(section: bytes) -> tuple[tuple[str, str], ...]:
    pairs = []
    for entry in section.split(b"\0"):
        key, equals, value = entry.partition(b"=")
        if equals:
            pairs.append((key.decode("utf-8", errors="replace"), value.decode("utf-8", errors="replace")))
    return tuple(pairs)


def _versions(elf: ELFFile) -> dict[str, int]:
    """CRCs from `__versions`, and from the pair of sections that EXTENDED_MODVERSIONS writes since Linux 6.14."""
    found: dict[str, int] = {}
    table = _section(elf, "__versions")
    if len(table) % _VERSION_ENTRY_BYTES:
        raise ValueError("__versions is no multiple of 64 bytes")
    for at in range(0, len(table), _VERSION_ENTRY_BYTES):
        (crc,) = struct.unpack_from("<Q", table, at)
        found[table[at + 8 : at + _VERSION_ENTRY_BYTES].split(b"\0", 1)[0].decode("ascii")] = crc
    crcs = _section(elf, "__version_ext_crcs")
    names = _section(elf, "__version_ext_names").split(b"\0")
    for index in range(len(crcs) // 4):
        (crc,) = struct.unpack_from("<I", crcs, 4 * index)
        found[names[index].decode("ascii")] = crc
    return found


def _undefined(elf: ELFFile) -> tuple[str, ...]:
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        raise ValueError("the module has no symbol table")
    return tuple(sorted({s.name for s in table.iter_symbols() if s["st_shndx"] == "SHN_UNDEF" and s.name}))


def _functions(elf: ELFFile) -> tuple[str, ...]:
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        return ()
    return tuple(
        sorted(
            s.name
            for s in table.iter_symbols()
            if s["st_info"]["type"] == "STT_FUNC" and s["st_info"]["bind"] == "STB_GLOBAL"
        )
    )
