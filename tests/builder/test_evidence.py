"""Headers say which compiler built the kernel, in one way or another; nothing is guessed from the release."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.evidence import read_evidence, require_symvers
from builder.failure import Failure, StepError


def tree(folder: Path, files: dict[str, str]) -> Path:
    texts = {"include/generated/utsrelease.h": '#define UTS_RELEASE "1.2.3-tiny"\n', **files}
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def config(text: str, number: int) -> str:
    return f'CONFIG_CC_VERSION_TEXT="{text}"\nCONFIG_GCC_VERSION={number}\n'


@pytest.mark.parametrize(
    ("files", "gcc"),
    [
        pytest.param(
            {".config": config("gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0", 120200)},
            (12, 2),
            id="debian 12",
        ),
        pytest.param(
            {".config": config("x86_64-linux-gnu-gcc-9 (Ubuntu 9.4.0-1) 9.4.0", 90400)},
            (9, 4),
            id="ubuntu 20.04",
        ),
        pytest.param(
            {
                ".config": "# CONFIG_MODVERSIONS is not set\n",
                "include/generated/compile.h": '#define LINUX_COMPILER "gcc version 4.8.5 20150623 (Red Hat) "\n',
            },
            (4, 8),
            id="centos 7",
        ),
        pytest.param(
            {"include/generated/compile.h": '#define LINUX_COMPILER "gcc-8 (Debian 8.3.0-6) 8.3.0, GNU ld 2.31.1"\n'},
            (8, 3),
            id="debian 10 without configuration",
        ),
        pytest.param(
            {".kernelvariables": "CC = $(if $(X),$(CCACHE)) $(CROSS_COMPILE)gcc-10\nifneq\n"},
            (10, 0),
            id="kernelvariables",
        ),
        pytest.param(
            {".config": 'CONFIG_CC_IS_CLANG=y\nCONFIG_CC_VERSION_TEXT="clang version 16.0.6"\nCONFIG_GCC_VERSION=0\n'},
            (0, 0),
            id="clang",
        ),
    ],
)
def test_compiler_is_read_from_the_headers(files: dict[str, str], gcc: tuple[int, int], tmp_path: Path) -> None:
    assert read_evidence(tree(tmp_path, files)).gcc == gcc


def test_headers_that_name_no_compiler_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="does not say which compiler built the kernel"):
        read_evidence(tree(tmp_path, {".config": "\n"}))


def test_headers_without_a_release_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="has no UTS_RELEASE"):
        read_evidence(tmp_path)


def test_modversions_and_release_are_read(tmp_path: Path) -> None:
    found = read_evidence(tree(tmp_path, {".config": "CONFIG_GCC_VERSION=120200\nCONFIG_MODVERSIONS=y\n"}))
    assert found.release == "1.2.3-tiny"
    assert found.modversions
    without = {".config": "CONFIG_GCC_VERSION=120200\nCONFIG_ASM_MODVERSIONS=y\n"}
    assert not read_evidence(tree(tmp_path, without)).modversions


def test_libc_need_is_that_of_the_neediest_host_tool(tmp_path: Path) -> None:
    root = tree(tmp_path, {".config": "CONFIG_GCC_VERSION=120200\n", "scripts/basic/fixdep": "a script\n"})
    assert read_evidence(root).glibc == (0, 0)
    (root / "tools/objtool").mkdir(parents=True)
    shutil.copy("/bin/ls", root / "tools/objtool/objtool.real-x86")
    found = read_evidence(root)
    assert found.glibc >= (2, 2)
    assert found.glibc_tool == "tools/objtool/objtool.real-x86"


def test_tree_without_the_kernels_symbols_is_told_what_writes_them(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"has no Module\.symvers") as caught:
        require_symvers(tmp_path)
    assert caught.value.failure is Failure.HEADERS
    assert caught.value.hint is not None and "modules_prepare" in caught.value.hint
    (tmp_path / "Module.symvers").touch()
    require_symvers(tmp_path)
