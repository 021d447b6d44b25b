"""Seeded defects of the drivers (tests/mutants/mutants.toml): read, checked, and applied to a copy of driver_src."""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.artifact import DriverKind

_BLOCK_ENDS = re.compile(r"^(\}|\[\[)", re.M)
"""The end of a function of C, and the beginning of the next table of TOML."""
TABLE = Path(__file__).resolve().parent.parent.parent / "tests" / "mutants" / "mutants.toml"


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces `find` by `put` in a file. after: empty, or what occurs once in it, in the function or table that is
    meant, before `find`."""

    file: str
    find: str
    put: str
    after: str = ""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One defect. kinds: the drivers that it is built into. shows: what one of the failures must say. left_out: why not
    the other kinds, empty when all are."""

    name: str
    about: str
    kinds: tuple[DriverKind, ...]
    shows: re.Pattern[str]
    edits: tuple[Edit, ...]
    left_out: str = ""


class MutantError(Exception):
    """A mutant is described wrongly, or no longer fits the driver source."""


def read_mutants(table: Path = TABLE) -> tuple[Mutant, ...]:
    """All mutants, in their order. Raises MutantError."""
    found = []
    for row in tomllib.loads(table.read_text())["mutant"]:
        kinds = tuple(DriverKind(kind) for kind in row["kinds"])
        edits = tuple(Edit(**edit) for edit in row["edit"])
        if (len(kinds) < len(DriverKind)) != bool(row.get("left_out")):
            raise MutantError(f"{row['name']}: left_out must say why kinds are left out, where some are")
        found.append(Mutant(row["name"], row["about"], kinds, re.compile(row["shows"]), edits, row.get("left_out", "")))
    names = [mutant.name for mutant in found]
    if len(set(names)) < len(names):
        raise MutantError("two mutants have one name")
    return tuple(found)


def apply_mutant(mutant: Mutant, driver_src: Path, into: Path) -> Path:
    """Copy a driver source to `into`, with the defect in it. Raises MutantError when an edit does not fit exactly
    once."""
    shutil.copytree(driver_src, into)
    for edit in mutant.edits:
        path = into / edit.file
        path.write_text(edited(path.read_text(), edit, mutant.name))
    return into


def edited(text: str, edit: Edit, subject: str) -> str:
    """The text with the edit in it. Raises MutantError."""
    start, end = 0, len(text)
    if edit.after:
        if text.count(edit.after) != 1:
            raise MutantError(f"{subject}: {edit.file}: {text.count(edit.after)} times {edit.after!r}, 1 was expected")
        start = text.index(edit.after)
        after = _BLOCK_ENDS.search(text, start)
        end = after.start() if after else end
    elif text.count(edit.find) != 1:
        raise MutantError(f"{subject}: {edit.file}: {text.count(edit.find)} times {edit.find!r}, 1 was expected")
    place = text.find(edit.find, start, end)
    if place < 0:
        raise MutantError(f"{subject}: {edit.file}: {edit.find!r} does not follow {edit.after!r}")
    return text[:place] + edit.put.removeprefix("\n") + text[place + len(edit.find) :]
