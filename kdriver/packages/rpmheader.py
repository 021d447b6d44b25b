"""The front of an RPM package: lead, signature header and header (rpm docs/manual/format_v4.md and format_header.md).

All of it is read from a stream, so that the first part of a file is enough: a crawl need not fetch what follows.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

from kdriver.core.errors import IntegrityError
from kdriver.packages.rpmversions import Evr

_LEAD_BYTES = 96
_LEAD_MAGIC = b"\xed\xab\xee\xdb"
_HEADER_MAGIC = b"\x8e\xad\xe8\x01"
_INTRO = struct.Struct(">4s4xII")
_ENTRY = struct.Struct(">IIII")
_ENTRY_LIMIT = 0xFFFF
_DATA_LIMIT_BYTES = 64 << 20
"""The header of a kernel-devel package, which has the most files, is about 2 MB."""

_HINT = "Delete the file and download it again."
_INTEGERS = {2: "B", 3: "H", 4: "I", 5: "Q"}
_TEXTS = (6, 8, 9)

Value = tuple[int, ...] | tuple[str, ...] | bytes


class Tag:
    """Numbers of the tags that are read (rpm include/rpm/rpmtag.h)."""

    SIG_DSA, SIG_RSA, SIG_SHA1, SIG_OPENPGP, SIG_SHA256 = 267, 268, 269, 278, 273
    SIG_MD5, SIG_PGP, SIG_GPG = 1004, 1002, 1005
    NAME, VERSION, RELEASE, EPOCH, BUILD_TIME, ARCH = 1000, 1001, 1002, 1003, 1006, 1022
    SOURCE_RPM, PAYLOAD_FORMAT, PAYLOAD_COMPRESSOR = 1044, 1124, 1125
    PROVIDE_NAME, PROVIDE_FLAGS, PROVIDE_VERSION = 1047, 1112, 1113
    REQUIRE_FLAGS, REQUIRE_NAME, REQUIRE_VERSION = 1048, 1049, 1050
    PAYLOAD_DIGEST, PAYLOAD_DIGEST_ALGORITHM = 5092, 5093


@dataclass(frozen=True, slots=True)
class Dependency:
    """What a package requires or provides. operator: `=`, `>=`, `<` …; empty without a version."""

    name: str
    operator: str = ""
    version: str = ""

    def __str__(self) -> str:
        """`kernel-core (= 4.18.0-80.el8)`, as the index keeps it."""
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name


@dataclass(frozen=True, slots=True)
class RpmHeader:
    """What a package says about itself. build_time: Unix seconds. payload_compressor: `gzip`, `xz`, `zstd` ….

    payload_sha256: of the compressed payload, lower-case hex; empty where the header does not say.
    """

    name: str
    evr: Evr
    arch: str
    source_rpm: str
    build_time: int
    requires: tuple[Dependency, ...]
    provides: tuple[Dependency, ...]
    payload_format: str
    payload_compressor: str
    payload_sha256: str


@dataclass(frozen=True, slots=True)
class RpmFront:
    """The parts before the payload. signed: the header's bytes, which a header signature covers.

    signatures: tag to value of the signature header. payload_offset: where the payload starts in the file.
    """

    header: RpmHeader
    signed: bytes
    signatures: dict[int, Value]
    payload_offset: int


def read_front(source: IO[bytes], archive: str) -> RpmFront:
    """Lead and headers from a stream that stands at a package's start. Raises IntegrityError."""
    lead = _read(source, _LEAD_BYTES, archive)
    if not lead.startswith(_LEAD_MAGIC):
        raise IntegrityError(f"{archive}: this is no RPM package", hint=_HINT)
    signature_bytes = _read_header(source, archive)
    padding = -len(signature_bytes) % 8
    _read(source, padding, archive)
    signed = _read_header(source, archive)
    offset = _LEAD_BYTES + len(signature_bytes) + padding + len(signed)
    tags = parse_header(signed, archive)
    return RpmFront(_header(tags, archive), signed, parse_header(signature_bytes, archive), offset)


def parse_header(raw: bytes, archive: str) -> dict[int, Value]:
    """The tags of one header structure with their values; those of types that nothing here needs are left out.

    Raises IntegrityError.
    """
    try:
        _magic, count, data_bytes = _INTRO.unpack_from(raw)
        data = memoryview(raw)[_INTRO.size + count * _ENTRY.size :]
        if len(data) != data_bytes:
            raise ValueError(f"{len(data)} bytes of data, {data_bytes} were promised")
        entries = (_ENTRY.unpack_from(raw, _INTRO.size + index * _ENTRY.size) for index in range(count))
        return {
            tag: value for tag, kind, at, number in entries if (value := _value(data, kind, at, number)) is not None
        }
    except (struct.error, ValueError) as error:
        raise IntegrityError(f"{archive}: its header is damaged ({error})", hint=_HINT) from error


