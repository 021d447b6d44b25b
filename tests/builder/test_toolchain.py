"""The compiler is chosen by evidence: the kernel's own major version, else the nearest newer, never an older one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.failure import StepError
from builder.toolchain import (
    ClangPin,
    Compiler,
    Table,
    clang_names,
    find_gccs,
    find_llvm,
    fitting_gccs,
    gcc_name,
    is_own,
    load_table,
)


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
    assert fitting_gccs(wanted, compilers(*installed))[0].version == chosen


def test_newer_gccs_follow_nearest_first_and_older_ones_never() -> None:
    found = fitting_gccs((10, 2), compilers((9, 5), (16, 1), (12, 2), (14, 2)))
    assert [one.version for one in found] == [(12, 2), (14, 2), (16, 1)]


@pytest.mark.parametrize(
    ("wanted", "there", "own"),
    [
        pytest.param((12, 2), (12, 3), True, id="another minor of the same major"),
        pytest.param((12, 2), (13, 2), False, id="newer"),
        pytest.param((4, 8), (4, 9), False, id="before 5 the minor counts"),
        pytest.param((4, 8), (4, 8), True, id="old and exact"),
    ],
)
def test_own_compiler_is_of_the_same_release(wanted: tuple[int, int], there: tuple[int, int], own: bool) -> None:
    assert is_own(wanted, compilers(there)[0]) is own


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


def test_clang_is_the_override_then_the_kernels_pin_then_the_tables_order() -> None:
    table = Table(("clang-16", "clang-19"), "v2", (ClangPin("5.14.0-", "clang-12", "its verifier"),), ())
    assert clang_names("5.14.0-70.el9.x86_64", table, None) == ("clang-12",)
    assert clang_names("6.1.0-56-amd64", table, None) == ("clang-16", "clang-19")
    assert clang_names("5.14.0-70.el9.x86_64", table, "/opt/clang") == ("/opt/clang",)


def test_a_clang_that_the_kernel_s_verifier_refuses_is_left_out() -> None:
    table = Table(("clang-16", "clang-19"), "v2", (), (), (ClangPin("7.0.", "clang-16", "too many instructions"),))
    assert clang_names("7.0.4-cloud-amd64", table, None) == ("clang-19",)
    assert clang_names("6.1.0-56-amd64", table, None, {"clang-16": "by a verdict"}) == ("clang-19",)


def test_where_all_clangs_are_refused_the_order_stands() -> None:
    table = Table(("clang-16", "clang-19"), "v2", (), ())
    assert clang_names("6.1.0-56-amd64", table, None, ("clang-16", "clang-19")) == ("clang-16", "clang-19")


def test_every_pinned_and_refused_clang_says_why() -> None:
    table = load_table()
    assert all(len(row.why) > 20 for row in (*table.pins, *table.refused))


def test_clang_without_llc_beside_it_is_an_error(tmp_path: Path) -> None:
    fake_compiler(tmp_path / "bin", "clang-77", "Tiny clang version 77.0.1")
    with pytest.raises(StepError, match="toolchain: llc-77 is missing beside") as caught:
        find_llvm("clang-77", str(tmp_path / "bin"))
    assert caught.value.hint == "apt-get install llvm-77"


def test_every_harmless_warning_says_why() -> None:
    assert all(len(row.why) > 20 for row in load_table().harmless)
