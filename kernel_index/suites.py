"""What a crawl keeps of each suite: its packages that matter, and what a conditional request needs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SuiteSource:
    """A suite to be crawled. mirrors: base addresses of its archive in the order to be tried."""

    archive: str
    suite: str
    mirrors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BinaryPackage:
    """A package as a suite's list describes it. depends: as written. source: of the source package."""

    name: str
    version: str
    arch: str
    source: str
    depends: str
    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SuiteRecord:
    """The last good state of one suite.

    date, valid_until: of its Release, ISO 8601 UTC; valid_until empty where it sets none. checked: UTC date
    of the last time that the mirror confirmed it. automatic: apt installs from it by itself. head: the first
    bytes of its InRelease. validators: digest of the mirror's address to (ETag, Last-Modified); the address
    itself is kept nowhere. asked: what was asked for (components, architecture); a state of another question is
    no answer to this one. lists: path of each package list to its SHA-256. packages: those that matter.
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
    packages: tuple[BinaryPackage, ...]

    def to_json(self) -> dict[str, Any]:
        """An object whose keys are this class's fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SuiteRecord:
        """The inverse of to_json. Raises KeyError or TypeError on a document of another shape."""
        fields = dict(value)
        for name in ("validators", "lists"):
            fields[name] = tuple(tuple(one) for one in value[name])
        fields["packages"] = tuple(BinaryPackage(**one) for one in value["packages"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class SuiteFetch:
    """What asking for a suite gave. outcome: `fetched`, `unchanged` or `behind` (the mirror has an older
    state than ours, which stays). bytes_read: of answers' bodies."""

    record: SuiteRecord
    outcome: str
    bytes_read: int
