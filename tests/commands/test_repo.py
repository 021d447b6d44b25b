"""`kdriver repo` from its command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdriver.cli import run
from tests.fakes.published import Published, candidate


def init(tmp_path: Path, *more: str) -> int:
    return run(["repo", "init", "--repo", str(tmp_path / "r"), "--keys", str(tmp_path / "k"), "--bins", "16", *more])


def test_init_says_which_file_hosts_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path) == 0
    assert f"{tmp_path}/r/metadata/1.root.json: give this file to the hosts" in capsys.readouterr().out
    assert (tmp_path / "r/metadata/1.root.json").is_file()


def test_init_can_say_what_it_would_make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path, "--dry-run") == 0
    assert f"{tmp_path}/k: four new keys would be made\n" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    init(tmp_path)
    assert init(tmp_path, "--dry-run") == 2
    assert "is a repository already" in capsys.readouterr().err
    again = ["repo", "init", "--repo", str(tmp_path / "r2"), "--keys", str(tmp_path / "k"), "--dry-run"]
    assert run(again) == 2
    assert "holds keys already" in capsys.readouterr().err


def test_init_twice_is_refused_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path)
    key = (tmp_path / "k/root.pem").read_bytes()
    assert init(tmp_path) == 2
    assert f"kdriver: {tmp_path}/r: is a repository already\n  hint: Name an empty folder" in capsys.readouterr().err
    assert run(["repo", "init", "--repo", str(tmp_path / "r2"), "--keys", str(tmp_path / "k")]) == 2
    assert "holds keys already" in capsys.readouterr().err
    assert (tmp_path / "k/root.pem").read_bytes() == key
    assert not (tmp_path / "r2").exists()


def test_a_second_repository_can_be_signed_with_the_same_keys(tmp_path: Path) -> None:
    init(tmp_path)
    again = ["repo", "init", "--repo", str(tmp_path / "r2"), "--keys", str(tmp_path / "k"), "--reuse-keys"]
    assert run(again) == 0


def test_refresh_counts_up_and_reports_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path, "--timestamp-days", "3")
    capsys.readouterr()
    assert run(["repo", "refresh", "--repo", str(tmp_path / "r"), "--keys", str(tmp_path / "k"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["version"] == 2
    assert answer["renewed"] == ["snapshot", "timestamp"]


def test_refresh_of_a_folder_that_is_no_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path)
    assert run(["repo", "refresh", "--repo", str(tmp_path / "none"), "--keys", str(tmp_path / "k")]) == 3
    assert "is no repository: it has no metadata/1.root.json\n  hint: Make one with" in capsys.readouterr().err


def test_check_finds_a_changed_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path))
    argv = ["repo", "check", "--repo", published.url, "--json"]
    assert run(argv) == 0
    assert json.loads(capsys.readouterr().out)["faults"] == []
    alias = next(published.store.root.glob("0.1.0/x86_64/*.ko"))
    content = alias.read_bytes()
    alias.unlink()
    alias.write_bytes(content + b"x")
    assert run(argv) == 6
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert fault.endswith("is missing or is not the driver of debian/x86_64/6.1.0-56-amd64/6.1.192-2")
    (verdict,) = published.store.root.glob("targets/verdicts/**/*.json")
    verdict.write_bytes(b"{}")
    assert run(argv) == 6
    report = json.loads(capsys.readouterr().out)
    assert len(report["faults"]) == 2
    assert report["faults"][0].endswith(".json: is missing or differs from its signed digest")
    assert report["kernels"] == 1


def test_check_of_a_damaged_entry_still_ends_with_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path))
    (entry,) = published.store.root.glob("targets/kernels/**/*.json")
    entry.write_bytes(b"{}")
    assert run(["repo", "check", "--repo", published.url, "--json"]) == 6
    report = json.loads(capsys.readouterr().out)
    assert (len(report["faults"]), report["kernels"]) == (1, 0)
