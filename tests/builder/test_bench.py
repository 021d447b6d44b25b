"""Of compilers newer than the kernel's own the nearest is taken that the headers accept; none is taken silently."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite, TinyKernel

Capture = pytest.CaptureFixture[str]


def broken_gcc(folder: Path, major: int) -> None:
    """A compiler that says what it is, and compiles nothing."""
    folder.mkdir(exist_ok=True)
    program = folder / f"gcc-{major}"
    version = f"gcc-{major} (Broken {major}.1.0) {major}.1.0"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "{version}" && exit\necho "error: broken" >&2\nexit 1\n'
    )
    program.chmod(0o755)


def build(capture: Capture, *words: str) -> tuple[int, dict[str, Any]]:
    status = run(["build", "--driver-src", str(TOY_DRIVER), "--distro", "debian12", "--kind", "kmod", "--json", *words])
    (found,) = json.loads(capture.readouterr().out)
    return status, found


def test_a_newer_gcc_that_the_headers_refuse_gives_way_to_the_next(
    site: BuildSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    site.add(TinyKernel(gcc=8))
    broken_gcc(tmp_path / "bin", 9)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    status, found = build(capsys, "--executor", "local")
    assert (status, found["outcome"]) == (ExitCode.DONE, "built")
    assert found["compiler"].startswith("gcc-12 (Debian")


def test_where_the_headers_accept_none_all_that_were_tried_are_named(
    site: BuildSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    site.add(TinyKernel(gcc=77))
    for major in (78, 79):
        broken_gcc(tmp_path / "bin", major)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    status, found = build(capsys, "--executor", "local")
    assert (status, found["failure"]) == (ExitCode.BUILD, "toolchain")
    assert found["reason"] == (
        "toolchain: there is none: the headers accept none of "
        "gcc-78 (Broken 78.1.0) 78.1.0, gcc-79 (Broken 79.1.0) 79.1.0"
    )


def test_the_kernel_s_own_gcc_is_not_replaced_when_it_compiles_nothing(
    site: BuildSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    site.add(TinyKernel(gcc=9))
    broken_gcc(tmp_path / "bin", 9)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    status, found = build(capsys, "--executor", "local")
    assert (status, found["failure"]) == (ExitCode.BUILD, "toolchain")
    assert found["reason"].startswith("toolchain: a module without any content does not compile")
