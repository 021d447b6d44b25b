"""Relocations that loaders of old kernels do not know are written as those that all know."""

from __future__ import annotations

import io
import subprocess
from collections import Counter
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from builder.kinds.relocations import without_plt_calls

SOURCE = "extern int other(int); extern int kept; int one(int a) { return other(a) + other(a + 1) + kept; }\n"


def _object(folder: Path) -> bytes:
    (folder / "a.c").write_text(SOURCE)
    flags = ["-O2", "-mcmodel=kernel", "-fno-pie", "-ffreestanding", "-c"]
    subprocess.run(["gcc", *flags, "a.c", "-o", "a.o"], cwd=folder, check=True)
    return (folder / "a.o").read_bytes()


def _kinds(content: bytes) -> Counter[int]:
    sections = [one for one in ELFFile(io.BytesIO(content)).iter_sections() if isinstance(one, RelocationSection)]
    return Counter(one["r_info_type"] for section in sections for one in section.iter_relocations())


def test_calls_become_plain_and_nothing_else_changes(tmp_path: Path) -> None:
    before = _object(tmp_path)
    after = without_plt_calls(before)
    assert _kinds(before)[4] == 2
    assert _kinds(after) == _kinds(before) - Counter({4: 2}) + Counter({2: 2})
    assert len(after) == len(before)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 2
    assert without_plt_calls(after) == after
