"""What a crawl keeps of each suite: its packages that matter, and what a conditional request needs."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdriver.core.http import Http
    from kernel_index.table import Archive, DistroRow


@dataclass(frozen=True, slots=True)
class SuiteSource:
    """A suite to be crawled. mirrors: base addresses of its archive in the order to be tried.

    named: whether the user named a mirror for exactly this archive (`--mirror ARCHIVE=URL`).
    """

    archive: str
    suite: str
    mirrors: tuple[str, ...]
    named: bool = False


@dataclass(frozen=True, slots=True)
class BinaryPackage:
    """A package as a suite's list describes it. depends, provides: as written. source: of the source package.

    path: relative to the archive's base address. sha256, sha512: one of them may be empty.
    """

    name: str
    version: str
    arch: str
    source: str
    depends: str
    path: str
    size_bytes: int
    sha256: str
    provides: str = ""
    sha512: str = ""


@dataclass(frozen=True, slots=True)
class SuiteRecord:
    """The last good state of one suite, without its packages.

    date, valid_until: of its Release, ISO 8601 UTC; valid_until empty where it sets none. checked: UTC date
    of the last time that the mirror confirmed it. automatic: apt installs from it by itself. head: the first
    bytes of its InRelease. validators: digest of the mirror's address to (ETag, Last-Modified); the address
    itself is kept nowhere. asked: what was asked for (components, architectures, keys); a state of another
    question is no answer to this one. lists: path of each package list to its id, by which its packages are
    kept. without: architectures whose lists the mirror does not carry. stale: the Valid-Until
    that has passed and was accepted, empty where none has. authenticated: whether a signature vouches for it.
    """

    archive: str
    suite: str
    date: str
    valid_until: str
    checked: str
    automatic: bool
    head: str
    validators: tuple[tuple[str, str, str], ...]
    asked: str
    lists: tuple[tuple[str, str], ...]
    stale: str = ""
    authenticated: bool = True
    without: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """An object whose keys are this class's fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SuiteRecord:
        """The inverse of to_json. Raises KeyError or TypeError on a document of another shape."""
        fields = dict(value)
        for name in ("validators", "lists"):
            fields[name] = tuple(tuple(one) for one in value[name])
        fields["without"] = tuple(value.get("without", ()))
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite's state with its packages, of all architectures."""

    record: SuiteRecord
    packages: tuple[BinaryPackage, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """All that fetching one suite needs. previous: its last good state, None where there is none.

    known_lists: ids of package lists whose packages are kept; they need not be read again. accept_stale:
    whether a state whose time has passed is taken, and marked.
    """

    row: DistroRow
    archive: Archive
    source: SuiteSource
    previous: SuiteRecord | None
    known_lists: frozenset[str]
    now: datetime.datetime
    http: Http
    accept_stale: bool = False

    @property
    def subject(self) -> str:
        """How messages call it."""
        return f"{self.row.id} {self.source.suite}"


@dataclass(frozen=True, slots=True)
class SuiteFetch:
    """What asking for a suite gave. outcome: `fetched`, `unchanged` or `behind` (the mirror has an older
    state than ours, which stays). bytes_read: of answers' bodies. lists: by id, the packages of the lists
    that were read now."""

    record: SuiteRecord
    outcome: str
    bytes_read: int
    lists: Mapping[str, tuple[BinaryPackage, ...]] = field(default_factory=dict)
