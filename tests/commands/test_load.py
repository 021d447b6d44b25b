"""`kdriver load` from the command line, on the kernel of this machine; no module is loaded."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kdriver.cli import run
from tests.fakes.published import Published, candidate, kernel


def load(published: Published, *more: str) -> int:
    return run(["load", "--repo", published.url, "--kind", "bpf", *more])


def test_an_ebpf_driver_is_installed_and_stays(
    published: Published, trust: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert load(published, *trust, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["outcome"], report["choice"]["driver"]["kind"]) == ("installed", "bpf")
    assert report["host"]["release"] == os.uname().release
    assert load(published) == 0
    assert "already loaded: kdriver 0.1.0 (bpf) at " in capsys.readouterr().out


def test_explain_names_every_kind_that_was_tried(
    published: Published, trust: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["load", "--repo", published.url, *trust, "--kind", "kmod", "--kind", "bpf", "--explain", "-n"]
    assert run(argv) == 0
    out = capsys.readouterr().out
    assert "kmod: not taken: the repository has none for this kernel" in out
    assert "bpf: taken: version 0.1.0 passed its verification on this kernel" in out
    assert "would load: kdriver 0.1.0 (bpf)" in out
    assert not (Path(os.environ["KDRIVER_STATE"])).exists()


def test_without_trust_the_hint_names_both_ways(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    assert load(published) == 2
    err = capsys.readouterr().err
    assert "this host has no trusted root for it" in err
    assert "--trust-on-first-use" in err


@pytest.mark.parametrize("content", ["root:x:0:0", '{"signed": {}, "signatures": []}', "[]"])
def test_a_trust_file_that_is_no_root_is_named_and_ends_with_2(
    published: Published, tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(content)
    assert load(published, "--trust", str(file)) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"kdriver: {file}: is no signed root of a repository",
        "  hint: Name the repository's root.json with --trust.",
    ]


def test_a_kernel_that_is_not_there_ends_with_3_and_names_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDRIVER_STATE", str(tmp_path / "state"))
    published = Published(tmp_path)
    published.publish(candidate(tmp_path))
    assert load(published, "--trust-on-first-use") == 3
    err = capsys.readouterr().err
    assert f"nearest: {kernel().key}" in err
    assert "hint: Ask for this kernel to be built and published" in err


def test_a_wrong_byte_ends_with_6_and_one_line(
    published: Published, trust: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = published.store.root.glob("targets/**/*.kdriver.bpf.o")
    path.write_bytes(path.read_bytes() + b"x")
    assert load(published, *trust) == 6
    assert len(capsys.readouterr().err.splitlines()) == 2
    state = Path(os.environ["KDRIVER_STATE"])
    assert [one.name for one in state.rglob("*") if one.is_file()] == ["lock"]


def test_a_repository_that_cannot_be_reached_ends_with_1(
    published: Published, trust: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["load", "--repo", "http://127.0.0.1:9/", *trust]) == 1
    assert "cannot be reached: Connection refused" in capsys.readouterr().err


def test_a_trust_file_that_is_not_there(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    assert load(published, "--trust", "no/such.json") == 2
    assert "no/such.json: No such file or directory\n  hint: Name the repository's root.json" in capsys.readouterr().err


def test_a_parameter_without_a_value_is_wrong_use(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    assert load(published, "--param", "size") == 2
    assert "--param size: is not NAME=VALUE" in capsys.readouterr().err
