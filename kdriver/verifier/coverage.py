"""The matrix of distribution, kernel, driver kind and verdict, with its history: from verdicts, nothing read here.

Of the verdicts on one kernel and kind the newest counts; the others are its history. A kernel of the index on which
nothing was ever tried is in the matrix, too: what is missing must not look like what does not exist. A verdict of
another policy of the verifier, or on another image than the index has now, is void: it counts as not verified.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdriver.core.artifact import DriverKind
from kdriver.core.kernel import Kernel, PackageRole
from kdriver.core.verdict import Outcome, void_reason
from kdriver.verifier.journal import Told

OUTSIDE = "outside"
"""The distribution of kernels that the index does not know."""
NEVER = "never verified here"
_STAGES = frozenset((
    "load", "open", "cases", "flush", "asked", "asked-flush", "strace", "switch", "pressure", "snaplen", "ports",
    "call", "quit", "overrun", "reopen", "unload", "events", "order", "drops", "blocks", "stats", "agreement",
    "check", "static", "boot", "kernel log", "kernel taint", "missed runs", "capture length", "entry time",
    "dynamic capture length", "generic event",
))  # fmt: skip
"""Words that a reason may begin with and that name its class."""
_CONSOLE = re.compile(r" \(console: [^)]*\)")
"""The path of a console log on the machine that gave an old verdict: nobody else has it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is known of one kind on one kernel. history: newest first, empty when nothing was ever tried. image_sha256:
    of the kernel's image now, empty where it is not known."""

    kind: DriverKind
    history: tuple[Told, ...] = ()
    image_sha256: str = ""

    @property
    def now(self) -> Told | None:
        """The verdict that counts."""
        return self.history[0] if self.history else None

    @property
    def void(self) -> str:
        """Why the verdict that passed or failed says nothing any more; empty where one holds or there is none."""
        if not self.history or self.history[0].verdict.outcome is Outcome.NOT_VERIFIED:
            return ""
        return void_reason(self.history[0].verdict, image_sha256=self.image_sha256)

    @property
    def outcome(self) -> Outcome:
        """Of the newest verdict; not verified without one that holds."""
        return self.history[0].verdict.outcome if self.history and not self.void else Outcome.NOT_VERIFIED

    @property
    def reason(self) -> str:
        """Why it did not pass, in one line; empty when it did."""
        if not self.history:
            return NEVER
        if self.void:
            return f"void: {self.void}"
        return "" if self.outcome is Outcome.PASSED else _CONSOLE.sub("", self.history[0].verdict.reason)

    @property
    def failure_class(self) -> str:
        """What kind of failure, as the verdict says; of older ones by the stage that the reason names."""
        if self.outcome is Outcome.PASSED:
            return ""
        if self.void:
            return "void"
        return (self.history[0].verdict.fault if self.history else "") or class_of(self.reason)

    @property
    def broke(self) -> bool:
        """Whether it passed before and does not now."""
        passed = any(told.verdict.outcome is Outcome.PASSED for told in self.history[1:])
        return passed and self.outcome is Outcome.FAILED


