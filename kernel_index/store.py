"""The index on disk: one document per distribution release, and beside it the last good state of each suite.

    <index>/debian12.json          what others read: the kernels, and how the last update went
    <index>/debian12/<suite>.json  SuiteRecord, for the next update

Nothing that was once seen is dropped: an update adds kernels, adds packages to kernels, and moves dates.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kdriver.core import paths
from kdriver.core.errors import ConfigError, KdriverError, NotFoundError
from kdriver.core.kernel import Kernel, PackageRole
from kernel_index.suites import SuiteRecord

logger = logging.getLogger(__name__)

FORMAT = 1
_ROLES = tuple(PackageRole)


@dataclass(frozen=True, slots=True)
class SuiteState:
    """How the last update of a suite went. outcome: fetched, unchanged, behind or failed; reason: of a failure.

    date: of the Release whose state is held, checked: the last day that a mirror confirmed it; empty for none.
    """

    suite: str
    archive: str
    outcome: str
    reason: str = ""
    date: str = ""
    checked: str = ""

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
        """The document on disk."""
        return {
            "format": FORMAT,
            "distro_release": self.distro_release,
            "updated": self.updated,
            "partial": self.partial,
            "suites": [suite.to_json() for suite in self.suites],
            "kernels": [kernel.to_json() for kernel in self.kernels],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RowIndex:
        """The inverse of to_json. Raises KeyError, TypeError or ValueError on a document of another shape."""
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']}, {FORMAT} was expected")
        return cls(
            distro_release=value["distro_release"],
            updated=value["updated"],
            suites=tuple(SuiteState(**suite) for suite in value["suites"]),
            kernels=tuple(Kernel.from_json(kernel) for kernel in value["kernels"]),
        )


def load_kernels(path: Path | None = None) -> tuple[Kernel, ...]:
    """All kernels of the index, by distribution release and then oldest first. path: the index's folder.

    Raises NotFoundError when there is no index, ConfigError when it cannot be read.
    """
    return tuple(kernel for index in load_index(path) for kernel in index.kernels)


def load_index(path: Path | None = None) -> tuple[RowIndex, ...]:
    """The index of every distribution release, sorted by its id. Raises as load_kernels."""
    folder = path or paths.index_dir()
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        raise NotFoundError(f"there is no kernel index in {folder}", hint="Run `kdriver index update` first.")
    return tuple(_read_row(file) for file in files)


def read_row(row_id: str, path: Path | None = None) -> RowIndex | None:
    """The index of one distribution release; None before its first update. Raises ConfigError."""
    file = (path or paths.index_dir()) / f"{row_id}.json"
    return _read_row(file) if file.exists() else None


def write_row(index: RowIndex, path: Path | None = None) -> None:
    """Put the document in the old one's place, whole or not at all. Raises KdriverError when it cannot."""
    _write(path or paths.index_dir(), f"{index.distro_release}.json", index.to_json())


def read_record(row_id: str, suite: str, path: Path | None = None) -> SuiteRecord | None:
    """The last good state of a suite; None where there is none or it is of an older kdriver."""
    file = (path or paths.index_dir()) / row_id / f"{suite}.json"
    try:
        value = msgspec.json.decode(file.read_bytes())
        if value["format"] != FORMAT:
            return None
        return SuiteRecord.from_json(value["record"])
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        # Only a saving of bytes is lost: the suite is fetched anew.
        logger.warning("%s: cannot be read (%s), the suite is fetched anew", file, error)
        return None


def write_record(row_id: str, record: SuiteRecord, path: Path | None = None) -> None:
    """Keep a suite's state. Raises KdriverError when it cannot."""
    folder = (path or paths.index_dir()) / row_id
    _write(folder, f"{record.suite}.json", {"format": FORMAT, "record": record.to_json()})


def merge_kernels(old: Sequence[Kernel], found: Sequence[Kernel]) -> tuple[Kernel, ...]:
    """The kernels of both: dates are kept, packages that left the suites stay known, nothing is dropped.

    Kernels that were found come last, in the order found; only they can be named by a metapackage.
    """
    before = {kernel.key: kernel for kernel in old}
    keys = {kernel.key for kernel in found}
    gone = [dataclasses.replace(kernel, named_by=()) for kernel in old if kernel.key not in keys]
    return (*gone, *(_merged(before.get(kernel.key), kernel) for kernel in found))


def _merged(old: Kernel | None, found: Kernel) -> Kernel:
    if old is None:
        return dataclasses.replace(found, first_seen=found.last_seen)
    packages = {package.role: package for package in old.packages}
    packages.update({package.role: package for package in found.packages})
    return dataclasses.replace(
        found,
        packages=tuple(packages[role] for role in _ROLES if role in packages),
        compiler=found.compiler or old.compiler,
        libc=found.libc or old.libc,
        first_seen=old.first_seen,
        last_seen=max(old.last_seen, found.last_seen),
    )


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


def _read_row(file: Path) -> RowIndex:
    try:
        return RowIndex.from_json(msgspec.json.decode(file.read_bytes()))
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{file}: the kernel index cannot be read ({error})",
            hint="Move the file away and run `kdriver index update`; dates of first sight start anew.",
        ) from error


def _write(folder: Path, name: str, value: dict[str, Any]) -> None:
    part = folder / f".{name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as out:
            json.dump(value, out, indent=1)
            out.write("\n")
            out.flush()
            os.fsync(out.fileno())
        part.replace(folder / name)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
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
