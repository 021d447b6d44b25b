"""A small reader of BTF, the type table of a kernel or an eBPF object: types by name, members of structs.

Source of the format: Documentation/bpf/btf.rst and include/uapi/linux/btf.h of Linux.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from kdriver.core.errors import IntegrityError

_MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")


class BtfKind(IntEnum):
    """The kinds of a BTF type."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


@dataclass(frozen=True, slots=True)
class BtfMember:
    """A member of a struct or union. offset_bits: from its start; with a bit field, of its first bit."""

    name: str
    type_id: int
    offset_bits: int


@dataclass(frozen=True, slots=True)
class BtfType:
    """One type. size_or_type: bytes of a sized kind, the type id of a referring one. flag: of a declaration (FWD)
    whether it is one of a union."""

    type_id: int
    name: str
    kind: BtfKind
    size_or_type: int
    members: tuple[BtfMember, ...] = ()
    flag: bool = False


@dataclass(frozen=True)
class Btf:
    """A type table. types: in order of their ids, which start at 1."""

    types: tuple[BtfType, ...]

    @cached_property
    def _by_name(self) -> dict[tuple[BtfKind, str], BtfType]:
        return {(one.kind, one.name): one for one in reversed(self.types) if one.name}

    def find(self, name: str, kind: BtfKind = BtfKind.STRUCT) -> BtfType | None:
        """The first type of that name and kind, or None when the table has none."""
        return self._by_name.get((kind, name))

    def has_member(self, struct_name: str, member: str) -> bool:
        """Whether that struct exists and has a member of that name, anonymous structs and unions inside included."""
        found = self.find(struct_name)
        return found is not None and self._member_within(found, member)

    def _member_within(self, holder: BtfType, member: str) -> bool:
        for one in holder.members:
            if one.name == member:
                return True
            if not one.name and self._member_within(self.types[one.type_id - 1], member):
                return True
        return False


def parse_btf(section: bytes) -> Btf:
    """Read a `.BTF` section or /sys/kernel/btf/vmlinux. Raises IntegrityError when it is none or is damaged."""
    try:
        magic, _, _, header_bytes, types_at, types_bytes, names_at, names_bytes = _HEADER.unpack_from(section, 0)
        if magic != _MAGIC:
            raise IntegrityError(f"BTF: the magic number is {magic:#06x}, not {_MAGIC:#06x}")
        names = section[header_bytes + names_at : header_bytes + names_at + names_bytes]
        table = section[header_bytes + types_at : header_bytes + types_at + types_bytes]
        return Btf(tuple(_read_types(table, names)))
    except (struct.error, ValueError) as error:
        raise IntegrityError(f"BTF: the type table is damaged: {error}") from error


def count_core_relocations(ext_section: bytes) -> int:
    """How many CO-RE relocations a `.BTF.ext` section holds. Raises IntegrityError when it is none or is damaged."""
    try:
        magic, _, _, header_bytes = struct.unpack_from("<HBBI", ext_section, 0)
        if magic != _MAGIC:
            raise IntegrityError(f"BTF.ext: the magic number is {magic:#06x}, not {_MAGIC:#06x}")
        if header_bytes < 32:  # headers up to 24 bytes know only functions and lines
            return 0
        start, size = struct.unpack_from("<II", ext_section, 24)
        if size == 0:
            return 0
        at = header_bytes + start
        end = at + size
        (record_bytes,) = struct.unpack_from("<I", ext_section, at)
        at += 4
        total = 0
        while at < end:
            _, count = struct.unpack_from("<II", ext_section, at)
            total += count
            at += 8 + count * record_bytes
    except struct.error as error:
        raise IntegrityError(f"BTF.ext: the section is damaged: {error}") from error
    return total


def _read_types(table: bytes, names: bytes) -> list[BtfType]:
    types: list[BtfType] = []
    at = 0
    while at < len(table):
        name_at, word, size_or_type = _TYPE.unpack_from(table, at)
        at += _TYPE.size
        kind, count, flag = BtfKind(word >> 24 & 0x1F), word & 0xFFFF, bool(word >> 31)
        members: tuple[BtfMember, ...] = ()
        if kind in (BtfKind.STRUCT, BtfKind.UNION):
            members = tuple(_read_member(table, names, at + 12 * index, flag) for index in range(count))
        at += _TRAILER_BYTES.get(kind, 0) + _ENTRY_BYTES.get(kind, 0) * count
        types.append(BtfType(len(types) + 1, _name(names, name_at), kind, size_or_type, members, flag))
    return types


def _read_member(table: bytes, names: bytes, at: int, has_bit_fields: bool) -> BtfMember:
    name_at, type_id, offset = _TYPE.unpack_from(table, at)
    return BtfMember(_name(names, name_at), type_id, offset & 0xFFFFFF if has_bit_fields else offset)


def _name(names: bytes, at: int) -> str:
    return names[at : names.index(b"\0", at)].decode("ascii", errors="replace")


_TRAILER_BYTES = {BtfKind.INT: 4, BtfKind.ARRAY: 12, BtfKind.VAR: 4, BtfKind.DECL_TAG: 4}
_ENTRY_BYTES = {
    BtfKind.STRUCT: 12,
    BtfKind.UNION: 12,
    BtfKind.ENUM: 8,
    BtfKind.FUNC_PROTO: 8,
    BtfKind.DATASEC: 12,
    BtfKind.ENUM64: 12,
}
