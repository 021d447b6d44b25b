"""The guest's root file system: a cpio archive in the `newc` format, the same bytes for the same entries.

Source of the format: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

_TRAILER = "TRAILER!!!"
_MAGIC = "070701"


@dataclass(frozen=True, slots=True)
class Entry:
    """One member. path: without a leading slash. mode: with the file type. device: (major, minor) of a node."""

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def regular(path: str, content: bytes, *, executable: bool = False) -> Entry:
    """A file owned by root."""
    return Entry(path, stat.S_IFREG | (0o755 if executable else 0o644), content)


def folder(path: str) -> Entry:
    """A folder owned by root."""
    return Entry(path, stat.S_IFDIR | 0o755)


def symlink(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, os.fsencode(target))


def character_device(path: str, major: int, minor: int) -> Entry:
    """A character device node; writing the archive needs no privilege."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def write_initramfs(entries: Iterable[Entry]) -> bytes:
    """The archive, with the folders that the entries need added in front of them.

    Order is as given, times are zero, inodes count up: equal entries give equal bytes. Raises ValueError for
    an absolute path, a path with `..`, or one that occurs twice.
    """
    out = bytearray()
    seen: set[str] = set()
    for inode, entry in enumerate(_with_parents(entries), start=1):
        if entry.path in seen:
            raise ValueError(f"{entry.path}: occurs twice in the initramfs")
        seen.add(entry.path)
        out += _member(entry, inode)
    out += _member(Entry(_TRAILER, 0), 0)
    return bytes(out) + bytes(-len(out) % 512)


def _with_parents(entries: Iterable[Entry]) -> Iterable[Entry]:
    known: set[str] = set()
    for entry in entries:
        parts = entry.path.split("/")
        if entry.path.startswith("/") or ".." in parts or "" in parts:
            raise ValueError(f"{entry.path}: is no plain relative path")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            if parent not in known:
                known.add(parent)
                yield folder(parent)
        if stat.S_ISDIR(entry.mode):
            if entry.path in known:
                continue
            known.add(entry.path)
        yield entry


def _member(entry: Entry, inode: int) -> bytes:
    name = os.fsencode(entry.path) + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        inode,
        entry.mode,
        0,  # owner
        0,  # group
        links,
        0,  # time
        len(entry.content),
        0,  # device that holds the file
        0,
        *entry.device,
        len(name),
        0,  # checksum, unused in this variant
    )
    head = _MAGIC.encode() + b"".join(b"%08X" % field for field in fields) + name
    head += bytes(-len(head) % 4)
    return head + entry.content + bytes(-len(entry.content) % 4)
