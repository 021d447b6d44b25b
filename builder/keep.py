"""What the cache holds, and taking out of it what was not used for longest, never what a running build uses.

Every store is a folder of items; an item was last used when its time stamp says, which a build touches when it takes
one. A build that runs holds a lock on a file in `running` of which the time is its start: what was used since the
oldest of them began stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdriver.core.errors import ConfigError

LIMIT_VARIABLE = "KDRIVER_CACHE_LIMIT"
DEFAULT_LIMIT_BYTES = 50_000_000_000
_RUNNING = "running"
_STORES: dict[str, str] = {
    "headers": "[!.]*",
    "downloads": "*/*",
    "artifacts": "[!.]*",
    "probes": "*.json",
    "layouts": "*.json",
    "shares": "*.json",
    "code": "*.json",
    "remembered": "*.json",
    "generated": "[!.]*",
    "tools": "[!.]*",
}
"""The stores that are pruned, and what their items are. Verdicts are evidence and small; logs are what people read; the
guests' kernels are the verifier's, which holds no lock here."""
IN_MEMORY = "headers in memory"
SHM = Path("/dev/shm")
_MINE: set[tuple[int, str]] = set()
"""The files in `running` that this process made, with its number: a fork inherits them, and they are not its own."""
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class Item:
    """Something that can be taken out of the cache as a whole. used: seconds since the epoch."""

    store: str
    path: Path
    size_bytes: int
    used: float


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was, or would be, taken out. kept: of the rest, what a running build may use although it should go."""

    items: tuple[Item, ...]
    kept: int
    left_bytes: int

    @property
    def freed_bytes(self) -> int:
        """The bytes of what was taken out."""
        return sum(item.size_bytes for item in self.items)

    def to_json(self) -> dict[str, Any]:
        """What `kdriver cache prune --json` prints."""
        rows = [{"store": one.store, "path": str(one.path), "size_bytes": one.size_bytes} for one in self.items]
        return {
            "removed": rows,
            "freed_bytes": self.freed_bytes,
            "kept_in_use": self.kept,
            "left_bytes": self.left_bytes,
        }


def parse_size(text: str) -> int:
    """`20G`, `500M`, `1000000`: powers of ten, as sizes are printed. Raises ConfigError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text.strip())
    if found is None:
        raise ConfigError(f"{text!r}: is no size", hint="Write it as 20G or 500M.")
    return int(float(found[1]) * _UNITS[found[2]])


def cache_limit() -> int:
    """How large the cache may grow: KDRIVER_CACHE_LIMIT, else 50 GB. Raises ConfigError."""
    return parse_size(os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_LIMIT_BYTES))


def touch(path: Path) -> None:
    """Note that an item is used now. Where that may not be noted nothing is lost but its age."""
    with contextlib.suppress(OSError):
        os.utime(path)


@contextlib.contextmanager
def build_running(cache: Path) -> Iterator[None]:
    """In the block nothing that is used now is taken out of the cache, by this process or another."""
    folder = cache / _RUNNING
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        path = _locked_file(folder, stack)
        mine = (os.getpid(), path.name)
        _MINE.add(mine)
        try:
            yield
        finally:
            _MINE.discard(mine)
            path.unlink(missing_ok=True)


def _locked_file(folder: Path, stack: contextlib.ExitStack) -> Path:
    """A new file that is locked. Between its making and its lock another process may take it for a killed build's and
    remove it; then another one is made."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f"build-{os.getpid()}-", dir=folder)
        file = stack.enter_context(os.fdopen(handle, "wb"))
        fcntl.flock(file, fcntl.LOCK_SH)
        if os.fstat(file.fileno()).st_nlink:
            return Path(name)


def list_items(cache: Path) -> tuple[Item, ...]:
    """Everything that can be pruned, the longest unused first."""
    found = [item for store, pattern in _STORES.items() for item in _list_store(store, cache / store, pattern)]
    return tuple(sorted([*found, *memory_items(cache)], key=lambda item: (item.used, item.path)))


def memory_folder(cache: Path) -> Path:
    """Where header trees of a cache would be in memory, whether or not any is: a folder of this user's, and in it one
    for each cache. Nothing in it is to be used before own_memory() said whose it is."""
    digest = hashlib.sha256(str(cache).encode()).hexdigest()
    return SHM / f"kdriver-{os.getuid()}" / digest[:16]