@dataclass(frozen=True, slots=True)
class KernelRow:
    """A kernel. distro: id of its row in the table of distributions, OUTSIDE without one. flavour: the last part of its
    release, where the index says so."""

    key: str
    distro: str
    release: str
    package_version: str
    cells: tuple[Cell, ...]
    flavour: str = ""

    @property
    def date(self) -> str:
        """Of its newest verdict, empty without any."""
        return max((told.verdict.date for cell in self.cells for told in cell.history), default="")

    @property
    def events(self) -> tuple[int, ...]:
        """How many events the verdicts that count compared, each number once."""
        told = [cell.now.verdict for cell in self.cells if cell.now]
        return tuple(dict.fromkeys(verdict.events for verdict in told if verdict.events))

    @property
    def outcome(self) -> Outcome:
        """The worst of its cells: failed, else not verified, else passed."""
        found = {cell.outcome for cell in self.cells}
        return next(one for one in (Outcome.FAILED, Outcome.NOT_VERIFIED, Outcome.PASSED) if one in found)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many kernels, and how many of their cells by outcome. never: of those not verified, the ones on which
    nothing was ever tried. broke: of the failed ones, those that passed before."""

    kernels: int
    passed: int
    failed: int
    not_verified: int
    never: int
    broke: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """The matrix. rows: by distribution in the table's order, newest kernel first. problems: records that could not be
    read. left_out: indexed kernels that are no rows: of distributions that nothing was verified of, or, where only
    kernels that were tried are asked for, all others of the same distributions."""

    kinds: tuple[DriverKind, ...]
    rows: tuple[KernelRow, ...]
    problems: tuple[str, ...] = ()
    left_out: int = 0
    tried_only: bool = False
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def distros(self) -> tuple[str, ...]:
        """The distributions in it, in their order."""
        return tuple(dict.fromkeys(row.distro for row in self.rows))

    @property
    def date(self) -> str:
        """Of the newest verdict, empty without any."""
        return max((row.date for row in self.rows), default="")

    def of(self, distro: str) -> tuple[KernelRow, ...]:
        """The rows of one distribution."""
        return tuple(row for row in self.rows if row.distro == distro)

    def title(self, distro: str) -> str:
        """What people call a distribution."""
        return self.titles.get(distro, "Kernels outside the index" if distro == OUTSIDE else distro)

    def to_json(self) -> dict[str, Any]:
        """What --json prints."""
        return {
            "date": self.date,
            "summary": counts_json(count(self.rows)),
            "distributions": {distro: counts_json(count(self.of(distro))) for distro in self.distros},
            "left_out": self.left_out,
            "problems": list(self.problems),
            "kernels": [_row_json(row) for row in self.rows],
        }


def count(rows: Iterable[KernelRow]) -> Counts:
    """Add up rows."""
    every = tuple(rows)
    cells = [cell for row in every for cell in row.cells]
    outcomes = [cell.outcome for cell in cells]
    return Counts(
        len(every),
        outcomes.count(Outcome.PASSED),
        outcomes.count(Outcome.FAILED),
        outcomes.count(Outcome.NOT_VERIFIED),
        sum(not cell.history for cell in cells),
        sum(cell.broke for cell in cells),
    )


def class_of(reason: str) -> str:
    """The class of a failure, by the first word of its reason."""
    first = reason.partition(":")[0].strip()
    if reason == NEVER:
        return "never tried"
    if first.startswith("not built"):
        return "build"
    if first in _STAGES:
        return first
    if first.startswith(("the kernel never reached", "the guest ended", "stage ", "no driver got")):
        return "guest"
    if first.endswith((".deb", ".rpm")):
        return "package"
    return "events" if " of thread " in reason or first.startswith(("case ", "expectation")) else "other"


def make_coverage(
    told: Iterable[Told],
    kernels: Sequence[Kernel],
    kinds: Sequence[DriverKind],
    *,
    order: Sequence[str] = (),
    titles: Mapping[str, str] | None = None,
    problems: Sequence[str] = (),
    every: bool = False,
    tried_only: bool = False,
    distros: Sequence[str] = (),
) -> Coverage:
    """Put verdicts and the index's kernels together.

    order: ids of distribution releases as the table has them. every: with all kernels of the index, else with those of
    the distributions that any verdict is about. tried_only: none but those on which something was tried. distros: only
    these; all when empty.
    """
    histories: dict[str, dict[str, list[Told]]] = defaultdict(lambda: defaultdict(list))
    for one in told:
        histories[one.verdict.kernel][one.verdict.kind].append(one)
    known: dict[str, Kernel] = {}
    for kernel in kernels:
        known.setdefault(kernel.key, kernel)
    tried = {known[key].distro_release for key in histories if key in known}
    wanted = dict.fromkeys(histories)
    left_out = 0
    for key, kernel in known.items():
        if distros and kernel.distro_release not in distros:
            continue
        if not tried_only and (every or distros or kernel.distro_release in tried):
            wanted.setdefault(key)
        elif key not in histories:
            left_out += 1
    rows = [_row(key, known.get(key), histories[key], kinds) for key in wanted]
    rows = [row for row in rows if not distros or row.distro in distros]
    places = {distro: place for place, distro in enumerate(order)}
    rows.sort(key=lambda row: release_key(row.release), reverse=True)
    rows.sort(key=lambda row: places.get(row.distro, len(places)))
    return Coverage(tuple(kinds), tuple(rows), tuple(problems), left_out, tried_only, titles or {})


def release_key(release: str) -> tuple[tuple[int, str], ...]:
    """Sorts `uname -r` as people read it: 6.12 after 6.1."""
    parts: list[tuple[int, str]] = []
    word = ""
    for sign in release + ".":
        if word and (not sign.isalnum() or sign.isdigit() != word[-1].isdigit()):
            parts.append((int(word), "") if word.isdigit() else (-1, word))
            word = ""
        word += sign if sign.isalnum() else ""
    return tuple(parts)


def _row(
    key: str, kernel: Kernel | None, histories: Mapping[str, list[Told]], kinds: Sequence[DriverKind]
) -> KernelRow:
    family, _, rest = key.partition("/")
    words = rest.split("/")
    image = kernel.package(PackageRole.IMAGE) if kernel is not None else None
    digest = image.sha256 if image is not None else ""
    return KernelRow(
        key,
        kernel.distro_release if kernel is not None else OUTSIDE,
        kernel.release if kernel is not None else words[1] if len(words) > 1 else key,
        kernel.package_version if kernel is not None else "/".join(words[2:]) or family,
        tuple(Cell(kind, _history(histories.get(str(kind), [])), digest) for kind in kinds),
        kernel.flavour if kernel is not None and kernel.release.endswith(f"-{kernel.flavour}") else "",
    )


def _history(told: list[Told]) -> tuple[Told, ...]:
    """Newest first; one verdict found in two places is one, and the place with its log wins."""
    found: dict[tuple[str, str, str], Told] = {}
    for one in told:
        key = (one.verdict.date, one.verdict.artifact_sha256, str(one.verdict.outcome))
        if key not in found or (found[key].console is None and one.console is not None):
            found[key] = one
    return tuple(sorted(found.values(), key=lambda one: one.verdict.date, reverse=True))


def counts_json(counts: Counts) -> dict[str, int]:
    """A flat object; keys are the fields of Counts."""
    return {name: getattr(counts, name) for name in Counts.__slots__}


def _row_json(row: KernelRow) -> dict[str, Any]:
    return {
        "kernel": row.key,
        "distro": row.distro,
        "release": row.release,
        "kinds": {
            str(cell.kind): {
                "outcome": str(cell.outcome),
                "reason": cell.reason,
                "class": cell.failure_class,
                "broke": cell.broke,
                "history": [
                    {
                        "date": told.verdict.date,
                        "outcome": str(told.verdict.outcome),
                        "reason": told.verdict.reason,
                        "artifact_sha256": told.verdict.artifact_sha256,
                        "events": told.verdict.events,
                        "source": told.source,
                        "console": str(told.console) if told.console else "",
                    }
                    for told in cell.history
                ],
            }
            for cell in row.cells
        },
    }
