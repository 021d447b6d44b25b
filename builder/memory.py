"""Kernel headers in memory: unpacked to a file system in memory where there is room, because header trees are ten
thousand small files, which cost a disk more than their bytes.

A tree that is there serves every later build, as one on disk does. What all of them take is bounded by what the machine
has left. A build that begins or ends gives up those that were not used for a day, and all of them when memory is
scarce; where none does they stay until the machine restarts. Each cache has a folder of its own; one whose cache is
gone is removed by the next build.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.keep import (
    SHM,
    build_running,
    is_own_folder,
    memory_folder,
    memory_items,
    oldest_start,
    own_memory,
    parse_size,
    take_out,
)
from kdriver.core.errors import ConfigError

MEMORY_VARIABLE = "KDRIVER_HEADERS_MEMORY"
TREE_BYTES = 150_000_000
"""Room for one more: trees of Debian's kernels have 70 to 96 MB."""
MOST_BYTES = 2_000_000_000
_SHARE = 8
_SCARCE = 8
_OLD_S = 24 * 3600.0
_OF = "of"


@dataclass(frozen=True, slots=True)
class Memory:
    """What a machine has, in bytes. available: for new programs, without swapping, in this control group."""

    total: int
    available: int

    @property
    def scarce(self) -> bool:
        """Whether others need it more."""
        return self.available < self.total // _SCARCE


def plan_limit(asked: str | None, memory: Memory) -> int:
    """How many bytes trees may take. asked: KDRIVER_HEADERS_MEMORY, `0` for none at all; without it an eighth of what
    is available, 2 GB at most, and nothing where memory is scarce. Raises ConfigError."""
    if asked:
        return parse_size(asked)
    return 0 if memory.scarce else min(memory.available // _SHARE, MOST_BYTES)


def trees_in_memory(cache: Path) -> Path | None:
    """The folder to look for a cache's trees in; None where there is none that can be trusted, or none is wanted.
    Raises ConfigError."""
    asked = os.environ.get(MEMORY_VARIABLE)
    return None if asked and not parse_size(asked) else own_memory(cache)


def room_in_memory(cache: Path) -> Path | None:
    """The folder for one more header tree in memory; None where it has to go to disk. Raises ConfigError."""
    limit = plan_limit(os.environ.get(MEMORY_VARIABLE), read_memory())
    folder = memory_folder(cache)
    if limit < TREE_BYTES or not is_usable(SHM):
        return None
    if _taken(cache) + TREE_BYTES > limit or not _make_own(folder, cache):
        return None
    return folder


def give_up(cache: Path) -> None:
    """Remove from memory what is too old or too much, all of it when memory is scarce, and the folders of caches that
    are gone. What a running build uses stays: builder.keep says how."""
    mine = memory_folder(cache).parent
    for folder in mine.glob("*") if is_own_folder(mine) else ():
        with contextlib.suppress(OSError):
            if is_own_folder(folder) and not Path((folder / _OF).read_text()).is_dir():
                shutil.rmtree(folder, ignore_errors=True)
    _sweep(cache)
    memory = read_memory()
    limit = plan_limit(os.environ.get(MEMORY_VARIABLE), memory)
    items = memory_items(cache)
    left = _taken(cache)
    started = oldest_start(cache)
    for item in sorted(items, key=lambda one: one.used):
        unwanted = memory.scarce or left > limit or time.time() - item.used > _OLD_S
        if unwanted and item.used < started and take_out(cache, item):
            left -= item.size_bytes


@contextlib.contextmanager
def cache_in_use(cache: Path) -> Iterator[None]:
    """In the block nothing that is used now leaves the cache; behind it what is in memory is given up again.
    Raises ConfigError for a cache that cannot be written to."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(build_running(cache))
        except OSError as error:
            raise ConfigError(
                f"{cache}: cannot be the cache: {error.strerror}",
                hint="Name a folder that you may write in with KDRIVER_CACHE.",
            ) from error
        yield
    give_up(cache)


def read_memory(root: Path = Path("/")) -> Memory:
    """What this machine, or the control group that this process is in, has. root: of the file system that is asked."""
    try:
        text = (root / "proc/meminfo").read_text()
    except OSError:
        return Memory(0, 0)
    said = {name: int(size) * 1024 for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}
    total, available = said.get("MemTotal", 0), said.get("MemAvailable", 0)
    group = root / "sys/fs/cgroup"
    with contextlib.suppress(OSError, ValueError):  # no limit, or none that can be read
        most = int((group / "memory.max").read_text())
        total = min(total, most)
        available = min(available, most - int((group / "memory.current").read_text()))
    return Memory(total, max(0, available))


def is_usable(folder: Path) -> bool:
    """Whether it is in memory, has room, and programs may be run there, as the headers' own must be."""
    try:
        found = os.statvfs(folder)
        mounted = dict(re.findall(r"^\S+ (\S+) (\S+) ", Path("/proc/mounts").read_text(), re.M))
    except OSError:
        return False
    free = found.f_bavail * found.f_frsize
    return mounted.get(str(folder)) == "tmpfs" and free > 2 * TREE_BYTES and not found.f_flag & os.ST_NOEXEC


def _make_own(folder: Path, cache: Path) -> bool:
    """Make a cache's folder below this user's. Anybody can make folders there: one of another user's is not used."""
    try:
        for path in (folder.parent, folder):
            path.mkdir(mode=0o755, exist_ok=True)
            if not is_own_folder(path):
                return False
        (folder / _OF).write_text(str(cache))
    except OSError:
        return False
    return True


def _hidden(cache: Path) -> list[Path]:
    """What is in memory besides whole trees: those that are unpacked or taken out now, or were when a process was
    killed."""
    folder = own_memory(cache)
    return [] if folder is None else [path for path in folder.glob(".*") if path.is_dir() and not path.is_symlink()]


def _taken(cache: Path) -> int:
    """Bytes of a cache's trees in memory. One that is unpacked now counts as the room that was kept for it."""
    return sum(item.size_bytes for item in memory_items(cache)) + TREE_BYTES * len(_hidden(cache))


def _sweep(cache: Path) -> None:
    """Remove what killed processes left in memory. Whoever unpacks a tree holds its lock, which a killed one gives up;
    what was taken out is nobody's any more."""
    for path in _hidden(cache):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if not path.name.startswith(".pruned-"):
                name = path.name[1:].partition(".")[0]
                file = stack.enter_context((cache / "headers" / f".{name}.lock").open("w"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
