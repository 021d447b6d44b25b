"""The index on disk: one SQLite file, read by keys without taking in the whole.

    <index>/index.sqlite
        releases   one row for each distribution release: when and how its last update went
        kernels    one row for each kernel; document is Kernel as JSON, the columns are what is asked for
        suites     SuiteRecord, for the next update
        lists      packages of each list that was read, by the list's id

Nothing that was once seen is dropped: an update adds kernels, adds packages to kernels, and moves dates.
A folder of an older kdriver, with a JSON document for each distribution release, is taken over when it is first opened.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kdriver.core import paths
from kdriver.core.errors import ConfigError, KdriverError, NotFoundError
from kdriver.core.kernel import Kernel
from kernel_index.suites import BinaryPackage, SuiteRecord

logger = logging.getLogger(__name__)

FORMAT = 2
FILE_NAME = "index.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS releases (id TEXT PRIMARY KEY, updated TEXT NOT NULL, suites BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kernels (
    distro_release TEXT NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL, release TEXT NOT NULL,
    arch TEXT NOT NULL, flavour TEXT NOT NULL, named INTEGER NOT NULL, present INTEGER NOT NULL,
    last_seen TEXT NOT NULL, document BLOB NOT NULL,
    PRIMARY KEY (distro_release, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kernels_by_release ON kernels (release);
CREATE INDEX IF NOT EXISTS kernels_by_key ON kernels (key);
CREATE INDEX IF NOT EXISTS kernels_named ON kernels (distro_release, arch) WHERE named;
CREATE TABLE IF NOT EXISTS suites (
    distro_release TEXT NOT NULL, archive TEXT NOT NULL, suite TEXT NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (distro_release, archive, suite)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lists (id TEXT PRIMARY KEY, packages BLOB NOT NULL) WITHOUT ROWID;
"""
_WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class SuiteState:
    """How the last update of a suite went.

    outcome: fetched, unchanged, behind, failed, or skipped (not asked, or out of reach where that is no failure);
    reason: of one of the last three. date: of the Release whose state is held, checked: the last day that a
    mirror confirmed it; empty for none. stale: the Valid-Until that has passed and was accepted.
    without: architectures, in the distribution's words, that the mirror names and does not carry.
    """

    suite: str
    archive: str
    outcome: str
    reason: str = ""
    date: str = ""
    checked: str = ""
    stale: str = ""
    without: str = ""

    def to_json(self) -> dict[str, str]:
        """A flat object; keys are this class's fields."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class RowIndex:
    """The index of one distribution release. updated: ISO 8601 UTC. partial: whether a suite failed."""

    distro_release: str
    updated: str
    suites: tuple[SuiteState, ...]
    kernels: tuple[Kernel, ...]

    @property
    def partial(self) -> bool:
        """Whether the last update could not reach all that it was to reach."""
        return any(suite.outcome == "failed" for suite in self.suites)

    def to_json(self) -> dict[str, Any]:
        """The plain document that the index is exported as."""
        return {
            "format": FORMAT,
            "distro_release": self.distro_release,
            "updated": self.updated,
            "partial": self.partial,
            "suites": [suite.to_json() for suite in self.suites],
            "kernels": [kernel.to_json() for kernel in self.kernels],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RowIndex:
        """The inverse of to_json. Raises KeyError, TypeError or ValueError on a document of another shape."""
        if value["format"] not in (1, FORMAT):
            raise ValueError(f"format {value['format']}, {FORMAT} was expected")
        return cls(
            distro_release=value["distro_release"],
            updated=value["updated"],
            suites=tuple(SuiteState(**suite) for suite in value["suites"]),
            kernels=tuple(Kernel.from_json(kernel) for kernel in value["kernels"]),
        )


class Store:
    """An open index. Use in one thread; what is written becomes visible to others with commit, all of it or nothing."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder

    def releases(self) -> tuple[str, ...]:
        """The ids of the distribution releases that were ever updated, sorted."""
        return tuple(row[0] for row in self._connection.execute("SELECT id FROM releases ORDER BY id"))

    def row(self, row_id: str, *, kernels: bool = True) -> RowIndex | None:
        """The index of one distribution release; None before its first update. kernels: whether to read them."""
        found = self._connection.execute("SELECT updated, suites FROM releases WHERE id = ?", (row_id,)).fetchone()
        if found is None:
            return None
        states = msgspec.json.decode(found[1], type=tuple[SuiteState, ...])
        return RowIndex(row_id, found[0], states, self.kernels(releases=[row_id]) if kernels else ())

    def kernels(
        self,
        *,
        releases: Sequence[str] | None = None,
        arch: str | None = None,
        name: str | None = None,
        flavour: str | None = None,
        named: bool = False,
    ) -> tuple[Kernel, ...]:
        """The kernels that meet all that is given, by distribution release and then oldest first.

        releases: row ids. name: a key or a `uname -r`. named: only those that a metapackage names.
        """
        terms, values = _where(releases, arch, name, flavour, named)
        # SQLite would go through all kernels of the releases by the primary key, documents and all.
        source = "kernels INDEXED BY kernels_named" if named and name is None else "kernels"
        query = f"SELECT document, last_seen FROM {source}{terms} ORDER BY distro_release, position"
        return tuple(_decoded(*found) for found in self._connection.execute(query, values))

    def count(self, row_id: str) -> int:
        """How many kernels a distribution release has."""
        query = "SELECT count(*) FROM kernels WHERE distro_release = ?"
        return int(self._connection.execute(query, (row_id,)).fetchone()[0])

    def put_row(self, index: RowIndex) -> None:
        """Put it in the place of what is there."""
        self.put_states(index)
        self._connection.execute("DELETE FROM kernels WHERE distro_release = ?", (index.distro_release,))
        self._connection.executemany(
            "INSERT INTO kernels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (_encoded(index.distro_release, *numbered) for numbered in enumerate(index.kernels)),
        )

    def put_states(self, index: RowIndex, *, seen: str = "") -> None:
        """Only how the update went. seen: the date on which all kernels that are present were seen again."""
        states = msgspec.json.encode(index.suites)
        values = (index.distro_release, index.updated, states)
        self._connection.execute("INSERT OR REPLACE INTO releases VALUES (?, ?, ?)", values)
        if seen:
            query = "UPDATE kernels SET last_seen = ? WHERE distro_release = ? AND present AND last_seen < ?"
            self._connection.execute(query, (seen, index.distro_release, seen))

    def records(self, row_id: str) -> dict[tuple[str, str], SuiteRecord]:
        """The last good states of a release's suites by archive and suite."""
        query = "SELECT archive, suite, record FROM suites WHERE distro_release = ?"
        found = {}
        for archive, suite, record in self._connection.execute(query, (row_id,)):
            try:
                found[archive, suite] = msgspec.json.decode(record, type=SuiteRecord)
            except msgspec.ValidationError as error:
                # Only a saving of bytes is lost: the suite is fetched anew.
                logger.warning("%s %s: its state cannot be read (%s), it is fetched anew", row_id, suite, error)
        return found

    def put_record(self, row_id: str, record: SuiteRecord) -> None:
        """Keep a suite's state."""
        values = (row_id, record.archive, record.suite, msgspec.json.encode(record))
        self._connection.execute("INSERT OR REPLACE INTO suites VALUES (?, ?, ?, ?)", values)

    def list_ids(self) -> frozenset[str]:
        """The ids of all package lists that are kept."""
        return frozenset(row[0] for row in self._connection.execute("SELECT id FROM lists"))

    def packages(self, list_id: str) -> tuple[BinaryPackage, ...]:
        """The packages of a list. Raises KeyError."""
        found = self._connection.execute("SELECT packages FROM lists WHERE id = ?", (list_id,)).fetchone()
        if found is None:
            raise KeyError(list_id)
        return msgspec.json.decode(found[0], type=tuple[BinaryPackage, ...])

    def put_packages(self, list_id: str, packages: Sequence[BinaryPackage]) -> None:
        """Keep the packages of a list."""
        values = (list_id, msgspec.json.encode(packages))
        self._connection.execute("INSERT OR REPLACE INTO lists VALUES (?, ?)", values)

    def drop_unused_lists(self) -> None:
        """Forget the packages of lists that no suite's state names any more."""
        used: set[str] = set()
        for (record,) in self._connection.execute("SELECT record FROM suites"):
            used.update(list_id for _, list_id in json.loads(record)["lists"])
        gone = [(list_id,) for list_id in self.list_ids() - used]
        self._connection.executemany("DELETE FROM lists WHERE id = ?", gone)

    def commit(self) -> None:
        """Make what was put visible. Raises KdriverError when it cannot be written."""
        self._connection.commit()


