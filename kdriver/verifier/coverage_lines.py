"""The coverage by line of the kernel (5.10, 6.1, 6.12), for a document that people read: one row for the flavours of a
build, and what did not pass once for each reason instead of once for each kernel."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kdriver.core.console import shortened
from kdriver.core.verdict import Outcome
from kdriver.verifier.coverage import Cell, Coverage, KernelRow

_REASON_SHOWN = 140
_ADDRESS = re.compile(r"https?://\S*?([^/\s]+): ")
ANY_FLAVOUR = "verdict"
"""The column of kernels that have no flavour."""


@dataclass(frozen=True, slots=True)
class LineCounts:
    """How the drivers of a line did. passed: by kind, in the coverage's order."""

    name: str
    kernels: int
    passed: tuple[int, ...]
    failed: int
    not_verified: int


@dataclass(frozen=True, slots=True)
class BuildRow:
    """The flavours of one build. name: `uname -r` without the flavour. told: for each flavour of the distribution what
    its kinds said, empty where the build has no such flavour."""

    name: str
    package_version: str
    told: tuple[str, ...]
    events: tuple[int, ...]
    date: str


@dataclass(frozen=True, slots=True)
class Open:
    """Drivers that did not pass for the same reason. kernels: names without flavours, newest first."""

    failure_class: str
    reason: str
    drivers: int
    kernels: tuple[str, ...]


def line_of(release: str) -> str:
    """`6.12` of `6.12.95+deb12-amd64`."""
    found = re.match(r"\d+\.\d+", release)
    return found[0] if found else release


def count_lines(coverage: Coverage) -> tuple[LineCounts, ...]:
    """The lines, newest first."""
    names = dict.fromkeys(line_of(row.release) for row in coverage.rows)
    ordered = sorted(names, key=lambda name: [int(part) if part.isdigit() else 0 for part in name.split(".")])
    return tuple(_counts(name, coverage) for name in reversed(ordered))


def _counts(name: str, coverage: Coverage) -> LineCounts:
    rows = [row for row in coverage.rows if line_of(row.release) == name]
    cells = [cell for row in rows for cell in row.cells]
    outcomes = Counter(cell.outcome for cell in cells)
    passed = Counter(cell.kind for cell in cells if cell.outcome is Outcome.PASSED)
    return LineCounts(
        name,
        len(rows),
        tuple(passed[kind] for kind in coverage.kinds),
        outcomes[Outcome.FAILED],
        outcomes[Outcome.NOT_VERIFIED],
    )


def flavours_of(rows: Iterable[KernelRow]) -> tuple[str, ...]:
    """The columns of a distribution's table, the most frequent first."""
    counts = Counter(_flavour(row) for row in rows)
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def build_rows(rows: Sequence[KernelRow]) -> tuple[BuildRow, ...]:
    """The kernels of one distribution, those that differ in nothing but their flavour in one row; in their order."""
    flavours = flavours_of(rows)
    builds: dict[tuple[str, str], dict[str, KernelRow]] = {}
    for row in rows:
        builds.setdefault((base_name(row), row.package_version), {})[_flavour(row)] = row
    return tuple(
        BuildRow(
            name,
            version,
            tuple(_told(mine[flavour]) if flavour in mine else "" for flavour in flavours),
            tuple(sorted({number for row in mine.values() for number in row.events})),
            max(row.date for row in mine.values()),
        )
        for (name, version), mine in builds.items()
    )


def open_reasons(coverage: Coverage) -> tuple[Open, ...]:
    """What is not verified, by class and reason; what concerns most drivers first. Names of kernels and versions are
    left out of the reasons, so that one that holds for many is told once."""
    found: dict[tuple[str, str], list[KernelRow]] = {}
    for row in coverage.rows:
        for cell in row.cells:
            if cell.outcome is Outcome.NOT_VERIFIED:
                found.setdefault((cell.failure_class, general_reason(row, cell)), []).append(row)
    groups = [
        Open(name, reason, len(rows), tuple(dict.fromkeys(base_name(row) for row in rows)))
        for (name, reason), rows in found.items()
    ]
    return tuple(sorted(groups, key=lambda one: -one.drivers))


def general_reason(row: KernelRow, cell: Cell) -> str:
    """A reason's beginning, in words that hold for other kernels, too."""
    text = cell.reason
    names = ((row.key, "KERNEL"), (row.release, "KERNEL"), (row.package_version, "VERSION"), (base_name(row), "KERNEL"))
    for word, general in names:
        text = text.replace(word, general) if len(word) > 2 else text
    return shortened(_without_addresses(text).split(": http", 1)[0], _REASON_SHOWN)


def _without_addresses(text: str) -> str:
    """Of a package that could not be fetched: its name and what the servers said, each answer once."""
    package, none, said = text.partition(": none of ")
    if none and _ADDRESS.search(said):
        answers = dict.fromkeys(_ADDRESS.sub("", one) for one in said.partition(": ")[2].split("; "))
        return f"{package}: {'; '.join(answers)}"
    return _ADDRESS.sub(lambda found: f"{found[1]}: ", text)


def base_name(row: KernelRow) -> str:
    """A release without its flavour."""
    return row.release.removesuffix(f"-{row.flavour}") if row.flavour else row.release


def _flavour(row: KernelRow) -> str:
    return row.flavour or ANY_FLAVOUR


def _told(row: KernelRow) -> str:
    """`passed`, or `kmod and bpf not verified, core passed`."""
    by_outcome: dict[Outcome, list[str]] = {}
    for cell in row.cells:
        by_outcome.setdefault(cell.outcome, []).append(str(cell.kind))
    if len(by_outcome) == 1:
        return str(next(iter(by_outcome)))
    return ", ".join(f"{' and '.join(kinds)} {outcome}" for outcome, kinds in by_outcome.items())
