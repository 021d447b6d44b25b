"""The journal of verdicts: one line for each that was ever given here, never changed, so that a kernel has a history.

`<cache>/verdicts/journal.jsonl`; a line is {"verdict": record, "console": path of the guest's console log or "",
"driver_src": the driver source's folder, or "" for kdriver's own}. It also holds what has no artifact: a kind that
could not be built is not verified, with the reason.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.paths import cache_dir
from kdriver.core.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Told:
    """A verdict, where it was found, and its console log (None: there is none, or no longer). driver_src: of the
    driver, empty for kdriver's own."""

    verdict: Verdict
    source: str
    console: Path | None = None
    driver_src: str = ""


def journal_path() -> Path:
    """Where the journal of this machine is."""
    return cache_dir() / "verdicts" / "journal.jsonl"


def append_journal(verdict: Verdict, console: Path | None, driver_src: Path | None = None) -> None:
    """Add a verdict at the end; in one write, so that several processes may do it."""
    path = journal_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "verdict": verdict.to_json(),
        "console": str(console) if console else "",
        "driver_src": str(driver_src.absolute()) if driver_src else "",
    }
    line = json.dumps(record) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def read_journal(problems: list[str]) -> Iterator[Told]:
    """All verdicts, oldest first; a line that cannot be read is added to `problems`."""
    path = journal_path()
    if not path.is_file():
        return
    with path.open() as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                verdict = Verdict.from_json(record["verdict"])
                console = Path(record["console"]) if record["console"] else None
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                problems.append(f"{path}, line {number}: is no verdict ({error!r})")
                continue
            kept = console if console and console.is_file() else None
            yield Told(verdict, "here", kept, str(record.get("driver_src", "")))
