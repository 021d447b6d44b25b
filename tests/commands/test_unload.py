"""`kdriver unload` from its command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kdriver.cli import run
from tests.fakes.published import Published


def test_unload_removes_the_driver_and_keeps_the_trust(
    published: Published, trust: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    load = ["load", "--repo", published.url, "--kind", "bpf"]
    assert run([*load, *trust]) == 0
    capsys.readouterr()
    assert run(["unload", "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["done"]
    assert line.startswith("kdriver.bpf.o (")
    assert line.endswith("removed from this host")
    assert not (Path(os.environ["KDRIVER_STATE"]) / "drivers").exists()
    assert run(load) == 0


def test_unloading_twice_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDRIVER_STATE", str(tmp_path))
    for _ in range(2):
        assert run(["unload", "--name", "kd_no_such_module"]) == 0
        assert capsys.readouterr().out == "no driver is in place\n"
