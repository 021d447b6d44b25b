"""`kdriver images` from its command line, as far as it goes without an engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode

Capture = pytest.CaptureFixture[str]


def test_render_prints_dockerfiles_for_other_tools(capsys: Capture) -> None:
    assert run(["images", "render", "rhel7", "--base", "registry.example/centos:7"]) == ExitCode.DONE
    text = capsys.readouterr().out
    assert "FROM registry.example/centos:7\n" in text
    assert "    gcc \\\n" in text
    assert run(["images", "render", "debian13", "clang-16", "--json"]) == ExitCode.DONE
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["debian13", "clang-16"]


def test_dry_run_says_what_would_be_made_and_asks_no_engine(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KDRIVER_ENGINE", f"unix://{tmp_path}/nothing.sock")
    words = ["images", "build", "debian13", "rhel8", "--dry-run", "--json"]
    assert run(words) == ExitCode.DONE
    found = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["base"]) for one in found] == [
        ("debian13", "image debian:trixie"),
        ("almalinux8", "image docker.io/library/almalinux:8"),
    ]
    assert run(["images", "build", "debian13", "--base", "mmdebstrap", "--dry-run"]) == ExitCode.DONE
    assert "mmdebstrap trixie" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status"),
    [
        pytest.param(["build"], ExitCode.USAGE, id="nothing named"),
        pytest.param(["build", "--all", "debian13"], ExitCode.USAGE, id="both"),
        pytest.param(["build", "debian77", "--dry-run"], ExitCode.NOT_FOUND, id="unknown image"),
        pytest.param(["render", "debian77"], ExitCode.NOT_FOUND, id="unknown image to render"),
        pytest.param(["build", "centos7", "--base", "mmdebstrap", "-n"], ExitCode.USAGE, id="no Debian"),
        pytest.param(["import", "images.tar", "--as", "debian77"], ExitCode.NOT_FOUND, id="unknown name"),
        pytest.param(["list"], ExitCode.SOME_FAILED, id="the named engine does not answer"),
        pytest.param(["build", "debian13"], ExitCode.SOME_FAILED, id="nor builds it"),
        pytest.param(["export", "--out", "x.tar"], ExitCode.SOME_FAILED, id="nor exports it"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_status(
    words: list[str], status: ExitCode, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KDRIVER_ENGINE", f"unix://{tmp_path}/nothing.sock")
    monkeypatch.chdir(tmp_path)
    assert run(["images", *words]) == status
    said = capsys.readouterr().err
    assert "Traceback" not in said and said
    assert list(tmp_path.iterdir()) == []
