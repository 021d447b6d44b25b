"""cpio archives of the "newc" form, which RPM packages carry (rpm docs/manual/format_payload.md; cpio(5)).

Members are handed out as tar members, so that one unpacker serves every format. Of files with several names only
one, commonly the last, has the content: the others are given as hard links once it was met.
"""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, cast

from kdriver.core.errors import IntegrityError
from kdriver.packages.archive import Member

_HEADER_BYTES = 110
_MAGICS = (b"070701", b"070702")
_STRIPPED = b"07070X"
_TRAILER = "TRAILER!!!"
_CHUNK_BYTES = 1 << 18
_NAME_LIMIT_BYTES = 1 << 16
_LINK_LIMIT_BYTES = 1 << 16
_HINT = "Delete the file and download it again."

Inode = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Header:
    """The fields of a newc header that matter, and the name behind it."""

    inode: Inode
    mode: int
    links: int
    mtime: int
    size_bytes: int
    name: str


class _Content:
    """The content of one member: the stream's next so many bytes."""

    def __init__(self, stream: IO[bytes], size_bytes: int, archive: str) -> None:
        self._stream = stream
        self._left = size_bytes
        self._archive = archive

    def extractfile(self, member: tarfile.TarInfo) -> IO[bytes] | None:
        """archive.Contents."""
        return cast(IO[bytes], self) if member.isreg() else None

    def read(self, size_bytes: int = -1) -> bytes:
        """As of a file. Raises IntegrityError where the archive ends first."""
        wanted = self._left if size_bytes < 0 else min(size_bytes, self._left)
        content = _read(self._stream, wanted, self._archive)
        self._left -= wanted
        return content


def cpio_members(stream: IO[bytes], archive: str) -> Iterator[Member]:
    """The members of an uncompressed newc stream, in order. archive: how messages call the file.

    A member's content must be read before the next is taken, or is skipped. Raises IntegrityError.
    """
    named: dict[Inode, str] = {}
    waiting: dict[Inode, list[_Header]] = {}
    nothing = _Content(stream, 0, archive)
    while (header := _header(stream, archive)).name != _TRAILER:
        member = _member(header, stream, archive)
        several = member.isreg() and header.links > 1
        if several and not header.size_bytes:
            if header.inode in named:
                yield _link(header, named[header.inode]), nothing
            else:
                waiting.setdefault(header.inode, []).append(header)
            continue
        content = _Content(stream, header.size_bytes if member.isreg() else 0, archive)
        yield member, content
        while content.read(_CHUNK_BYTES):
            pass
        _read(stream, -member.size % 4, archive)
        if several:
            named[header.inode] = header.name
            for other in waiting.pop(header.inode, ()):
                yield _link(other, header.name), nothing
    for headers in waiting.values():
        yield from ((_member(header, stream, archive), nothing) for header in headers)


def _header(stream: IO[bytes], archive: str) -> _Header:
    raw = _read(stream, _HEADER_BYTES, archive)
    if raw.startswith(_STRIPPED):
        raise IntegrityError(
            f"{archive}: its payload has files above 4 GB, which no kernel package has", hint="Report this package."
        )
    try:
        if not raw.startswith(_MAGICS):
            raise ValueError(f"{raw[:6]!r} is not its magic")
        fields = [int(raw[start : start + 8], 16) for start in range(6, _HEADER_BYTES, 8)]
    except ValueError as error:
        raise IntegrityError(f"{archive}: the cpio archive inside is damaged ({error})", hint=_HINT) from error
    inode, mode, _uid, _gid, links, mtime, size_bytes, major, minor, _rmajor, _rminor, name_bytes, _check = fields
    if not 1 < name_bytes <= _NAME_LIMIT_BYTES:
        raise IntegrityError(f"{archive}: the cpio archive inside has a name of {name_bytes} bytes", hint=_HINT)
    name = _read(stream, name_bytes, archive)[:-1].decode("utf-8", "surrogateescape")
    _read(stream, -(_HEADER_BYTES + name_bytes) % 4, archive)
    return _Header((inode, major, minor), mode, links, mtime, size_bytes, name)


def _member(header: _Header, stream: IO[bytes], archive: str) -> tarfile.TarInfo:
    """The header as tar says it; a symbolic link's target is read, it is the content."""
    member = tarfile.TarInfo(header.name)
    member.mode = stat.S_IMODE(header.mode)
    member.mtime = header.mtime
    kind = stat.S_IFMT(header.mode)
    if kind == stat.S_IFREG:
        member.size = header.size_bytes
    elif kind == stat.S_IFDIR:
        member.type = tarfile.DIRTYPE
    elif kind == stat.S_IFLNK:
        if header.size_bytes > _LINK_LIMIT_BYTES:
            raise IntegrityError(f"{archive}: a link of {header.size_bytes} bytes", hint=_HINT)
        member.type = tarfile.SYMTYPE
        member.linkname = _read(stream, header.size_bytes, archive).decode("utf-8", "surrogateescape")
        _read(stream, -header.size_bytes % 4, archive)
    else:
        member.type = tarfile.CHRTYPE
    return member


def _link(header: _Header, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(header.name)
    member.type = tarfile.LNKTYPE
    member.linkname = target
    return member


def _read(stream: IO[bytes], size_bytes: int, archive: str) -> bytes:
    content = bytearray()
    while len(content) < size_bytes and (chunk := stream.read(size_bytes - len(content))):
        content += chunk
    if len(content) != size_bytes:
        raise IntegrityError(f"{archive}: the cpio archive inside is cut short", hint=_HINT)
    return bytes(content)
