"""The file that a download grows in: locked, with a running digest, and what is needed to resume it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO


@dataclass(slots=True)
class PartFile:
    """`<name>.part` beside the destination, open for appending, and `<name>.part.json` with the validators.

    length, digest: of what it holds. algorithm: of the digest, `sha256` or `sha512`.
    """

    destination: Path
    out: BinaryIO
    algorithm: str = "sha256"
    length: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self.digest = hashlib.new(self.algorithm)

    def take_up(self) -> None:
        """Digest what an earlier try left."""
        self.out.seek(0)
        while chunk := self.out.read(1 << 20):
            self.digest.update(chunk)
            self.length += len(chunk)

    def restart(self) -> None:
        """Forget all that it holds."""
        self.out.seek(0)
        self.out.truncate()
        self.length = 0
        self.digest = hashlib.new(self.algorithm)
        _validators_path(self.destination).unlink(missing_ok=True)

    def append(self, chunk: bytes) -> None:
        """Add the next bytes."""
        self.out.write(chunk)
        self.length += len(chunk)
        self.digest.update(chunk)

    def validator(self, url: str) -> str:
        """What If-Range takes to resume from that address; empty where nothing is known."""
        try:
            read = json.loads(_validators_path(self.destination).read_text())
        except (FileNotFoundError, ValueError):
            return ""
        found = read.get(url, "") if isinstance(read, dict) else ""
        return found if isinstance(found, str) else ""

    def note_validator(self, url: str, validator: str) -> None:
        """Remember what the server said of the file that is being taken from it."""
        _validators_path(self.destination).write_text(json.dumps({url: validator}))

    def finish(self) -> None:
        """Put it under its name, once its bytes are on the disk."""
        self.out.flush()
        os.fsync(self.out.fileno())
        part_path(self.destination).replace(self.destination)
        _validators_path(self.destination).unlink(missing_ok=True)
        folder = os.open(self.destination.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def part_path(destination: Path) -> Path:
    """Where a download to `destination` grows."""
    return destination.with_name(destination.name + ".part")


def _validators_path(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part.json")


def discard(destination: Path) -> None:
    """Remove what an unfinished download left."""
    part_path(destination).unlink(missing_ok=True)
    _validators_path(destination).unlink(missing_ok=True)


@contextlib.contextmanager
def locked_part(
    destination: Path, is_whole: Callable[[], bool], algorithm: str = "sha256"
) -> Iterator[PartFile | None]:
    """The part file, locked against other processes; None when one of them finished the same file meanwhile.

    is_whole: says whether what now stands at `destination` is what is wanted.
    """
    before = _identity(destination)
    while True:
        with part_path(destination).open("a+b") as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            if _identity(part_path(destination)) == _stat_identity(os.fstat(out.fileno())):
                yield PartFile(destination, out, algorithm)
                return
        # The one who held the lock renamed or removed the file that was waited for.
        if _identity(destination) not in (None, before) and is_whole():
            yield None
            return


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        return _stat_identity(path.stat())
    except FileNotFoundError:
        return None


def _stat_identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
