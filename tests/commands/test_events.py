"""`kdriver events`: what a person and a program get to see of the catalogue."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from kdriver.cli import run


def _run(*words: str, status: int = 0) -> str:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert run(["events", *words]) == status, err.getvalue()
    return out.getvalue() + err.getvalue()


def _json(*words: str) -> Any:
    return json.loads(_run(*words, "--json"))


def test_list_has_every_event_once() -> None:
    events = _json("list")
    assert len(events) == len({event["id"] for event in events}) > 150
    assert {"id", "name", "calls", "category", "captured_at", "flags", "notes", "params"} <= events[0].keys()


@pytest.mark.parametrize("words", [("list",), ("show", "openat"), ("show", "quotactl"), ("coverage",)])
def test_tables_fit_eighty_columns(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdriver.core.console._PIPE_WIDTH", 80)
    assert max(len(line.rstrip()) for line in _run(*words).splitlines()) <= 80


def test_show_has_values_with_numbers_and_names_and_the_cases() -> None:
    shown = _json("show", "openat")
    assert shown["numbers"] == {"openat": {"x86_64": 257, "i386": 295}}
    assert shown["value_sets"]["file_flags"]["flags"] is True
    assert shown["value_sets"]["file_flags"]["values"]["O_CREAT"] == 4
    assert [param["capture"] for param in shown["params"]][:2] == ["fd(ret)", "fd(arg0)"]
    assert "openat-failure" in shown["cases"]
    text = _run("show", "openat")
    for words in ("openat (x86_64 257, i386 295)", "captured when the call returns", "O_CREAT", "16 (0x10)", "cases:"):
        assert words in text


def test_show_finds_an_event_by_the_call_that_it_serves() -> None:
    assert _json("show", "pread64")["name"] == "pread"


def test_an_unknown_event_is_not_found_and_near_names_are_told() -> None:
    assert "openat" in _run("show", "opennat", status=3)


def test_coverage_of_an_event_names_the_cases() -> None:
    rows = _json("coverage", "chdir")
    assert {row["event"] for row in rows} == {"chdir"}
    assert {row["abi"] for row in rows} == {"x86_64", "i386"}
    null = next(row for row in rows if (row["abi"], row["param"], row["situation"]) == ("i386", "path", "null"))
    assert null["outcome"] == "tried"
    assert "pointers@i386" in null["cases"]


def test_coverage_with_a_gap_exits_1_and_names_it(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    line = {"case": "close", "event": "close", "tid": 1, "ret": 0, "args": [1, 0, 0, 0, 0, 0], "params": {}}
    results.write_text(json.dumps({"driver": "kmod", "expect": line}) + "\n")
    said = _run("coverage", "--results", str(results), "--out", str(tmp_path / "out.json"), status=1)
    assert "missing: close failure (x86_64)" in said
    assert "missing: close success (x86_64)" not in said
    assert json.loads((tmp_path / "out.json").read_text()) == {"close": {"x86_64": {"": {"success": ["close"]}}}}


def test_manual_goes_to_a_file(tmp_path: Path) -> None:
    _run("manual", "--out", str(tmp_path / "events.md"))
    assert (tmp_path / "events.md").read_text() == _run("manual")
