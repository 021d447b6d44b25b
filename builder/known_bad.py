"""Kernels of which it is known that a driver of some kind cannot work there, or cannot be built: a table of lines.

The lines that ship stand in known_bad.toml; every distribution's row adds one for each kind that it rules out, named
`<row>-<kind>` (`centos7-core`). A user's file of the same shape adds lines, and a line with the id of another takes its
place: with `off = true` nothing is ruled out any more.
"""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ConfigError
from kdriver.core.kernel import Kernel
from kernel_index.kinds import is_older, reason_against
from kernel_index.table import DistroRow

_SHIPPED = Path(__file__).with_name("known_bad.toml")
_TEXTS = ("id", "distro", "release", "first", "before", "reason", "seen")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. distro: a row or a family, empty for all. release: a pattern of `uname -r` in the shell's
    way, empty for all. first, before: the range of `uname -r`, first included and before not; empty where it is open.
    seen: where it was found out. off: the line rules nothing out."""

    id: str
    kinds: tuple[DriverKind, ...]
    distro: str = ""
    release: str = ""
    first: str = ""
    before: str = ""
    reason: str = ""
    seen: str = ""
    off: bool = False

    @property
    def range(self) -> str:
        """The kernels that the line is about, for a person: `debian, from 5.10.0-1 to before 5.10.0-9`."""
        parts = [self.distro or "every distribution", self.release]
        parts += [f"from {self.first}" if self.first else "", f"before {self.before}" if self.before else ""]
        return ", ".join(part for part in parts if part)

    def covers(self, kernel: Kernel, kind: DriverKind) -> bool:
        """Whether the line is about that driver of that kernel."""
        return (
            kind in self.kinds
            and self.distro in ("", kernel.distro, kernel.distro_release)
            and fnmatch.fnmatchcase(kernel.release, self.release or "*")
            and not (self.first and is_older(kernel.release, self.first))
            and not (self.before and not is_older(kernel.release, self.before))
        )


@dataclass(frozen=True, slots=True)
class Ruling:
    """Why a driver is not built, and the id of the line that says so; both empty where nothing is known against it."""

    reason: str = ""
    line: str = ""


@dataclass(frozen=True, slots=True)
class KnownBad:
    """The whole table: lines, and the rows of distributions with what they say."""

    lines: tuple[Line, ...] = ()
    rows: tuple[DistroRow, ...] = ()

    def ruling(self, kernel: Kernel, kind: DriverKind) -> Ruling:
        """What the table says of a driver. A line with the id of a row's line stands in its place."""
        own = {line.id: line for line in self.lines}
        row = next((row for row in self.rows if row.id == kernel.distro_release), None)
        if row is not None and row_line(row, kind) not in own:
            reason = reason_against(kernel, kind, row)
            if reason:
                return Ruling(reason, row_line(row, kind))
        for line in self.lines:
            if not line.off and line.covers(kernel, kind):
                return Ruling(f"known bad: {line.reason} ({line.range})", line.id)
        return Ruling()


def row_line(row: DistroRow, kind: DriverKind) -> str:
    """The id of what a distribution's row says of a kind."""
    return f"{row.id}-{kind}"


def load_known_bad(rows: Sequence[DistroRow], override: Path | None = None) -> KnownBad:
    """The shipped table with a user's file over it. Raises ConfigError with everything that is wrong in the file."""
    lines = {line.id: line for line in read_lines(_SHIPPED)}
    lines |= {line.id: line for line in (read_lines(override) if override else ())}
    return KnownBad(tuple(lines.values()), tuple(rows))


def read_lines(path: Path) -> tuple[Line, ...]:
    """The lines of a file. Raises ConfigError."""
    hint = "Write [[line]] tables with id, kinds, reason and, as needed, distro, release, first, before, seen, off."
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="Name an existing file with --known-bad.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", hint=hint) from error
    problems = [f"{key} is unknown" for key in document if key != "line"]
    rows = document.get("line", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{path}: line is no list of tables", hint=hint)
    for number, row in enumerate(rows, 1):
        problems += [f"line {number}: {problem}" for problem in _problems(row)]
    ids = [row.get("id") for row in rows]
    problems += [f"id {one!r} stands twice" for one in dict.fromkeys(ids) if ids.count(one) > 1]
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}", hint=hint)
    return tuple(_line(row) for row in rows)


def _problems(row: dict[str, Any]) -> Iterable[str]:
    for key in row:
        if key not in (*_TEXTS, "kinds", "off"):
            yield f"{key} is unknown"
    for key in _TEXTS:
        if not isinstance(row.get(key, ""), str):
            yield f"{key} is no text"
    if not row.get("id"):
        yield "id is missing"
    if not isinstance(row.get("off", False), bool):
        yield "off is neither true nor false"
    if not row.get("off") and not row.get("reason"):
        yield "reason is missing"
    kinds = row.get("kinds", [str(kind) for kind in DriverKind])
    if not isinstance(kinds, list) or not kinds or not set(map(str, kinds)) <= set(map(str, DriverKind)):
        yield f"kinds is no list of {', '.join(DriverKind)}"


def _line(row: dict[str, Any]) -> Line:
    kinds = tuple(DriverKind(kind) for kind in row.get("kinds", tuple(DriverKind)))
    return Line(kinds=kinds, off=row.get("off", False), **{key: row[key] for key in _TEXTS if key in row})