def load_kernels(path: Path | None = None) -> tuple[Kernel, ...]:
    """All kernels of the index, by distribution release and then oldest first. path: the index's folder.

    Takes in the whole index: `query.find_kernels` reads only what is asked for.
    Raises NotFoundError when there is no index, ConfigError when it cannot be read.
    """
    with opened(path) as store:
        return store.kernels()


def load_index(path: Path | None = None) -> tuple[RowIndex, ...]:
    """The index of every distribution release, sorted by its id. Raises as load_kernels."""
    with opened(path) as store:
        return tuple(row for row_id in store.releases() if (row := store.row(row_id)) is not None)


def load_states(path: Path | None = None) -> tuple[RowIndex, ...]:
    """As load_index, without kernels: how the last updates went."""
    with opened(path) as store:
        return tuple(row for row_id in store.releases() if (row := store.row(row_id, kernels=False)) is not None)


def read_row(row_id: str, path: Path | None = None) -> RowIndex | None:
    """The index of one distribution release; None before its first update. Raises ConfigError."""
    try:
        with opened(path) as store:
            return store.row(row_id)
    except NotFoundError:
        return None


def write_row(index: RowIndex, path: Path | None = None) -> None:
    """Put it in the old one's place, whole or not at all. Raises KdriverError when it cannot."""
    with opened(path, create=True) as store:
        store.put_row(index)
        store.commit()


