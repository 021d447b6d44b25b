"""The table of distribution releases (distros.toml): read and checked here, once, all faults together."""

from __future__ import annotations

import datetime
import difflib
import functools
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
_DEFAULTS = "defaults"
_OWN_KEYS = "keys/"
"""How a keyring's name starts that comes with kdriver: kernel_index/keys/README.md."""
_FINGERPRINT = re.compile(r"^(?:[0-9A-F]{40}|[0-9A-F]{64})$")
_ID = re.compile(r"^[a-z][a-z0-9.]*$")


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive of a distribution: a place where a number of suites and one pool of packages lie.

    folder: what its folder is called on a mirror that carries several archives (`debian-security`).
    mirrors: public base addresses, best first, no slash at the end; empty where only the user can name one.
    signed_by: fingerprints of the primary keys that may sign its suites, upper-case hex. unsigned: the reason
    why there are none; its kernels are marked unauthenticated. architectures: the `uname -m` words that it
    holds, empty for all of the row's. keyring, keyring_package: instead of the row's, where not empty.

    How it is asked: opt_in: only when named with --include. optional: may be absent (404), which is no
    failure. not_automatic: hosts do not install from it by themselves. archived: of an ended
    release: dates and expired keys do not matter, pins do; it may be out of reach, which is no failure either.
    accept_stale: suites that are taken although their Valid-Until has passed.
    credentials: what the family needs to be given to ask it, a word that the family knows.
    """

    id: str
    folder: str
    mirrors: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: tuple[str, ...]
    architectures: tuple[str, ...] = ()
    unsigned: str = ""
    keyring: Path | None = None
    keyring_package: str = ""
    opt_in: bool = False
    optional: bool = False
    not_automatic: bool = False
    archived: bool = False
    accept_stale: tuple[str, ...] = ()
    credentials: str = ""


@dataclass(frozen=True, slots=True)
class DistroRow:
    """A distribution release. id: `debian12`. family: names the class in kernel_index/distros.

    version, codename: VERSION_ID and VERSION_CODENAME of os-release(5).
    image: a registry's name of what its build image is made from; empty where image_of names the row whose build image
    serves, or no_image says why there is none. image_template: of its Dockerfile, in templates/images. compilers: the
    packages of the compilers that its kernels are built with.
    kinds: driver kinds that can work there. kinds_from: of some of them the first `uname -r` that they can work on.
    architectures: `uname -m` to the distribution's word for it.
    generic_flavours: architecture to the kernel flavour that an ordinary installation has. keyring: None where
    each archive has its own.
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
    keyring: Path | None
    keyring_package: str
    archives: tuple[Archive, ...]
    kinds_from: tuple[tuple[str, str], ...] = ()
    image_of: str = ""
    no_image: str = ""
    image_template: str = ""
    compilers: tuple[str, ...] = ()

    def archive(self, archive_id: str) -> Archive:
        """The archive of that id. Raises NotFoundError."""
        for archive in self.archives:
            if archive.id == archive_id:
                return archive
        known = ", ".join(archive.id for archive in self.archives)
        raise NotFoundError(f"{self.id}: no archive {archive_id!r}; it has {known}", hint="Update the index.")

    def architectures_of(self, archive: Archive) -> tuple[tuple[str, str], ...]:
        """The architectures that an archive holds: `uname -m` and the distribution's word."""
        return tuple(
            pair for pair in self.architectures if pair[0] in archive.architectures or not archive.architectures
        )

    def generic_flavour(self, arch: str) -> str:
        """The flavour of an ordinary installation on an architecture, empty where unknown."""
        return dict(self.generic_flavours).get(arch, "")


def load_table(path: Path | None = None) -> tuple[DistroRow, ...]:
    """The rows in the file's order: `path`, else the file that KDRIVER_DISTROS names, else kdriver's own.

    Raises ConfigError that lists every fault of the file.
    """
    path = path or Path(os.environ.get("KDRIVER_DISTROS") or _TABLE)
    try:
        state = path.stat()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="Check KDRIVER_DISTROS.") from error
    return _read_table(path, (state.st_mtime_ns, state.st_size, state.st_ino))


@functools.lru_cache(maxsize=8)
def _read_table(path: Path, state: tuple[int, int, int]) -> tuple[DistroRow, ...]:
    """The file in that state: one query asks for the table several times, and reading it takes longer than the rest."""
    del state
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="Check KDRIVER_DISTROS.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: {error}", hint="Mend the file; docs/adding-a-distribution.md shows its form."
        ) from error
    faults: list[str] = []
    defaults = _table_of(document.pop(_DEFAULTS, {}), _DEFAULTS, faults)
    rows = [
        _row(row_id, with_defaults(row_id, _table_of(value, row_id, faults), defaults, faults), faults)
        for row_id, value in document.items()
    ]
    if not rows:
        faults.append("there is no distribution in it")
    own_images = [row.id for row in rows if row.image]
    faults += [
        f"{row.id}: image_of: {row.image_of!r} is not a row with an image of its own"
        for row in rows
        if row.image_of and row.image_of not in own_images
    ]
    if faults:
        raise ConfigError(
            f"{path}: " + "; ".join(faults), hint="Mend the file; docs/adding-a-distribution.md shows its form."
        )
    return tuple(rows)


