"""CO-RE relocations of an eBPF object, resolved against a kernel's types without that kernel.

What a relocation is: include/uapi/linux/bpf.h (struct bpf_core_relo, enum bpf_core_relo_kind) of Linux. What fits what
is libbpf's rule: a type of the same name (what follows `___` does not count) and kind, and in it a member of the same
name and a compatible type, whether or not anonymous structs stand between.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from kdriver.core.errors import IntegrityError
from kdriver.inspect.btf import BtfKind
from kdriver.inspect.type_table import Type, TypeTable

_MAGIC = 0xEB9F
_HEADER_WITH_CORE_BYTES = 32
_COMPOSITE = (BtfKind.STRUCT, BtfKind.UNION)
_ENUMS = (BtfKind.ENUM, BtfKind.ENUM64)


class RelocationKind(IntEnum):
    """enum bpf_core_relo_kind."""

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12


_ASKS = (RelocationKind.FIELD_EXISTS, RelocationKind.TYPE_EXISTS, RelocationKind.ENUMVAL_EXISTS)
"""These are answered with 0 where there is no such thing."""
_UNKNOWN = (RelocationKind.TYPE_MATCHES, RelocationKind.TYPE_ID_LOCAL)
"""Answers of the former are not worked out here; the latter needs no kernel."""


@dataclass(frozen=True, slots=True)
class Relocation:
    """One relocation. offset: in bytes, of the instruction in its section. access: as the object spells it: `0:1:2`."""

    section: str
    offset: int
    type_id: int
    access: str
    kind: RelocationKind


@dataclass(frozen=True, slots=True)
class Resolved:
    """What came of it. subject: for a person, `struct task_struct.real_parent`. found: whether the kernel has it; None
    where that cannot be said."""

    relocation: Relocation
    subject: str
    found: bool | None

    @property
    def asks(self) -> bool:
        """Whether the program itself asks for it and goes on without."""
        return self.relocation.kind in _ASKS


def read_relocations(ext_section: bytes, types: TypeTable) -> tuple[Relocation, ...]:
    """Those of a `.BTF.ext` section, in its order; empty where it has none. Raises IntegrityError."""
    try:
        magic, _, _, header_bytes = struct.unpack_from("<HBBI", ext_section, 0)
        if magic != _MAGIC:
            raise IntegrityError(f"BTF.ext: the magic number is {magic:#06x}, not {_MAGIC:#06x}")
        if header_bytes < _HEADER_WITH_CORE_BYTES:
            return ()
        start, size = struct.unpack_from("<II", ext_section, 24)
        return tuple(_relocations(ext_section, header_bytes + start, size, types)) if size else ()
    except (struct.error, ValueError) as error:
        raise IntegrityError(f"BTF.ext: the section is damaged: {error}") from error


def _relocations(content: bytes, at: int, size: int, types: TypeTable) -> Iterator[Relocation]:
    end = at + size
    (record_bytes,) = struct.unpack_from("<I", content, at)
    at += 4
    while at < end:
        section, count = struct.unpack_from("<II", content, at)
        at += 8
        for _ in range(count):
            offset, type_id, access, kind = struct.unpack_from("<IIII", content, at)
            at += record_bytes
            yield Relocation(types.text(section), offset, type_id, types.text(access), RelocationKind(kind))


class Resolver:
    """Relocations of one object against one kernel's types; what many of them ask for is looked up once."""

    def __init__(self, local: TypeTable, kernel: TypeTable) -> None:
        self.local = local
        self.kernel = kernel
        self._known: dict[tuple[int, str, bool], tuple[str, bool]] = {}

    def resolve(self, relocation: Relocation) -> Resolved:
        """Raises IntegrityError for a relocation that the object's own types do not bear out."""
        key = (relocation.type_id, relocation.access, relocation.kind <= RelocationKind.FIELD_RSHIFT_U64)
        if key not in self._known:
            self._known[key] = self._look_up(relocation)
        subject, found = self._known[key]
        return Resolved(relocation, subject, None if relocation.kind in _UNKNOWN else found)

    def _look_up(self, relocation: Relocation) -> tuple[str, bool]:
        root = self.local.get(relocation.type_id)
        steps = [int(word) for word in relocation.access.split(":")]
        if relocation.kind in (RelocationKind.ENUMVAL_EXISTS, RelocationKind.ENUMVAL_VALUE):
            return self._enumerator(self.local.plain(root.type_id), steps[0])
        if relocation.kind > RelocationKind.FIELD_RSHIFT_U64:
            subject = f"{_word(root)}{_essential(root.name)}"
            return subject, bool(self._candidates(root))
        names = self._path(root, steps[1:])
        start = self.local.plain(root.type_id)
        subject = f"{_word(start)}{_essential(root.name)}.{_shown(names)}".rstrip(".")
        return subject, any(self._reaches(one.type_id, names) for one in self._candidates(root))

    def _enumerator(self, enum: Type, index: int) -> tuple[str, bool]:
        names = self.local.enumerators(enum.type_id)
        if index >= len(names):
            raise IntegrityError(f"BTF: enum {enum.name} has no enumerator {index}")
        name = _essential(names[index])
        holders = self._candidates(enum)
        return f"enum {_essential(enum.name)}.{name}", any(
            name in self.kernel.enumerators(one.type_id) for one in holders
        )

    def _candidates(self, root: Type) -> tuple[Type, ...]:
        """The kernel's types of that name and kind; those of typedefs are behind them."""
        kinds = _ENUMS if root.kind in _ENUMS else (root.kind,)
        return self.kernel.named(_essential(root.name), *kinds) if root.name else ()

    def _path(self, root: Type, steps: list[int]) -> list[tuple[str, int, int]]:
        """(member's name or empty for an element, its index, its local type) of each step that a kernel must have;
        anonymous members are none, for they may be anywhere."""
        found: list[tuple[str, int, int]] = []
        at = self.local.plain(root.type_id)
        for index in steps:
            if at.kind in _COMPOSITE:
                members = self.local.members(at.type_id)
                if index >= len(members):
                    raise IntegrityError(f"BTF: {_word(at)}{at.name} has no member {index}")
                member = members[index]
                if member.name:
                    found.append((member.name, 0, member.type_id))
                at = self.local.plain(member.type_id)
            elif at.kind is BtfKind.ARRAY:
                element, _ = self.local.element(at.type_id)
                found.append(("", index, element))
                at = self.local.plain(element)
            else:
                raise IntegrityError(f"BTF: {_word(at)}{at.name} has nothing inside")
        return found

    def _reaches(self, type_id: int, path: list[tuple[str, int, int]]) -> bool:
        """Whether the path leads somewhere in a type of the kernel's."""
        if not path:
            return True
        (name, index, local_type), rest = path[0], path[1:]
        at = self.kernel.plain(type_id)
        if not name:
            if at.kind is not BtfKind.ARRAY:
                return False
            element, count = self.kernel.element(at.type_id)
            return (index < count or count == 0) and self._reaches(element, rest)
        return any(
            self._compatible(local_type, member) and self._reaches(member, rest) for member in self._members(at, name)
        )

    def _members(self, holder: Type, name: str) -> Iterator[int]:
        """The types of members of that name, those of anonymous structs and unions inside included."""
        if holder.kind not in _COMPOSITE:
            return
        for member in self.kernel.members(holder.type_id):
            if member.name == name:
                yield member.type_id
            elif not member.name:
                yield from self._members(self.kernel.plain(member.type_id), name)

    def _compatible(self, local_id: int, kernel_id: int) -> bool:
        """libbpf's bpf_core_fields_are_compat: layouts may differ, what kind of thing it is may not."""
        one, other = self.local.plain(local_id), self.kernel.plain(kernel_id)
        if one.kind in _COMPOSITE and other.kind in _COMPOSITE:
            return True
        if one.kind in _ENUMS and other.kind in _ENUMS:
            return not one.name or not other.name or _essential(one.name) == _essential(other.name)
        if one.kind is not other.kind:
            return False
        if one.kind is BtfKind.ARRAY:
            return self._compatible(self.local.element(one.type_id)[0], self.kernel.element(other.type_id)[0])
        if one.kind is BtfKind.FWD:
            return _essential(one.name) == _essential(other.name)
        return True


def _essential(name: str) -> str:
    return name.split("___", 1)[0]


def _word(one: Type) -> str:
    return {BtfKind.STRUCT: "struct ", BtfKind.UNION: "union ", BtfKind.ENUM: "enum "}.get(one.kind, "")


def _shown(path: list[tuple[str, int, int]]) -> str:
    text = ""
    for name, index, _ in path:
        text += f".{name}" if name else f"[{index}]"
    return text.lstrip(".")
