"""The folder that holds a repository: every write is a temporary file, an fsync and a rename."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kdriver.core.errors import ConfigError, KdriverError

TEMPORARY = ".tmp"
"""Folder of files that are being written. On the repository's file system, so that a rename is atomic; never served."""
LOCK = ".lock"


def _no_step(_step: str) -> None:
    """What happens between two steps of a write: nothing."""


class FolderStore:
    """Reads and writes files of a repository by their path below its folder.

    on_step: called before and after each step that a crash could fall between (`write`, `fsync`, `rename`, ...).
    Tests pass a function that ends the process at the n-th step.
    """

    def __init__(self, root: Path, on_step: Callable[[str], None] = _no_step) -> None:
        self.root = root
        self._on_step = on_step
        self._touched: set[Path] = set()

    def path(self, name: str) -> Path:
        """Where the file of that name lies."""
        return self.root / name

    def exists(self, name: str) -> bool:
        """Whether that file is there."""
        return self.path(name).is_file()

    def read(self, name: str) -> bytes:
        """The file's content. Raises FileNotFoundError."""
        return self.path(name).read_bytes()

    def put(self, name: str, content: bytes) -> None:
        """Write a file, or replace it at once: no reader ever sees a part of it."""
        with self._replacing(name) as file:
            file.write(content)

    def put_file(self, name: str, source: Path) -> None:
        """Copy a file in, or replace it at once."""
        with source.open("rb") as original, self._replacing(name) as file:
            shutil.copyfileobj(original, file, 1 << 20)

    def link(self, name: str, existing: str) -> None:
        """Make `name` a second name of the file `existing`; a copy where the file system has no hard links."""
        temporary = self._temporary(name)
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        try:
            os.link(self.path(existing), temporary)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV):
                raise
            self.put_file(name, self.path(existing))
            return
        self._rename(temporary, name)
        # rename() of two names of one file does nothing and leaves the temporary name (POSIX).
        temporary.unlink(missing_ok=True)

    def barrier(self) -> None:
        """Make all renames so far durable: what is written next cannot survive a crash that they do not."""
        for folder in sorted(self._touched):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        self._touched.clear()
        self._on_step("barrier")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the repository for one writer; readers need no lock. Raises KdriverError when another one is at work."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(
                f"{self.root}: cannot be written: {error.strerror}",
                hint="Name a folder that you may write with --repo.",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise KdriverError(
                f"{self.root}: another publisher is at work (process {owner})", hint="Wait until it has ended."
            ) from None
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            # What a killed publisher left half written belongs to nobody: we hold the lock.
            shutil.rmtree(self.root / TEMPORARY, ignore_errors=True)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _replacing(self, name: str) -> Iterator[IO[bytes]]:
        temporary = self._temporary(name)
        self._on_step(f"write {name}")
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                self._on_step(f"fsync {name}")
                os.fsync(file.fileno())
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise KdriverError(
                    f"{self.root}: no space left for {name}; the repository is as it was",
                    hint="Make room on that file system and publish again.",
                ) from error
            raise
        self._rename(temporary, name)

    def _rename(self, temporary: Path, name: str) -> None:
        path = self.path(name)
        self._make_folder(path.parent)
        self._on_step(f"rename {name}")
        temporary.replace(path)
        self._touched.add(path.parent)
        self._on_step(f"renamed {name}")

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and those above it; the barrier makes their names durable too."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self._touched.add(folder.parent)

    def _temporary(self, name: str) -> Path:
        folder = self.root / TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{os.getpid()}-{name.rsplit('/', 1)[-1]}"
