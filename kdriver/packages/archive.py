"""Unpacking an archive's members into a folder: nothing outside the folder is ever written or pointed to, and it is
quick: a kernel's headers are 17,000 small files.

Links are made last. While files are written the stream cannot have made a link to write through; links that
earlier packages left in the same folder are followed only when they stay inside it. A link's target is written
normalised, with `..` only in front, and never goes further up than the folder: so no chain of links leads out.
"""

# Paths are strings here: with pathlib, unpacking a kernel's headers took a quarter longer.
# ruff: noqa: PTH102, PTH108, PTH112, PTH114, PTH120, PTH123, PTH211

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from kdriver.core.errors import IntegrityError, KdriverError

MemberFilter = Callable[[str], bool]
"""Says of a member's name (`usr/src/linux-headers-…/Makefile`, no leading `./` or `/`) whether it is wanted."""

LIMIT_BYTES = 8 << 30
"""The most that one archive may unpack to; the largest kernel image package has 0.5 GB."""


class Contents(Protocol):
    """Hands out the bytes of a member that is a file; a tarfile.TarFile is one."""

    def extractfile(self, member: tarfile.TarInfo) -> IO[bytes] | None:
        """The member's bytes as a stream, to be read before the next member is taken."""


Member = tuple[tarfile.TarInfo, Contents]
"""A member and what holds its bytes. Archives of other formats describe their members as tar does."""


