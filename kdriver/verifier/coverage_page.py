"""The coverage as a page (HTML) and as a document (Markdown), from templates/coverage."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kdriver.core.paths import source_dir
from kdriver.core.verdict import Outcome
from kdriver.verifier.coverage import Cell, Coverage, KernelRow, count
from kdriver.verifier.coverage_lines import build_rows, count_lines, flavours_of, open_reasons
from kdriver.verifier.runs import Run

HTML = "coverage/index.html.j2"
MARKDOWN = "coverage/coverage.md.j2"
MARKS = {Outcome.PASSED: "passed", Outcome.FAILED: "failed", Outcome.NOT_VERIFIED: "open"}
"""Outcome to the class of its mark on the page."""
_HISTORY_SHOWN = 12


def render_html(coverage: Coverage, logs: Mapping[Path, str], *, made: str) -> str:
    """The page. logs: console log to its address on the page. made: when, as text."""
    return (
        _environment(autoescape=True)
        .get_template(HTML)
        .render(coverage=coverage, logs=logs, made=made, summary=count(coverage.rows), **_vocabulary(coverage))
    )


def render_markdown(coverage: Coverage, *, made: str, runs: Sequence[Run] = ()) -> str:
    """The document: by line of the kernel, then each build with its flavours. runs: that the verdicts come of."""
    lines = {
        "lines": count_lines(coverage),
        "open": open_reasons(coverage),
        "builds": build_rows,
        "flavours": flavours_of,
        "runs": runs,
    }
    return (
        _environment(autoescape=False)
        .get_template(MARKDOWN)
        .render(coverage=coverage, made=made, summary=count(coverage.rows), **lines, **_vocabulary(coverage))
    )


def write_html(coverage: Coverage, out: Path, *, made: str) -> None:
    """Write the page, and the console logs that it leads to into `<name>-logs` beside it: the folder can be served."""
    out.parent.mkdir(parents=True, exist_ok=True)
    logs = copy_logs(coverage, out.with_name(f"{out.stem}-logs"))
    partial = out.with_name(f".{out.name}.part")
    partial.write_text(render_html(coverage, logs, made=made))
    partial.replace(out)


def copy_logs(coverage: Coverage, folder: Path) -> dict[Path, str]:
    """Copy the logs of all verdicts that are shown; where each went, relative to the page."""
    logs: dict[Path, str] = {}
    for row in coverage.rows:
        for told in (told for cell in row.cells for told in cell.history[:_HISTORY_SHOWN]):
            if told.console is None or told.console in logs:
                continue
            name = f"{row.release}-{hashlib.sha256(str(told.console).encode()).hexdigest()[:12]}.txt"
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(told.console, folder / name)
            logs[told.console] = f"{folder.name}/{name}"
    return logs


def _vocabulary(coverage: Coverage) -> dict[str, object]:
    return {
        "count": count,
        "marks": MARKS,
        "broke": _found(coverage, lambda cell: cell.broke),
        "failed": _found(coverage, lambda cell: cell.outcome is Outcome.FAILED),
        "history_shown": _HISTORY_SHOWN,
        "classes": _classes(coverage),
    }


def _found(coverage: Coverage, wanted: Callable[[Cell], bool]) -> list[tuple[KernelRow, Cell]]:
    return [(row, cell) for row in coverage.rows for cell in row.cells if wanted(cell)]


def _classes(coverage: Coverage) -> list[tuple[str, str, int]]:
    """(outcome, class, how many) of all that did not pass, most first."""
    found: dict[tuple[str, str], int] = {}
    for row in coverage.rows:
        for cell in row.cells:
            if cell.outcome is not Outcome.PASSED:
                key = (str(cell.outcome), cell.failure_class)
                found[key] = found.get(key, 0) + 1
    return sorted(((*key, number) for key, number in found.items()), key=lambda one: (one[0], -one[2], one[1]))


def _environment(*, autoescape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(source_dir("templates")),
        undefined=StrictUndefined,
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _table_cell
    environment.filters["code"] = "`{}`".format
    return environment


def _table_cell(text: str) -> str:
    """Text that stays within one cell of a Markdown table."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
