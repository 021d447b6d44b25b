"""The static tools are made by the driver source's own Makefiles and kept by content."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from builder.failure import StepError
from builder.source import DriverSource, load_source
from builder.tools import Tools, build_tools
from kdriver.core.errors import ExitCode
from tests.fakes.tiny_kernel import TOY_DRIVER

MAKEFILE = """all: {targets}
$(OUT)/%: main.c
\t$(CC) -static -I$(GEN) -I../common -o $@ $<
"""
PROGRAMS = {"capture": ("kd-capture",), "cases": ("kd-cases", "kd-cases32"), "guest": ("kd-guest",)}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DriverSource:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    copy = Path(shutil.copytree(TOY_DRIVER, tmp_path / "toy_driver"))
    for folder, names in PROGRAMS.items():
        (copy / folder).mkdir()
        targets = " ".join(f"$(OUT)/{name}" for name in names)
        (copy / folder / "Makefile").write_text(MAKEFILE.format(targets=targets))
        (copy / folder / "main.c").write_text('#include "kd_toy.h"\nint main(void) { return KD_TOY_VALUE; }\n')
    return load_source(copy)


def paths(tools: Tools) -> list[Path]:
    return [tools.capture, tools.cases, tools.cases32, tools.guest_init]


def test_programs_run_and_carry_no_symbols(source: DriverSource, tmp_path: Path) -> None:
    tools = build_tools(tmp_path / "logs", source=source)
    assert [path.name for path in paths(tools)] == ["kd-capture", "kd-cases", "kd-cases32", "kd-guest"]
    for path in paths(tools):
        assert subprocess.run([path], check=False).returncode == 42
        with path.open("rb") as file:
            elf = ELFFile(file)
            assert elf.get_section_by_name(".symtab") is None
            assert elf.get_section_by_name(".interp") is None
    assert (tmp_path / "logs/capture.log").is_file()


def test_unchanged_source_is_not_compiled_again(source: DriverSource, tmp_path: Path) -> None:
    first = build_tools(tmp_path / "logs", source=source)
    before = [path.stat().st_mtime_ns for path in paths(first)]
    again = build_tools(tmp_path / "logs", source=source)
    assert again == first
    assert [path.stat().st_mtime_ns for path in paths(again)] == before


def test_changed_source_makes_another_program(source: DriverSource, tmp_path: Path) -> None:
    first = build_tools(tmp_path / "logs", source=source)
    (source.folder / "guest/main.c").write_text("int main(void) { return 7; }\n")
    again = build_tools(tmp_path / "logs", source=source)
    assert again.capture == first.capture
    assert again.guest_init != first.guest_init
    assert subprocess.run([again.guest_init], check=False).returncode == 7


def test_program_that_does_not_compile_shows_its_first_error(source: DriverSource, tmp_path: Path) -> None:
    (source.folder / "cases/main.c").write_text("#error on purpose\n")
    with pytest.raises(StepError) as caught:
        build_tools(tmp_path / "logs", source=source)
    assert caught.value.message.endswith("error: #error on purpose")
    assert caught.value.log == tmp_path / "logs/cases.log"
    assert caught.value.exit_code is ExitCode.BUILD
    assert not list((tmp_path / "cache/tools").glob("cases-*"))


def test_makefile_that_makes_too_little_is_named(source: DriverSource, tmp_path: Path) -> None:
    (source.folder / "cases/Makefile").write_text(MAKEFILE.format(targets="$(OUT)/kd-cases"))
    with pytest.raises(StepError, match="the Makefile of cases/ made no kd-cases32"):
        build_tools(tmp_path / "logs", source=source)
