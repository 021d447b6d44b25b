"""The compressions of package files and repository lists, as streams that need bounded memory."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from kdriver.core.errors import IntegrityError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIXES = ("", ".gz", ".bz2", ".xz", ".lzma", ".zst")
"""What `decompressed` takes."""

MEMORY_LIMIT_BYTES = 256 << 20
"""For the dictionary of one xz stream; `xz -9` needs 65 MB. zstd refuses windows above 128 MB by itself."""

_CHUNK_BYTES = 1 << 18
_DAMAGE = (lzma.LZMAError, zlib.error, zstd.ZstdError, EOFError, gzip.BadGzipFile, tarfile.TarError, ValueError)
_HINT = "Delete the file and download it again."


def decompressed(part: IO[bytes], suffix: str, archive: str) -> contextlib.AbstractContextManager[IO[bytes]]:
    """The plain bytes of a compressed stream. suffix: one of SUFFIXES. archive: how messages call the file.

    Raises IntegrityError for another suffix; reading raises what `damage` turns into IntegrityError.
    """
    if suffix in (".xz", ".lzma"):
        return contextlib.nullcontext(cast(IO[bytes], io.BufferedReader(_XzReader(part), _CHUNK_BYTES)))
    if suffix == ".gz":
        return cast(contextlib.AbstractContextManager[IO[bytes]], gzip.open(part, "rb"))
    if suffix == ".bz2":
        return bz2.open(part, "rb")
    if suffix == ".zst":
        return cast(contextlib.AbstractContextManager[IO[bytes]], zstd.open(part, "rb"))
    if suffix == "":
        return contextlib.nullcontext(part)
    raise IntegrityError(f"{archive}: {suffix} is a compression that kdriver cannot read", hint="Report this package.")


@contextlib.contextmanager
def damage(archive: str) -> Iterator[None]:
    """The errors of the decompressors as one clear line: IntegrityError."""
    try:
        yield
    except _DAMAGE as error:
        raise IntegrityError(f"{archive}: the package is damaged ({error})", hint=_HINT) from error
    except OSError as error:
        # bz2 and gzip report damage as an OSError without a number.
        if error.errno is not None:
            raise
        raise IntegrityError(f"{archive}: the package is damaged ({error})", hint=_HINT) from error


class Window(io.RawIOBase):
    """The next so many bytes of a file."""

    def __init__(self, source: BinaryIO, size_bytes: int) -> None:
        super().__init__()
        self._source = source
        self._left = size_bytes

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """As io.RawIOBase."""
        chunk = self._source.read(min(len(buffer), self._left))
        buffer[: len(chunk)] = chunk
        self._left -= len(chunk)
        return len(chunk)


def window(source: BinaryIO, size_bytes: int) -> IO[bytes]:
    """The next so many bytes of a file, buffered."""
    return cast(IO[bytes], io.BufferedReader(Window(source, size_bytes), _CHUNK_BYTES))


def peek_suffix(path: Path) -> str:
    """The compression that a file's first bytes say, empty for none."""
    with path.open("rb") as source:
        head = source.read(6)
    magics = ((b"\x1f\x8b", ".gz"), (b"BZh", ".bz2"), (b"\xfd7zXZ\0", ".xz"), (b"\x28\xb5\x2f\xfd", ".zst"))
    return next((suffix for magic, suffix in magics if head.startswith(magic)), "")


class _XzReader(io.RawIOBase):
    """xz and lzma streams, one after the other. Unlike lzma.open it takes no dictionary of any size."""

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__()
        self._source = source
        self._stream = lzma.LZMADecompressor(memlimit=MEMORY_LIMIT_BYTES)
        self._rest = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        while not self._ended:
            plain = self._step(len(buffer))
            if plain:
                buffer[: len(plain)] = plain
                return len(plain)
        return 0

    def _step(self, size_bytes: int) -> bytes:
        if self._stream.eof and not self._next_stream():
            return b""
        packed = self._rest
        self._rest = b""
        if not packed and self._stream.needs_input:
            packed = self._source.read(_CHUNK_BYTES)
            if not packed:
                raise EOFError("the compressed part is cut short")
        plain = self._stream.decompress(packed, max_length=size_bytes)
        if self._stream.eof:
            self._rest = self._stream.unused_data
        return plain

    def _next_stream(self) -> bool:
        """Start the stream that follows; the padding between two is zeros in fours (xz file format 2.2)."""
        packed = self._rest
        while not (packed := packed.lstrip(b"\0")):
            packed = self._source.read(_CHUNK_BYTES)
            if not packed:
                self._ended = True
                return False
        self._stream = lzma.LZMADecompressor(memlimit=MEMORY_LIMIT_BYTES)
        self._rest = packed
        return True
