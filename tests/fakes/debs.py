"""Debian packages made byte by byte, so that they can also be wrong."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path


def tar_of(members: Iterable[tuple[str, bytes, bytes]], *, mode: int = 0o644) -> bytes:
    """A tar of (name, type of tarfile, content or link target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.mode = mode
            member.mtime = 1_700_000_000
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                member.linkname = content.decode()
            if kind == tarfile.REGTYPE:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                tar.addfile(member)
    return out.getvalue()


def write_deb(
    path: Path,
    members: Iterable[tuple[str, bytes, bytes]],
    *,
    compress: Callable[[bytes], bytes] = lzma.compress,
    suffix: str = ".xz",
    control: str = "Package: made\nVersion: 1.0\n",
    mode: int = 0o644,
) -> Path:
    """A package that installs the members; its control archive is compressed the same way."""
    parts = [
        ("debian-binary", b"2.0\n"),
        (f"control.tar{suffix}", compress(tar_of([("./control", tarfile.REGTYPE, control.encode())]))),
        (f"data.tar{suffix}", compress(tar_of(members, mode=mode))),
    ]
    out = bytearray(b"!<arch>\n")
    for name, content in parts:
        out += f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        out += content + b"\n" * (len(content) % 2)
    path.write_bytes(bytes(out))
    return path
