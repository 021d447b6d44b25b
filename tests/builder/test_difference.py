"""Where two files differ is told by section, with the texts that tell the cause."""

from __future__ import annotations

from builder.difference import compare_files
from tests.fakes.module_file import module_file


def test_equal_files_have_no_difference() -> None:
    assert compare_files(b"x", b"x") == ()


def test_section_and_texts_that_differ_are_named() -> None:
    lines = compare_files(module_file(srcversion="FIRSTONE"), module_file(srcversion="OTHERONE"))
    named = [line for line in lines if line.startswith(".modinfo: ")]
    assert len(named) == 1
    assert "'srcversion=FIRSTONE' and 'srcversion=OTHERONE'" in named[0]
    assert "differs from byte 0x" in named[0]


def test_what_is_no_elf_file_differs_at_a_byte() -> None:
    assert compare_files(b"abcd", b"abxd") == ("the file: 4 bytes, differs from byte 0x2 on",)
    assert compare_files(b"abcd", b"abcdef") == ("the file: 4 and 6 bytes, differs from byte 0x4 on",)
