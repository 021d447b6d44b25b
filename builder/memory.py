"""Kernel headers in memory: unpacked to a file system in memory where there is room, because header trees are ten
thousand small files, which cost a disk more than their bytes.

A tree that is there serves every later build, as one on disk does. What all of them take is bounded by what the machine
has left, they are given up when that becomes scarce or when they were not used for a day, and a restart of the machine
takes them anyway. Each cache has a folder of its own; one whose cache is gone is removed by the next build.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from builder.keep import SHM, memory_folder, memory_items, oldest_start, parse_size, take_out

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


def room_in_memory(cache: Path) -> Path | None:
    """The folder for one more header tree in memory; None where it has to go to disk. Raises ConfigError."""
    limit = plan_limit(os.environ.get(MEMORY_VARIABLE), read_memory())
    folder = memory_folder(cache)
    if limit < TREE_BYTES or not _is_usable(SHM):
        return None
    taken = sum(item.size_bytes for item in memory_items(cache))
    if taken + TREE_BYTES > limit or not _make_own(folder, cache):
        return None
    return folder


def give_up(cache: Path) -> None:
    """Remove from memory what is too old or too much, all of it when memory is scarce, and the folders of caches that
    are gone. What a running build uses stays: builder.keep says how."""
    for folder in memory_folder(cache).parent.glob("*"):
        with contextlib.suppress(OSError):
            if not Path((folder / _OF).read_text()).is_dir():
                shutil.rmtree(folder, ignore_errors=True)
    memory = read_memory()
    limit = plan_limit(os.environ.get(MEMORY_VARIABLE), memory)
    items = memory_items(cache)
    left = sum(item.size_bytes for item in items)
    started = oldest_start(cache)
    for item in sorted(items, key=lambda one: one.used):
        unwanted = memory.scarce or left > limit or time.time() - item.used > _OLD_S
        if unwanted and item.used < started and take_out(cache, item):
            left -= item.size_bytes


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


def _is_usable(folder: Path) -> bool:
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
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
                return False
        (folder / _OF).write_text(str(cache))
    except OSError:
        return False
    return True