def own_memory(cache: Path) -> Path | None:
    """That folder, where it is there and nobody else can have put anything into it; None where it is not or anybody
    could. A build runs programs of the trees in it, and whoever is quicker can make folders in /dev/shm."""
    folder = memory_folder(cache)
    return folder if is_own_folder(folder.parent) and is_own_folder(folder) else None


def is_own_folder(path: Path) -> bool:
    """Whether it is a folder and no link, this user's, and nobody else may write to it."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def memory_items(cache: Path) -> tuple[Item, ...]:
    """The header trees that a cache has in memory."""
    folder = own_memory(cache)
    return _list_store(IN_MEMORY, folder, _STORES["headers"]) if folder is not None else ()


def _list_store(store: str, folder: Path, pattern: str) -> tuple[Item, ...]:
    found = []
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):  # another process took it, or it is another user's
            if store != IN_MEMORY or path.is_dir():
                found.append(Item(store, path, size_of(store, path), path.stat().st_mtime))
    return tuple(found)


def prune(
    cache: Path, *, limit_bytes: int | None, max_age_s: float | None, dry_run: bool = False, now: float | None = None
) -> Pruned:
    """Take out what is older than `max_age_s`, then the longest unused until the rest fits `limit_bytes`."""
    moment = time.time() if now is None else now
    items = list_items(cache)
    left = sum(item.size_bytes for item in items)
    gone: list[Item] = []
    kept = 0
    started = oldest_start(cache)
    for item in items:
        too_old = max_age_s is not None and moment - item.used > max_age_s
        if not too_old and (limit_bytes is None or left <= limit_bytes):
            continue
        if item.used >= started or not (dry_run or take_out(cache, item)):
            kept += 1
            continue
        gone.append(item)
        left -= item.size_bytes
    return Pruned(tuple(gone), kept, left)


def oldest_start(cache: Path) -> float:
    """When the oldest running build began; infinite when none runs. What a killed one left is removed."""
    oldest = float("inf")
    for path in (cache / _RUNNING).glob("build-*"):
        try:
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink(missing_ok=True)
                except BlockingIOError:
                    oldest = min(oldest, os.fstat(file.fileno()).st_mtime)
        except OSError:  # it has ended, or is another user's
            with contextlib.suppress(FileNotFoundError):
                oldest = min(oldest, path.stat().st_mtime)
    return oldest


def used_by_others(cache: Path) -> bool:
    """Whether another process's build or verification runs on this cache. Processes of two containers may have the same
    number, so it does not tell whose a file is."""
    oldest_start(cache)  # removes what killed ones left
    return any((os.getpid(), path.name) not in _MINE for path in (cache / _RUNNING).glob("build-*"))


def take_out(cache: Path, item: Item) -> bool:
    """Take an item out, first of sight and then of the disk; False when somebody uses it now, or it is another user's.
    A header tree is taken under the lock that builds hold while they look for it."""
    lock = cache / "headers" / f".{item.path.name}.lock"
    if item.store == IN_MEMORY and item.path.parent != own_memory(cache):
        return False
    aside: Path | None = None
    try:
        with contextlib.ExitStack() as stack:
            if item.store in ("headers", IN_MEMORY):
                lock.parent.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(lock.open("w"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if item.path.stat().st_mtime != item.used or any(item.path.glob("*.part")):
                return False
            aside = Path(
                tempfile.mkdtemp(
                    prefix=".pruned-", dir=item.path.parent if item.store == IN_MEMORY else cache / item.store
                )
            )
            item.path.rename(aside / "item")
        return True
    except OSError:
        return False
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def size_of(store: str, path: Path) -> int:
    """Of an item. A header tree has ten thousand files and never changes: its size is noted beside them."""
    if store not in ("headers", IN_MEMORY):
        return _size(path)
    noted = path / "size"
    with contextlib.suppress(OSError, ValueError):
        return int(noted.read_text())
    used = path.stat().st_mtime
    found = _size(path)
    with contextlib.suppress(OSError):
        noted.write_text(f"{found}\n")
        os.utime(path, (used, used))
    return found


def _size(path: Path) -> int:
    """Bytes of the files below a path; links are not followed."""
    if not path.is_dir():
        return path.lstat().st_size
    total = 0
    waiting = [str(path)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total