def _value(data: memoryview, kind: int, at: int, number: int) -> Value | None:
    if at > len(data) or number > len(data):
        raise ValueError(f"an entry at {at} with {number} values")
    if kind in _INTEGERS:
        return struct.unpack_from(f">{number}{_INTEGERS[kind]}", data, at)
    if kind == 7:
        if at + number > len(data):
            raise ValueError(f"{number} bytes at {at}")
        return bytes(data[at : at + number])
    if kind in _TEXTS:
        return _texts(data, at, number)
    return None


def _texts(data: memoryview, at: int, number: int) -> tuple[str, ...]:
    """So many strings, each ended by a zero byte."""
    pieces = bytes(data[at:]).split(b"\0", number)
    if len(pieces) <= number:
        raise ValueError(f"a string at {at} has no end")
    return tuple(piece.decode("utf-8", "surrogateescape") for piece in pieces[:number])


def _header(tags: dict[int, Value], archive: str) -> RpmHeader:
    missing = [name for name in ("NAME", "VERSION", "RELEASE", "ARCH") if not _text(tags, getattr(Tag, name))]
    if missing:
        raise IntegrityError(f"{archive}: its header says no {', '.join(missing).lower()}", hint=_HINT)
    epoch = _number(tags, Tag.EPOCH)
    # PGPHASHALGO_SHA256 is 8; no other was ever used for payloads.
    digest = _text(tags, Tag.PAYLOAD_DIGEST) if _number(tags, Tag.PAYLOAD_DIGEST_ALGORITHM) in (0, 8) else ""
    return RpmHeader(
        name=_text(tags, Tag.NAME),
        evr=Evr(epoch, _text(tags, Tag.VERSION), _text(tags, Tag.RELEASE)),
        arch=_text(tags, Tag.ARCH),
        source_rpm=_text(tags, Tag.SOURCE_RPM),
        build_time=_number(tags, Tag.BUILD_TIME),
        requires=_dependencies(tags, Tag.REQUIRE_NAME, Tag.REQUIRE_FLAGS, Tag.REQUIRE_VERSION),
        provides=_dependencies(tags, Tag.PROVIDE_NAME, Tag.PROVIDE_FLAGS, Tag.PROVIDE_VERSION),
        payload_format=_text(tags, Tag.PAYLOAD_FORMAT) or "cpio",
        payload_compressor=_text(tags, Tag.PAYLOAD_COMPRESSOR) or "gzip",
        payload_sha256=digest.lower(),
    )


def texts(tags: dict[int, Value], tag: int) -> tuple[str, ...]:
    """A tag's strings; empty where it is absent or of another type."""
    value = tags.get(tag, ())
    return tuple(one for one in value if isinstance(one, str))


def _text(tags: dict[int, Value], tag: int) -> str:
    return next(iter(texts(tags, tag)), "")


def _numbers(tags: dict[int, Value], tag: int) -> tuple[int, ...]:
    value = tags.get(tag, ())
    return () if isinstance(value, bytes) else tuple(one for one in value if isinstance(one, int))


def _number(tags: dict[int, Value], tag: int) -> int:
    return next(iter(_numbers(tags, tag)), 0)


def _dependencies(tags: dict[int, Value], name: int, flags: int, version: int) -> tuple[Dependency, ...]:
    names, senses, versions = texts(tags, name), _numbers(tags, flags), texts(tags, version)
    if not len(names) == len(senses) == len(versions):
        return tuple(Dependency(one) for one in names)
    return tuple(
        Dependency(one, operator, of if operator else "")
        for one, sense, of in zip(names, senses, versions, strict=True)
        for operator in [_operator(sense)]
    )


def _operator(sense: int) -> str:
    """RPMSENSE_LESS is 2, RPMSENSE_GREATER 4, RPMSENSE_EQUAL 8 (rpm include/rpm/rpmds.h)."""
    return "".join(sign for bit, sign in ((2, "<"), (4, ">"), (8, "=")) if sense & bit)


def _read_header(source: IO[bytes], archive: str) -> bytes:
    """One header structure as it stands in the file."""
    intro = _read(source, _INTRO.size, archive)
    magic, count, data_bytes = _INTRO.unpack(intro)
    if magic != _HEADER_MAGIC:
        raise IntegrityError(f"{archive}: its header is damaged (no magic)", hint=_HINT)
    if count > _ENTRY_LIMIT or data_bytes > _DATA_LIMIT_BYTES:
        raise IntegrityError(f"{archive}: a header of {count} entries and {data_bytes} bytes", hint=_HINT)
    return intro + _read(source, count * _ENTRY.size + data_bytes, archive)


def _read(source: IO[bytes], size_bytes: int, archive: str) -> bytes:
    content = bytearray()
    while len(content) < size_bytes and (chunk := source.read(min(size_bytes - len(content), 1 << 20))):
        content += chunk
    if len(content) != size_bytes:
        raise IntegrityError(f"{archive}: the package is cut short", hint=_HINT)
    return bytes(content)
