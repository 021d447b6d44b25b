"""An eBPF object without its line numbers: functions and relocations stay, and libbpf's own tools read it."""

from __future__ import annotations

import io
import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section

from builder.kinds.lines import without_lines

SOURCE = """
struct task_struct { int pid; } __attribute__((preserve_access_index));
__attribute__((section("raw_tp/one"), used)) int one(void **context)
{
	struct task_struct *task = context[0];
	return task->pid;
}
char kd_license[] __attribute__((section("license"))) = "GPL";
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small object with a function, its lines and one relocation."""
    folder = tmp_path_factory.mktemp("lines")
    (folder / "one.c").write_text(SOURCE)
    argv = ["clang-16", "-target", "bpf", "-O2", "-g", "-c", str(folder / "one.c"), "-o", str(folder / "one.o")]
    subprocess.run(argv, check=True, capture_output=True, timeout=120)
    return (folder / "one.o").read_bytes()


def extension(content: bytes) -> Section:
    """The section .BTF.ext."""
    section = ELFFile(io.BytesIO(content)).get_section_by_name(".BTF.ext")
    assert section is not None
    return section


def lengths(content: bytes) -> tuple[int, int, int, int]:
    """Of .BTF.ext: the section's own, and those of its functions, lines and relocations."""
    data = extension(content).data()
    fields = struct.unpack_from("<HBBIIIIIII", data)
    return len(data), fields[5], fields[7], fields[9]


def test_lines_go_and_the_rest_stays(compiled: bytes) -> None:
    whole, functions, lines, relocations = lengths(compiled)
    assert lines > 0 and relocations > 0
    assert lengths(without_lines(compiled)) == (whole - lines, functions, 0, relocations)


def test_doing_it_again_changes_nothing(compiled: bytes) -> None:
    once = without_lines(compiled)
    assert without_lines(once) == once


def test_an_object_without_the_section_stays_as_it_is(compiled: bytes, tmp_path: Path) -> None:
    path = tmp_path / "one.o"
    path.write_bytes(compiled)
    subprocess.run(["llvm-strip-16", "-R", ".BTF.ext", "-R", ".rel.BTF.ext", str(path)], check=True, timeout=60)
    assert without_lines(path.read_bytes()) == path.read_bytes()


def test_a_section_that_is_laid_out_otherwise_is_refused(compiled: bytes) -> None:
    section = extension(compiled)
    garbled = bytearray(compiled)
    struct.pack_into("<I", garbled, section["sh_offset"] + 16, 4096)
    with pytest.raises(ValueError, match="not laid out"):
        without_lines(bytes(garbled))
