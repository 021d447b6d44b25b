"""A kernel's type table (BTF) read lazily: a kernel has 130,000 types, and a driver asks for fifty of them.

Source of the format: Documentation/bpf/btf.rst of Linux. Types are words of 32 bits; only where each begins is noted
when the table is opened, which takes some hundredths of a second.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass

from kdriver.core.errors import IntegrityError
from kdriver.inspect.btf import BtfKind

_MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_TRAILER_WORDS = {BtfKind.INT: 1, BtfKind.ARRAY: 3, BtfKind.VAR: 1, BtfKind.DECL_TAG: 1}
_ENTRY_WORDS = {
    BtfKind.STRUCT: 3,
    BtfKind.UNION: 3,
    BtfKind.ENUM: 2,
    BtfKind.FUNC_PROTO: 2,
    BtfKind.DATASEC: 3,
    BtfKind.ENUM64: 3,
}
MODIFIERS = frozenset({BtfKind.TYPEDEF, BtfKind.VOLATILE, BtfKind.CONST, BtfKind.RESTRICT, BtfKind.TYPE_TAG})
"""Kinds that only refer to another type."""


@dataclass(frozen=True, slots=True)
class Type:
    """One type. size: bytes of a sized kind; referred: the type that a referring kind names."""

    type_id: int
    kind: BtfKind
    name: str
    size: int
    referred: int


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union. bits: of a bit field, else 0."""

    name: str
    type_id: int
    bits: int


class TypeTable:
    """A `.BTF` section or /sys/kernel/btf/vmlinux. Raises IntegrityError when it is none, or is damaged."""

    def __init__(self, content: bytes) -> None:
        try:
            magic, _, _, header_bytes, types_at, types_bytes, names_at, names_bytes = _HEADER.unpack_from(content, 0)
        except struct.error as error:
            raise IntegrityError("BTF: the type table is cut short") from error
        if magic != _MAGIC:
            raise IntegrityError(f"BTF: the magic number is {magic:#06x}, not {_MAGIC:#06x}")
        self._names = content[header_bytes + names_at : header_bytes + names_at + names_bytes]
        table = content[header_bytes + types_at : header_bytes + types_at + types_bytes]
        if len(table) != types_bytes or len(self._names) != names_bytes or types_bytes % 4:
            raise IntegrityError("BTF: the type table is cut short")
        self._words = memoryview(table).cast("I")
        self._starts = self._find_starts()
        self._by_name: dict[int, list[int]] | None = None

    def _find_starts(self) -> array[int]:
        step = [3 + _TRAILER_WORDS.get(BtfKind(kind), 0) if kind <= BtfKind.ENUM64 else 0 for kind in range(32)]
        per_entry = [_ENTRY_WORDS.get(BtfKind(kind), 0) if kind <= BtfKind.ENUM64 else 0 for kind in range(32)]
        words, starts = self._words, array("I", [0])
        at, end = 0, len(words)
        while at < end:
            starts.append(at)
            try:
                info = words[at + 1]
            except IndexError as error:
                raise IntegrityError("BTF: the last type is cut short") from error
            kind = info >> 24 & 0x1F
            if not step[kind]:
                raise IntegrityError(f"BTF: type {len(starts) - 1} is of kind {kind}, which is not known")
            at += step[kind] + per_entry[kind] * (info & 0xFFFF)
        if at != end:
            raise IntegrityError("BTF: the last type is cut short")
        return starts

    def __len__(self) -> int:
        """How many types there are, `void` not counted."""
        return len(self._starts) - 1

    def get(self, type_id: int) -> Type:
        """A type by its id; 0 is void. Raises IntegrityError for an id that the table does not have."""
        if type_id == 0:
            return Type(0, BtfKind.VOID, "", 0, 0)
        if not 0 < type_id < len(self._starts):
            raise IntegrityError(f"BTF: there is no type {type_id}; the table has {len(self)}")
        at = self._starts[type_id]
        value = self._words[at + 2]
        return Type(type_id, BtfKind(self._words[at + 1] >> 24 & 0x1F), self.text(self._words[at]), value, value)

    def text(self, offset: int) -> str:
        """A name of the table's strings. Raises IntegrityError for one that is outside."""
        end = self._names.find(b"\0", offset)
        if end < 0:
            raise IntegrityError(f"BTF: there is no name at {offset}")
        return self._names[offset:end].decode("ascii", errors="replace")

    def plain(self, type_id: int) -> Type:
        """The type behind typedefs and qualifiers."""
        found = self.get(type_id)
        for _ in range(64):
            if found.kind not in MODIFIERS:
                return found
            found = self.get(found.referred)
        raise IntegrityError(f"BTF: type {type_id} refers to itself")

    def members(self, type_id: int) -> tuple[Member, ...]:
        """Of a struct or union, in order."""
        at = self._starts[type_id]
        info = self._words[at + 1]
        has_bit_fields = bool(info >> 31)
        entries = [at + 3 + 3 * index for index in range(info & 0xFFFF)]
        return tuple(
            Member(
                self.text(self._words[one]),
                self._words[one + 1],
                self._words[one + 2] >> 24 if has_bit_fields else 0,
            )
            for one in entries
        )

    def element(self, type_id: int) -> tuple[int, int]:
        """Of an array: its element's type and how many there are."""
        at = self._starts[type_id]
        return self._words[at + 3], self._words[at + 5]

    def enumerators(self, type_id: int) -> tuple[str, ...]:
        """Of an enum, the names in order."""
        at = self._starts[type_id]
        info = self._words[at + 1]
        step = _ENTRY_WORDS[BtfKind(info >> 24 & 0x1F)]
        return tuple(self.text(self._words[at + 3 + step * index]) for index in range(info & 0xFFFF))

    def named(self, name: str, *kinds: BtfKind) -> tuple[Type, ...]:
        """All types of that name, of these kinds."""
        if self._by_name is None:
            self._by_name = {}
            words = self._words
            for type_id in range(1, len(self._starts)):
                offset = words[self._starts[type_id]]
                if offset:
                    self._by_name.setdefault(offset, []).append(type_id)
        ids: list[int] = []
        at = self._names.find(b"\0" + name.encode() + b"\0")
        while at >= 0:
            ids += self._by_name.get(at + 1, [])
            at = self._names.find(b"\0" + name.encode() + b"\0", at + 1)
        return tuple(found for one in ids if (found := self.get(one)).kind in kinds)
