"""What a person sees of a table, on a terminal and in a pipe."""

from __future__ import annotations

import re

import pytest

from kdriver.core.console import print_table

KEY = "debian/x86_64/6.1.0-56-amd64/6.1.192-2"
COMPILER = "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"
COLUMNS = ("kernel", "kind", "outcome", "compiler", "seconds", "size", "reason")
ROWS = (
    (KEY, "kmod", "built", COMPILER, "48.3", "160.5 kB", ""),
    (KEY, "core", "built", COMPILER, "15.9", "2.1 MB", ""),
    (KEY.replace("56", "57"), "kmod", "built", COMPILER, "50.0", "160.5 kB", ""),
)


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines, without colours and blanks at their ends."""
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def _narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.usefixtures("_narrow_terminal")
def test_on_a_narrow_terminal_each_kernel_stands_above_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, ROWS, by_first=True)
    lines = printed(capsys)
    assert [line for line in lines if line.startswith("debian/")] == [KEY, KEY.replace("56", "57")]
    assert lines[1].split() == ["kind", "outcome", "compiler", "seconds", "size"]
    assert lines[2] == f"kmod  built    {COMPILER}  48.3     160.5 kB"
    assert max(map(len, lines)) <= 80


@pytest.mark.usefixtures("_narrow_terminal")
def test_a_kernel_above_narrow_rows_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("kernel", "kind", "packages"), [(KEY, "kmod", "x" * 70), (f"{KEY}+b1", "core", "")], by_first=True)
    assert printed(capsys)[3:] == [f"{KEY}+b1", "kind  packages", "core"]


@pytest.mark.usefixtures("_narrow_terminal")
def test_what_fits_a_terminal_is_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("kernel", "kind"), [(KEY, "kmod"), (KEY, "core")], by_first=True)
    assert printed(capsys) == [f"{'kernel':<{len(KEY)}}  kind", f"{KEY}  kmod", f"{KEY}  core"]


def test_a_pipe_gets_every_column_in_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, ROWS, by_first=True)
    lines = printed(capsys)
    assert lines[0].split() == list(COLUMNS)
    assert len(lines) == 1 + len(ROWS)


@pytest.mark.parametrize("text", ["unused [enabled by default]", "name [/etc/hostname]", "kmod:key:4", "[red]x[/red]"])
def test_a_cell_is_printed_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("reason",), [(text,)])
    assert printed(capsys) == ["reason", text]