@dataclass(slots=True)
class _Unpacking:
    archive: str
    root: Path
    written_bytes: int = 0
    folders: set[str] = field(default_factory=set)
    links: list[tuple[str, str, bool]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def unpack_tar(
    stream: IO[bytes], into: Path, *, archive: str, members: MemberFilter | None = None, count: int | None = None
) -> tuple[str, ...]:
    """Unpack an uncompressed tar stream and return the names written, in order; folders are not among them.

    members: which to unpack (all without it). count: stop reading once so many were written.
    Absolute links are turned into relative ones inside `into`. Files get their time and the execute bit, but
    neither owner nor set-user-id bits. Raises IntegrityError for a member that would leave `into`, a device,
    or more than LIMIT_BYTES; ValueError never, OSError of the file system as it comes.
    """
    return unpack_members(_members(stream, archive), into, archive=archive, members=members, count=count)


def unpack_members(
    source_members: Iterable[Member],
    into: Path,
    *,
    archive: str,
    members: MemberFilter | None = None,
    count: int | None = None,
) -> tuple[str, ...]:
    """As unpack_tar, of members that any archive's reader yields."""
    into.mkdir(parents=True, exist_ok=True)
    work = _Unpacking(archive, Path(os.path.realpath(into)))
    for member, source in source_members:
        name = _clean(member.name, work)
        if not name or (members is not None and not members(name)):
            continue
        if member.isdir():
            if members is None:
                _make_folder(name, work)
            continue
        _unpack_member(member, source, name, work)
        if count is not None and len(work.names) >= count:
            break
    _make_links(work)
    return tuple(work.names)


@contextlib.contextmanager
def space(archive: str, into: Path) -> Iterator[None]:
    """A full file system as one clear line: KdriverError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise KdriverError(
            f"{archive}: no space left to unpack it in {into}",
            hint="Free space there, or set KDRIVER_CACHE to a folder on another file system.",
        ) from error


def _members(stream: IO[bytes], archive: str) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=stream, mode="r|", errorlevel=1) as source:
            for member in source:
                yield member, source
    except tarfile.TarError as error:
        raise IntegrityError(f"{archive}: the archive inside is damaged ({error})", hint=_HINT) from error


_HINT = "Delete the file and download it again."


def _clean(name: str, work: _Unpacking) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise _escape(name, work)
    return "/".join(parts)


def _escape(name: str, work: _Unpacking) -> IntegrityError:
    return IntegrityError(f"{work.archive}: {name!r} would be written outside the folder", hint="Do not use this file.")


def _unpack_member(member: tarfile.TarInfo, source: Contents, name: str, work: _Unpacking) -> None:
    if member.isreg():
        _write_file(member, source, name, work)
    elif member.issym():
        work.links.append((name, member.linkname, True))
    elif member.islnk():
        work.links.append((name, _clean(member.linkname, work), False))
    else:
        raise IntegrityError(f"{work.archive}: {name!r} is neither file, folder nor link", hint="Do not use this file.")
    work.names.append(name)


def _write_file(member: tarfile.TarInfo, source: Contents, name: str, work: _Unpacking) -> None:
    work.written_bytes += member.size
    if work.written_bytes > LIMIT_BYTES:
        raise IntegrityError(f"{work.archive}: unpacks to more than {LIMIT_BYTES} bytes", hint="Do not use this file.")
    path = _place(name, work)
    mode = 0o755 if member.mode & 0o100 else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, mode)
    except FileExistsError:
        os.unlink(path)
        handle = os.open(path, flags, mode)
    content = source.extractfile(member)
    assert content is not None
    with open(handle, "wb") as out:
        if member.size <= 1 << 20:
            out.write(content.read())
        else:
            shutil.copyfileobj(content, out, 1 << 20)
        out.flush()
        os.utime(handle, (member.mtime, member.mtime))


def _place(name: str, work: _Unpacking) -> str:
    """The path to write at, its folder made."""
    folder, _, last = name.rpartition("/")
    _make_folder(folder, work)
    return f"{work.root}/{folder}/{last}" if folder else f"{work.root}/{last}"


def _make_folder(name: str, work: _Unpacking) -> None:
    if name in work.folders or not name:
        return
    parent = name.rpartition("/")[0]
    _make_folder(parent, work)
    path = f"{work.root}/{name}"
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        real = os.path.realpath(path)
        if real != str(work.root) and not real.startswith(f"{work.root}/"):
            raise _escape(name, work) from None
        if not os.path.isdir(real):
            raise IntegrityError(f"{work.archive}: {name!r} is a file and a folder", hint=_HINT) from None
    work.folders.add(name)


def _make_links(work: _Unpacking) -> None:
    # Hard links first: they point to files, which are all there; the symbolic ones could lead elsewhere.
    for name, target, symbolic in sorted(work.links, key=lambda link: link[2]):
        path = _place(name, work)
        try:
            _make_link(path, name, target, symbolic, work)
        except FileExistsError:
            if os.path.isdir(path) and not os.path.islink(path):
                raise IntegrityError(f"{work.archive}: {name!r} is a link and a folder", hint=_HINT) from None
            os.unlink(path)
            _make_link(path, name, target, symbolic, work)
        except OSError as error:
            if error.errno != errno.ENOENT or symbolic:
                raise
            raise IntegrityError(
                f"{work.archive}: {name!r} links to {target!r}, which is not there", hint=_HINT
            ) from None


def _make_link(path: str, name: str, target: str, symbolic: bool, work: _Unpacking) -> None:
    if symbolic:
        os.symlink(_relative_target(path, name, target, work), path)
        return
    # To the file itself: a symbolic link that an earlier package left would lead elsewhere under another name.
    source = os.path.realpath(f"{work.root}/{target}")
    if not source.startswith(f"{work.root}/"):
        raise _escape(name, work)
    os.link(source, path, follow_symlinks=False)


def _relative_target(path: str, name: str, target: str, work: _Unpacking) -> str:
    """What the link will say: `/usr/src/x` in `lib/modules/r/build` becomes `../../../usr/src/x`."""
    root = str(work.root)
    folder = os.path.realpath(os.path.dirname(path))
    landed = os.path.normpath(f"{root}/{target}" if target.startswith("/") else f"{folder}/{target}")
    if landed != root and not landed.startswith(f"{root}/"):
        message = f"{work.archive}: {name!r} links to {target!r}, outside the folder"
        raise IntegrityError(message, hint="Do not use this file.")
    return os.path.relpath(landed, folder)
