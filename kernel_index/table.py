"""The table of distribution releases (distros.toml): read and checked here, once, all faults together."""

from __future__ import annotations

import datetime
import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ConfigError, NotFoundError

_TABLE = Path(__file__).with_name("distros.toml")
_FINGERPRINT = re.compile(r"^(?:[0-9A-F]{40}|[0-9A-F]{64})$")
_ID = re.compile(r"^[a-z][a-z0-9.]*$")


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive of a distribution: a place where a number of suites and one pool of packages lie.

    folder: what its folder is called on a mirror that carries several archives (`debian-security`).
    mirrors: public base addresses, best first, no slash at the end. signed_by: fingerprints of the primary
    keys that may sign its suites, upper-case hex.
    """

    id: str
    folder: str
    mirrors: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DistroRow:
    """A distribution release. id: `debian12`. family: names the class in kernel_index/distros.

    version, codename: VERSION_ID and VERSION_CODENAME of os-release(5). image: the build container's.
    kinds: driver kinds that can work there. architectures: `uname -m` to the distribution's word for it.
    generic_flavours: architecture to the kernel flavour that an ordinary installation has.
    """

    id: str
    family: str
    title: str
    version: str
    codename: str
    end_of_life: datetime.date
    image: str
    kinds: tuple[DriverKind, ...]
    architectures: tuple[tuple[str, str], ...]
    generic_flavours: tuple[tuple[str, str], ...]
    keyring: Path
    keyring_package: str
    archives: tuple[Archive, ...]

    def archive(self, archive_id: str) -> Archive:
        """The archive of that id. Raises NotFoundError."""
        for archive in self.archives:
            if archive.id == archive_id:
                return archive
        known = ", ".join(archive.id for archive in self.archives)
        raise NotFoundError(f"{self.id}: no archive {archive_id!r}; it has {known}", hint="Update the index.")

    def generic_flavour(self, arch: str) -> str:
        """The flavour of an ordinary installation on an architecture, empty where unknown."""
        return dict(self.generic_flavours).get(arch, "")


def load_table(path: Path | None = None) -> tuple[DistroRow, ...]:
    """The rows in the file's order: `path`, else the file that KDRIVER_DISTROS names, else kdriver's own.

    Raises ConfigError that lists every fault of the file.
    """
    path = path or Path(os.environ.get("KDRIVER_DISTROS") or _TABLE)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="Check KDRIVER_DISTROS.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: {error}", hint="Mend the file; docs/adding-a-distribution.md shows its form."
        ) from error
    faults: list[str] = []
    rows = [_row(row_id, _table_of(value, row_id, faults), faults) for row_id, value in document.items()]
    if not rows:
        faults.append("there is no distribution in it")
    if faults:
        raise ConfigError(
            f"{path}: " + "; ".join(faults), hint="Mend the file; docs/adding-a-distribution.md shows its form."
        )
    return tuple(rows)


def select_rows(rows: tuple[DistroRow, ...], distro: str | None) -> tuple[DistroRow, ...]:
    """The rows that a `--distro` means: a row id, a family, or all. Raises NotFoundError with near names."""
    if distro is None:
        return rows
    chosen = tuple(row for row in rows if distro in (row.id, row.family))
    if not chosen:
        names = sorted({row.id for row in rows} | {row.family for row in rows})
        near = difflib.get_close_matches(distro, names, n=3, cutoff=0.5) or names
        raise NotFoundError(f"distribution {distro!r} is not known", hint=f"Use one of: {', '.join(near)}.")
    return chosen


class _Reader:
    """Takes checked values out of one TOML table and notes what is wrong with it."""

    def __init__(self, table: Mapping[str, Any], where: str, faults: list[str]) -> None:
        self._left = dict(table)
        self._where = where
        self._faults = faults

    def fault(self, text: str) -> None:
        self._faults.append(f"{self._where}: {text}")

    def text(self, key: str) -> str:
        value = self._left.pop(key, None)
        if not isinstance(value, str) or not value:
            self.fault(f"{key} must be a text")
            return ""
        return value

    def texts(self, key: str, good: Callable[[str], bool], form: str) -> tuple[str, ...]:
        value = self._left.pop(key, None)
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            self.fault(f"{key} must be a list of texts")
            return ()
        for one in value:
            if not good(one):
                self.fault(f"{key}: {one!r} is not {form}")
        return tuple(value)

    def date(self, key: str) -> datetime.date:
        value = self._left.pop(key, None)
        if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
            self.fault(f"{key} must be a date such as 2028-06-30")
            return datetime.date.min
        return value

    def table(self, key: str) -> dict[str, Any]:
        value = self._left.pop(key, None)
        if not isinstance(value, dict) or not value:
            self.fault(f"{key} must be a table that is not empty")
            return {}
        return value

    def words(self, key: str) -> tuple[tuple[str, str], ...]:
        value = self.table(key)
        if not all(isinstance(one, str) and one for one in value.values()):
            self.fault(f"{key} must hold texts")
            return ()
        return tuple(value.items())

    def end(self) -> None:
        for key in self._left:
            self.fault(f"{key} is not a key of it")


def _table_of(value: object, where: str, faults: list[str]) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    faults.append(f"{where} must be a table")
    return {}


def _row(row_id: str, table: dict[str, Any], faults: list[str]) -> DistroRow:
    read = _Reader(table, row_id, faults)
    if not _ID.match(row_id):
        read.fault("the name must be lower-case letters, digits and dots")
    kinds = read.texts("kinds", lambda kind: kind in list(DriverKind), f"one of {', '.join(DriverKind)}")
    keyring = read.text("keyring")
    if keyring and not keyring.startswith("/"):
        read.fault("keyring must be an absolute path")
    row = DistroRow(
        id=row_id,
        family=read.text("family"),
        title=read.text("title"),
        version=read.text("version"),
        codename=read.text("codename"),
        end_of_life=read.date("end_of_life"),
        image=read.text("image"),
        kinds=tuple(DriverKind(kind) for kind in kinds if kind in list(DriverKind)),
        architectures=read.words("architectures"),
        generic_flavours=read.words("generic_flavours"),
        keyring=Path(keyring),
        keyring_package=read.text("keyring_package"),
        archives=tuple(_archive(row_id, name, value, faults) for name, value in read.table("archives").items()),
    )
    read.end()
    return row


def _archive(row_id: str, name: str, value: object, faults: list[str]) -> Archive:
    where = f"{row_id}.archives.{name}"
    read = _Reader(_table_of(value, where, faults), where, faults)
    mirrors = read.texts("mirrors", lambda url: url.startswith(("http://", "https://")), "an http(s) address")
    archive = Archive(
        id=name,
        folder=read.text("folder").strip("/"),
        mirrors=tuple(url.rstrip("/") for url in mirrors),
        suites=read.texts("suites", lambda suite: bool(suite) and ".." not in suite, "the name of a suite"),
        components=read.texts("components", bool, "the name of a component"),
        signed_by=read.texts("signed_by", lambda key: bool(_FINGERPRINT.match(key)), "a fingerprint in upper-case hex"),
    )
    read.end()
    return archive
