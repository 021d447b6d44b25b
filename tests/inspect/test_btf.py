"""BTF is read by the format's own words: kinds of every length, members, relocations; damage is an error."""

from __future__ import annotations

import struct

import pytest

from kdriver.core.errors import ExitCode, IntegrityError
from kdriver.inspect.btf import BtfKind, count_core_relocations, parse_btf


class Table:
    """A type table in the making."""

    def __init__(self) -> None:
        self.names = b"\0"
        self.types = b""

    def name(self, text: str) -> int:
        at = len(self.names)
        self.names += text.encode() + b"\0"
        return at if text else 0

    def add(
        self, name: str, kind: BtfKind, count: int, size_or_type: int, tail: bytes = b"", *, flag: bool = False
    ) -> None:
        self.types += struct.pack("<III", self.name(name), flag << 31 | kind << 24 | count, size_or_type) + tail

    def member(self, name: str, type_id: int, offset: int) -> bytes:
        return struct.pack("<III", self.name(name), type_id, offset)

    def section(self) -> bytes:
        header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.names))
        return header + self.types + self.names


def example() -> Table:
    """int; task with a bit field and an anonymous union; one type of every kind that carries more than its head."""
    table = Table()
    table.add("int", BtfKind.INT, 0, 4, bytes(4))
    table.add("", BtfKind.UNION, 1, 4, table.member("inner", 1, 0))
    fields = table.member("pid", 1, 32) + table.member("", 2, 64) + table.member("flag", 1, 1 << 24 | 96)
    table.add("task", BtfKind.STRUCT, 3, 16, fields, flag=True)
    table.add("", BtfKind.ARRAY, 0, 0, bytes(12))
    table.add("colour", BtfKind.ENUM, 2, 4, bytes(16))
    table.add("wide", BtfKind.ENUM64, 1, 8, bytes(12))
    table.add("", BtfKind.FUNC_PROTO, 1, 0, bytes(8))
    table.add("variable", BtfKind.VAR, 0, 1, bytes(4))
    table.add(".data", BtfKind.DATASEC, 1, 4, bytes(12))
    table.add("tag", BtfKind.DECL_TAG, 0, 1, bytes(4))
    table.add("last", BtfKind.TYPEDEF, 0, 1)
    return table


def test_every_kind_is_stepped_over_by_its_length() -> None:
    btf = parse_btf(example().section())
    assert [one.type_id for one in btf.types] == list(range(1, 12))
    last = btf.find("last", BtfKind.TYPEDEF)
    assert last is not None
    assert last.type_id == 11


def test_members_have_their_offsets_also_beside_bit_fields() -> None:
    task = parse_btf(example().section()).find("task")
    assert task is not None
    assert [(one.name, one.offset_bits) for one in task.members] == [("pid", 32), ("", 64), ("flag", 96)]


def test_member_within_an_anonymous_union_is_found() -> None:
    btf = parse_btf(example().section())
    assert btf.has_member("task", "inner")
    assert not btf.has_member("task", "outer")
    assert not btf.has_member("no_such_struct", "pid")


@pytest.mark.parametrize(
    "section",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00" * 40, id="other magic number"),
        pytest.param(example().section()[:-60], id="cut short"),
    ],
)
def test_damage_is_an_error(section: bytes) -> None:
    with pytest.raises(IntegrityError, match="BTF") as caught:
        parse_btf(section)
    assert caught.value.exit_code is ExitCode.INTEGRITY


def test_relocations_of_all_sections_are_counted() -> None:
    body = struct.pack("<I", 16)
    body += struct.pack("<II", 1, 2) + bytes(32) + struct.pack("<II", 9, 1) + bytes(16)
    header = struct.pack("<HBBIIIIIII", 0xEB9F, 1, 0, 32, 0, 0, 0, 0, 0, len(body))
    assert count_core_relocations(header + body) == 3


def test_header_without_relocations_counts_none() -> None:
    assert count_core_relocations(struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, 0)) == 0


def test_damaged_relocations_are_an_error() -> None:
    header = struct.pack("<HBBIIIIIII", 0xEB9F, 1, 0, 32, 0, 0, 0, 0, 0, 100)
    with pytest.raises(IntegrityError, match=r"BTF\.ext: the section is damaged"):
        count_core_relocations(header)