@contextlib.contextmanager
def opened(path: Path | None = None, *, create: bool = False) -> Iterator[Store]:
    """The index in a folder. create: make it where there is none; else NotFoundError says so.

    Errors of SQLite and of the file system while it is open are raised as KdriverError.
    """
    folder = path or paths.index_dir()
    file = folder / FILE_NAME
    old = [one for one in sorted(folder.glob("*.json")) if not one.name.startswith(".")] if folder.is_dir() else []
    if not file.exists() and not old and not create:
        raise NotFoundError(f"there is no kernel index in {folder}", hint="Run `kdriver index update` first.")
    with _clear_errors(folder), contextlib.closing(_connect(file, bool(old) or create)) as connection:
        store = Store(connection, folder)
        if old and not store.releases():
            _take_over(old, store)
        yield store


def _connect(file: Path, create: bool) -> sqlite3.Connection:
    if file.exists():
        _check_format(file)
    elif create:
        file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file, timeout=_WAIT_S)
    if create and connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        connection.executescript(f"{_SCHEMA}PRAGMA user_version = {FORMAT};")
    return connection


def _check_format(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file, timeout=_WAIT_S)) as connection:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, FORMAT):
        raise ConfigError(
            f"{file}: the kernel index has format {found}, {FORMAT} was expected",
            hint="Use the kdriver that wrote it, or set KDRIVER_INDEX to another folder.",
        )


def _take_over(files: Sequence[Path], store: Store) -> None:
    """Put the documents of an older kdriver into the new file; they stay where they are."""
    for file in files:
        try:
            store.put_row(RowIndex.from_json(msgspec.json.decode(file.read_bytes())))
        except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{file}: the kernel index cannot be read ({error})",
                hint="Move the file away and run `kdriver index update`; dates of first sight start anew.",
            ) from error
    store.commit()


def _where(
    releases: Sequence[str] | None, arch: str | None, name: str | None, flavour: str | None, named: bool
) -> tuple[str, list[str]]:
    terms: list[str] = []
    values: list[str] = []
    if releases is not None:
        # The plus keeps a search by name from going by the primary key instead.
        column = "distro_release" if name is None else "+distro_release"
        terms.append(f"{column} IN ({', '.join('?' * len(releases))})")
        values.extend(releases)
    for column, value in (("arch", arch), ("flavour", flavour)):
        if value is not None:
            terms.append(f"{column} = ?")
            values.append(value)
    if name is not None:
        terms.append("(key = ? OR release = ?)")
        values.extend((name, name))
    if named:
        terms.append("named")
    return (f" WHERE {' AND '.join(terms)}" if terms else ""), values


def _encoded(row_id: str, position: int, kernel: Kernel) -> tuple[str | int | bytes, ...]:
    document = msgspec.json.encode(kernel)
    present = not kernel.gone
    named = bool(kernel.named_by)
    columns = (row_id, position, kernel.key, kernel.release, kernel.arch, kernel.flavour)
    return (*columns, named, present, kernel.last_seen, document)


def _decoded(document: bytes, last_seen: str) -> Kernel:
    kernel = _DECODER.decode(document)
    return kernel if kernel.last_seen == last_seen else dataclasses.replace(kernel, last_seen=last_seen)


_DECODER = msgspec.json.Decoder(Kernel)


@contextlib.contextmanager
def locked(path: Path | None = None) -> Iterator[None]:
    """Keeps a second update out. Raises ConfigError at once when one is running."""
    folder = path or paths.index_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another update of the index in {folder} is running", hint="Wait for it to end, then try again."
            ) from None
        yield


@contextlib.contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if "disk is full" in text or "disk I/O error" in text:
            raise _unwritable(folder, OSError(errno.ENOSPC, text)) from error
        if "readonly" in text or "unable to open" in text:
            raise _unwritable(folder, OSError(errno.EACCES, text)) from error
        raise ConfigError(
            f"{folder / FILE_NAME}: the kernel index cannot be read ({text})",
            hint="Move the file away and run `kdriver index update`; dates of first sight start anew.",
        ) from error
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"{folder / FILE_NAME}: the kernel index cannot be read ({error})",
            hint="Move the file away and run `kdriver index update`; dates of first sight start anew.",
        ) from error
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> KdriverError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return KdriverError(
            f"no space left in {folder} for the kernel index",
            hint="Free space there, or set KDRIVER_INDEX to a folder on another file system.",
        )
    return ConfigError(
        f"{folder}: the kernel index cannot be written there ({os.strerror(error.errno or 0)})",
        hint="Set KDRIVER_INDEX to a folder that you may write in.",
    )
