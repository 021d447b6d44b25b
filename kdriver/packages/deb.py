"""Debian packages (deb(5)): an ar archive of `debian-binary`, `control.tar.*` and `data.tar.*`."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from kdriver.core.errors import IntegrityError
from kdriver.packages.archive import MemberFilter, space, unpack_tar
from kdriver.packages.compression import damage, decompressed, window
from kdriver.packages.deb822 import Stanza, parse_stanza

_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60
_CONTROL_LIMIT_BYTES = 4 << 20
_HINT = "Delete the file and download it again."


def unpack_deb(
    deb: Path, into: Path, *, members: MemberFilter | None = None, count: int | None = None
) -> tuple[str, ...]:
    """Unpack what a package installs into a folder, and return the names written (relative, sorted as packed).

    members: picks by name, such as `boot/vmlinuz-6.1.0-56-amd64`. count: stop once so many were written; the
    rest of the package is then not even decompressed. No maintainer script is ever run. Several packages may
    be unpacked into one folder. Raises IntegrityError for a damaged package or one that would leave `into`,
    KdriverError where there is no space.
    """
    with space(deb.name, into), _member(deb, "data.tar") as stream, damage(deb.name):
        return unpack_tar(stream, into, archive=deb.name, members=members, count=count)


def list_deb(deb: Path) -> tuple[str, ...]:
    """The names of all files and links that a package installs. Raises IntegrityError for a damaged one."""
    with _member(deb, "data.tar") as stream, damage(deb.name), tarfile.open(fileobj=stream, mode="r|") as source:
        return tuple(member.name.removeprefix("./") for member in source if not member.isdir())


def read_control(deb: Path) -> Stanza:
    """The fields of a package's control file. Raises IntegrityError for a damaged package."""
    with _member(deb, "control.tar") as stream, damage(deb.name), tarfile.open(fileobj=stream, mode="r|") as source:
        for member in source:
            if member.name.removeprefix("./") == "control" and member.isreg():
                if member.size > _CONTROL_LIMIT_BYTES:
                    break
                content = source.extractfile(member)
                assert content is not None
                return parse_stanza(content.read().decode("utf-8", "replace"))
    raise IntegrityError(f"{deb.name}: it holds no control file", hint=_HINT)


@contextlib.contextmanager
def _member(deb: Path, wanted: str) -> Iterator[IO[bytes]]:
    """A member of the ar archive, decompressed, by its name without the compression's suffix."""
    with deb.open("rb") as source:
        for name, offset, size_bytes in _ar_members(source, deb.name):
            if name == wanted or name.startswith(wanted + "."):
                source.seek(offset)
                with decompressed(window(source, size_bytes), name.removeprefix(wanted), deb.name) as stream:
                    yield stream
                return
    raise IntegrityError(f"{deb.name}: it holds no {wanted}; a Debian package was expected", hint=_HINT)


def _ar_members(source: BinaryIO, archive: str) -> Iterator[tuple[str, int, int]]:
    """(name, offset, size in bytes) of each member. The format: ar(5), 60-byte headers, even offsets."""
    if source.read(len(_MAGIC)) != _MAGIC:
        raise IntegrityError(f"{archive}: this is no ar archive; a Debian package was expected", hint=_HINT)
    offset = len(_MAGIC)
    end = source.seek(0, io.SEEK_END)
    while offset < end:
        source.seek(offset)
        header = source.read(_HEADER_BYTES)
        digits = header[48:58].strip()
        if len(header) != _HEADER_BYTES or header[58:60] != b"`\n" or not digits.isdigit():
            raise IntegrityError(f"{archive}: the ar archive is damaged at byte {offset}", hint=_HINT)
        size_bytes = int(digits)
        offset += _HEADER_BYTES
        if offset + size_bytes > end:
            raise IntegrityError(f"{archive}: the package is cut short", hint=_HINT)
        yield header[:16].rstrip().rstrip(b"/").decode("ascii", "replace"), offset, size_bytes
        offset += size_bytes + size_bytes % 2