def with_defaults(
    row_id: str, row: Mapping[str, Any], defaults: Mapping[str, Any], faults: list[str]
) -> dict[str, Any]:
    """The row with what `defaults.FAMILY` says where it says nothing itself.

    Of the archives there, the row has those that its `uses` names; `{codename}` and `{version}` in them are the row's.
    """
    family = row.get("family")
    common = defaults.get(family, {}) if isinstance(family, str) else {}
    uses = row.get("uses", [])
    known = common.get("archives", {})
    archives: dict[str, Any] = {}
    for name in uses if isinstance(uses, list) else [uses]:
        if name in known:
            archives[name] = _filled(known[name], row)
        else:
            faults.append(f"{row_id}: uses: {name!r} is not an archive of {_DEFAULTS}.{family}")
    own = row.get("archives", {})
    if isinstance(own, dict):
        for name, value in own.items():
            base = archives.get(name, {})
            archives[name] = {**base, **value} if isinstance(value, dict) else value
    merged = {**common, **row, "archives": archives or own}
    merged.pop("uses", None)
    return merged


def _filled(value: Any, row: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        for name in ("codename", "version"):
            value = value.replace(f"{{{name}}}", str(row.get(name, "")))
        return value
    if isinstance(value, list):
        return [_filled(one, row) for one in value]
    return {name: _filled(one, row) for name, one in value.items()} if isinstance(value, dict) else value


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

    def text(self, key: str, *, needed: bool = True) -> str:
        value = self._left.pop(key, "" if not needed else None)
        if not isinstance(value, str) or (needed and not value):
            self.fault(f"{key} must be a text")
            return ""
        return value

    def flag(self, key: str) -> bool:
        value = self._left.pop(key, False)
        if not isinstance(value, bool):
            self.fault(f"{key} must be true or false")
            return False
        return value

    def texts(self, key: str, good: Callable[[str], bool], form: str, *, needed: bool = True) -> tuple[str, ...]:
        value = self._left.pop(key, [] if not needed else None)
        if not isinstance(value, list) or (needed and not value) or not all(isinstance(one, str) for one in value):
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

    def words(self, key: str, *, needed: bool = True) -> tuple[tuple[str, str], ...]:
        if not needed and key not in self._left:
            return ()
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
    keyring = _keyring(read)
    row = DistroRow(
        id=row_id,
        family=read.text("family"),
        title=read.text("title"),
        version=read.text("version"),
        codename=read.text("codename"),
        end_of_life=read.date("end_of_life"),
        image=read.text("image", needed=False),
        kinds=tuple(DriverKind(kind) for kind in kinds if kind in list(DriverKind)),
        architectures=read.words("architectures"),
        generic_flavours=read.words("generic_flavours"),
        keyring=keyring,
        keyring_package=read.text("keyring_package", needed=keyring is not None and not _is_own(keyring)),
        archives=tuple(_archive(row_id, name, value, faults) for name, value in read.table("archives").items()),
        kinds_from=read.words("kinds_from", needed=False),
        image_of=read.text("image_of", needed=False),
        no_image=read.text("no_image", needed=False),
        image_template=read.text("image_template", needed=False),
        compilers=read.texts("compilers", bool, "the name of a package", needed=False),
    )
    read.end()
    if sum(map(bool, (row.image, row.image_of, row.no_image))) != 1:
        read.fault("exactly one of image, image_of and no_image must be there")
    for kind, _ in row.kinds_from:
        if kind not in row.kinds:
            read.fault(f"kinds_from: {kind!r} is not one of its kinds")
    for archive in row.archives:
        _check_archive(row, archive, faults)
    return row


def _keyring(read: _Reader) -> Path | None:
    text = read.text("keyring", needed=False)
    if text.startswith(_OWN_KEYS) and ".." not in text:
        return _TABLE.parent / text
    if text and not text.startswith("/"):
        read.fault("keyring must be an absolute path")
    return Path(text) if text else None


def _is_own(keyring: Path) -> bool:
    """Whether it comes with kdriver, so that no package installs it."""
    return keyring.is_relative_to(_TABLE.parent)


def _archive(row_id: str, name: str, value: object, faults: list[str]) -> Archive:
    where = f"{row_id}.archives.{name}"
    read = _Reader(_table_of(value, where, faults), where, faults)
    unsigned = read.text("unsigned", needed=False)
    mirrors = read.texts(
        "mirrors", lambda url: url.startswith(("http://", "https://")), "an http(s) address", needed=False
    )
    archive = Archive(
        id=name,
        folder=read.text("folder").strip("/"),
        mirrors=tuple(url.rstrip("/") for url in mirrors),
        suites=read.texts("suites", lambda suite: bool(suite) and ".." not in suite, "the name of a suite"),
        components=read.texts("components", bool, "the name of a component", needed=False),
        signed_by=read.texts(
            "signed_by",
            lambda key: bool(_FINGERPRINT.match(key)),
            "a fingerprint in upper-case hex",
            needed=not unsigned,
        ),
        architectures=read.texts("architectures", bool, "an architecture", needed=False),
        unsigned=unsigned,
        keyring=_keyring(read),
        keyring_package=read.text("keyring_package", needed=False),
        opt_in=read.flag("opt_in"),
        optional=read.flag("optional"),
        not_automatic=read.flag("not_automatic"),
        archived=read.flag("archived"),
        accept_stale=read.texts("accept_stale", bool, "the name of a suite", needed=False),
        credentials=read.text("credentials", needed=False),
    )
    read.end()
    return archive


def _check_archive(row: DistroRow, archive: Archive, faults: list[str]) -> None:
    """What can only be said of an archive together with its row."""
    where = f"{row.id}.archives.{archive.id}"
    known = [arch for arch, _ in row.architectures]
    for arch in archive.architectures:
        if arch not in known:
            faults.append(f"{where}: architectures: {arch!r} is not one of the row's ({', '.join(known)})")
    for suite in archive.accept_stale:
        if suite not in archive.suites:
            faults.append(f"{where}: accept_stale: {suite!r} is not one of its suites")
    if not archive.unsigned and archive.keyring is None and row.keyring is None:
        faults.append(f"{where}: a keyring is missing, in it or in {row.id}; or `unsigned` with the reason")
