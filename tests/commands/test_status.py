"""`kdriver status` from its command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdriver.cli import run
from tests.fakes.published import Published


def load(published: Published, trust: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["load", "--repo", published.url, "--kind", "bpf", *trust]) == 0
    capsys.readouterr()


def test_status_names_the_driver_its_verdict_and_its_repository(
    published: Published, trust: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    load(published, trust, capsys)
    assert run(["status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["in_place"], status["kind"], status["drops"]) == (True, "bpf", None)
    assert status["repository"]["stale"] is False
    assert status["installed"]["outcome"] == "passed"
    assert Path(status["installed"]["path"]).is_file()
    assert run(["status"]) == 0
    out = capsys.readouterr().out
    assert "kdriver 0.1.0 (bpf): passed on " in out
    assert status["installed"]["artifact"][:16] in out


def test_a_host_without_a_driver_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDRIVER_STATE", str(tmp_path / "none"))
    assert run(["status", "--name", "kd_no_such_module"]) == 0
    assert capsys.readouterr().out == "no driver is in place\n"
    assert not (tmp_path / "none").exists()


def test_a_damaged_record_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDRIVER_STATE", str(tmp_path))
    (tmp_path / "installed.json").write_text("{}")
    assert run(["status"]) == 2
    err = capsys.readouterr().err
    assert "installed.json: is no record of a driver" in err
    assert "hint: Delete it and load again." in err
