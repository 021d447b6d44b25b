"""What a person sees: results on stdout, everything else on stderr, one JSON document when asked for.

rich is imported when something is drawn: it takes longer than a whole query of the index that prints JSON.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    STDERR: Console

_PIPE_WIDTH = 160
_GAP = 2


def __getattr__(name: str) -> Any:
    """STDERR, made when it is first asked for."""
    if name != "STDERR":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _stderr()


@functools.cache
def _stderr() -> Console:
    return _console(stderr=True)


def _console(*, stderr: bool = False) -> Console:
    """Without markup: file names, compilers' words and event values hold brackets and colons that mean just
    themselves."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def print_json(value: Any) -> None:
    """One document, keys in the order given, on stdout."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=True)
    sys.stdout.write("\n")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    by_first: bool = False,
    stderr: bool = False,
) -> None:
    """A table that fits the terminal (cells fold); plain columns without colour when stdout is no terminal.

    stderr: print it there, as what explains a result. by_first: where a terminal is too narrow for the lines, what the
    first column says stands above its rows, and columns that are empty are left out.
    """
    console = _console(stderr=stderr)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    cells = [tuple(row) for row in rows]
    if not by_first or not console.is_terminal or _width(columns, cells) <= console.width:
        console.print(_table(columns, cells, title))
        return
    kept = [place for place in range(1, len(columns)) if any(row[place] for row in cells)]
    for first, group in groupby(cells, key=lambda row: row[0]):
        rest = [tuple(row[place] for place in kept) for row in group]
        console.print(first)
        console.print(_table([columns[place] for place in kept], rest))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    from rich.table import Table

    table = Table(title=title, box=None, pad_edge=False, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Of the lines, when nothing folds."""
    widest = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    return sum(widest) + _GAP * (len(widest) - 1)


def progress() -> Progress:
    """A progress display on stderr that stays silent when stderr is no terminal."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    stderr = _stderr()
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=stderr,
        disable=not stderr.is_terminal,
        transient=True,
    )


def shortened(text: str, most: int) -> str:
    """The text, or its beginning with an ellipsis, in at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def size(size_bytes: int) -> str:
    """A size for a person: `13.9 MB`."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")
