"""`kdriver build --explain`: which compiler each driver gets, and what says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite, TinyKernel

Capture = pytest.CaptureFixture[str]


def build(*words: str) -> int:
    return run(["build", "--driver-src", str(TOY_DRIVER), "--distro", "debian12", "--executor", "local", *words])


def document(capture: Capture) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capture.readouterr().out)
    return found


def test_explanation_names_compiler_place_and_evidence_and_builds_nothing(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    assert build("--explain") == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == kernel.key
    assert lines[1].startswith("  kmod gcc-12 (Debian 12.")
    assert lines[2].startswith("       because gcc-12 built the kernel, ") and lines[2].endswith("on this machine")
    assert "       compiler:             gcc-12 (Tiny 12.2.0) 12.2.0  [CONFIG_GCC_VERSION of .config]" in lines
    assert any(line.endswith("[scripts/mod/modpost]") for line in lines)
    assert "       gcc plugins:          none  [.config]" in lines
    assert any(line.startswith("  bpf  ") and "clang version 16" in line for line in lines)
    assert site.artifacts() == []


def test_document_holds_the_same(site: BuildSite, capsys: Capture) -> None:
    site.add()
    assert build("--explain", "--json", "--kind", "kmod") == ExitCode.DONE
    (found,) = document(capsys)
    assert found["toolchain"]["where"] == "this machine"
    assert found["toolchain"]["exact"] is True
    assert {"fact": "gcc", "value": "gcc-12", "source": "the same"} in found["evidence"]


def test_a_newer_compiler_is_said_to_be_none_of_the_kernel_s_own(site: BuildSite, capsys: Capture) -> None:
    site.add(TinyKernel(gcc=8))
    assert build("--explain", "--json", "--kind", "kmod") == ExitCode.DONE
    (found,) = document(capsys)
    assert found["toolchain"]["exact"] is False
    assert found["toolchain"]["why"].startswith("gcc-8 built the kernel and is nowhere; the nearest newer gcc")


def test_no_toolchain_is_said_with_its_reason_and_status_4(site: BuildSite, capsys: Capture) -> None:
    site.add(TinyKernel(gcc=77))
    assert build("--explain", "--kind", "kmod") == ExitCode.BUILD
    said = capsys.readouterr().out.splitlines()
    assert said[1] == "  kmod none: toolchain: compiler gcc-77 is missing, and no newer gcc is installed"
    assert said[2].startswith(
        "       hint: apt-get install gcc-77, or build in a container: kdriver images build debian12"
    )


def test_dry_run_explains_by_the_index_and_downloads_nothing(site: BuildSite, capsys: Capture) -> None:
    site.add()
    assert build("--dry-run", "--json", "--kind", "kmod") == ExitCode.DONE
    (found,) = document(capsys)
    assert found["toolchain"]["compiler"].startswith("gcc-12 (Debian 12.")
    assert found["no_toolchain"] == ""
    assert build("--dry-run", "--explain", "--kind", "kmod") == ExitCode.DONE
    assert "[dependency of the header packages]" in capsys.readouterr().out
    assert not (site.cache / "headers").exists()


def test_dry_run_says_that_there_is_no_toolchain(site: BuildSite, capsys: Capture) -> None:
    site.add(TinyKernel(gcc=77))
    assert build("--dry-run", "--json", "--kind", "kmod") == ExitCode.DONE
    (found,) = document(capsys)
    assert found["toolchain"] is None
    assert found["no_toolchain"].startswith("toolchain: compiler gcc-77 is missing")
