"""The compiler is chosen by evidence: the kernel's own major version, else the nearest newer, never an older one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.evidence import Evidence
from builder.failure import Failure, StepError
from builder.toolchain import (
    ClangPin,
    Compiler,
    Table,
    choose_clang_name,
    choose_gcc,
    find_gccs,
    find_llvm,
    gcc_for,
    gcc_name,
    load_table,
    require_libc,
)
from kdriver.core.errors import ExitCode


def compilers(*versions: tuple[int, int]) -> list[Compiler]:
    return [Compiler(f"/bin/{gcc_name(version)}", version, gcc_name(version)) for version in versions]


@pytest.mark.parametrize(
    ("wanted", "installed", "chosen"),
    [
        pytest.param((12, 2), [(10, 2), (12, 2), (14, 0)], (12, 2), id="exact"),
        pytest.param((12, 2), [(12, 3), (13, 0)], (12, 3), id="another minor of the same major"),
        pytest.param((10, 2), [(9, 1), (14, 0), (12, 2)], (12, 2), id="nearest newer"),
        pytest.param((4, 8), [(4, 8), (4, 9), (12, 2)], (4, 8), id="before 5 the minor counts"),
        pytest.param((4, 8), [(12, 2)], (12, 2), id="old kernel, new compiler"),
    ],
)
def test_gcc_is_the_kernels_own_or_the_nearest_newer(
    wanted: tuple[int, int], installed: list[tuple[int, int]], chosen: tuple[int, int]
) -> None:
    assert choose_gcc(wanted, compilers(*installed)).version == chosen


@pytest.mark.parametrize("installed", [pytest.param([], id="none"), pytest.param([(11, 4)], id="only older")])
def test_no_fitting_gcc_is_an_error_that_says_what_to_install(installed: list[tuple[int, int]]) -> None:
    with pytest.raises(StepError, match="toolchain: compiler gcc-12 is missing") as caught:
        choose_gcc((12, 2), compilers(*installed))
    assert caught.value.hint == "apt-get install gcc-12"
    assert caught.value.failure is Failure.TOOLCHAIN
    assert caught.value.exit_code is ExitCode.BUILD


def test_gcc_before_5_is_named_with_its_minor() -> None:
    assert gcc_name((4, 8)) == "gcc-4.8"
    assert gcc_name((12, 2)) == "gcc-12"


def fake_compiler(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f'#!/bin/sh\necho "{text}"\n')
    program.chmod(0o755)


def test_gccs_are_found_by_what_they_say_of_themselves(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    fake_compiler(folder, "gcc", "gcc (GCC) 4.8.5 20150623 (Red Hat 4.8.5-44)")
    fake_compiler(folder, "gcc-12", "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0")
    fake_compiler(folder, "gcc-ar", "gcc-ar (GCC) 12.2.0")
    fake_compiler(folder, "gcc-13", "no compiler at all")
    found = find_gccs(str(folder))
    assert [(Path(one.path).name, one.version) for one in found] == [("gcc", (4, 8)), ("gcc-12", (12, 2))]
    assert found[1].text == "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"


def test_name_with_the_version_is_preferred_to_plain_gcc(tmp_path: Path) -> None:
    fake_compiler(tmp_path / "a", "gcc", "gcc (Debian 12.2.0-14) 12.2.0")
    fake_compiler(tmp_path / "b", "gcc-12", "gcc-12 (Debian 12.2.0-14) 12.2.0")
    found = find_gccs(f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}")
    assert [Path(one.path).name for one in found] == ["gcc-12"]


def test_clang_is_the_override_then_the_kernels_pin_then_the_default() -> None:
    table = Table("clang-16", "v2", (ClangPin("5.14.0-", "clang-12", "its verifier"),), ())
    assert choose_clang_name("5.14.0-70.el9.x86_64", table, None) == "clang-12"
    assert choose_clang_name("6.1.0-56-amd64", table, None) == "clang-16"
    assert choose_clang_name("5.14.0-70.el9.x86_64", table, "/opt/clang") == "/opt/clang"


def test_clang_without_llc_beside_it_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_compiler(tmp_path / "bin", "clang-77", "Tiny clang version 77.0.1")
    monkeypatch.setenv("KDRIVER_CLANG", "clang-77")
    with pytest.raises(StepError, match="toolchain: llc-77 is missing beside") as caught:
        find_llvm("", str(tmp_path / "bin"))
    assert caught.value.hint == "apt-get install llvm-77"


@pytest.mark.parametrize(
    ("there", "has"), [pytest.param((2, 36), "2.36", id="older"), pytest.param((0, 0), "no glibc", id="another libc")]
)
def test_host_tools_that_need_a_newer_libc_are_refused(there: tuple[int, int], has: str) -> None:
    with pytest.raises(StepError) as caught:
        require_libc((2, 38), "tools/objtool/objtool.real-x86", there)
    assert caught.value.message == (
        f"C library: objtool.real-x86 of the kernel's headers needs glibc 2.38, this machine has {has}"
    )
    assert caught.value.hint == "Build on a machine or in a container of the kernel's own distribution release."
    assert caught.value.exit_code is ExitCode.BUILD


def test_host_tools_of_the_same_libc_are_fine() -> None:
    require_libc((2, 36), "modpost", (2, 36))


def test_every_harmless_warning_says_why() -> None:
    assert all(len(row.why) > 20 for row in load_table().harmless)


def test_kernel_of_another_compiler_is_refused() -> None:
    with pytest.raises(
        StepError, match=r"the kernel was built with clang version 16; kdriver builds modules"
    ) as caught:
        gcc_for(Evidence("1.2.3-tiny", "clang version 16", (0, 0), True, (0, 0), ""))
    assert caught.value.hint == "Use --kind core for this kernel."
    assert caught.value.exit_code is ExitCode.BUILD
