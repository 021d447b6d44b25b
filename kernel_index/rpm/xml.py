"""XML from strangers, in pieces and within bounded memory: no document type, so no entity is ever expanded."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import IO
from xml.parsers import expat

from kdriver.core.errors import IntegrityError

_CHUNK_BYTES = 1 << 16
_PROLOG_LIMIT_BYTES = 1 << 16
ELEMENT_LIMIT_BYTES = 64 << 20
"""The most that one element of interest may be; a kernel of el7, which lists its 10,000 symbols, has 1 MB."""

_HINT = "Use another mirror."
_MALFORMED = (ET.ParseError, expat.ExpatError, LookupError, ValueError)
"""LookupError and ValueError: of an encoding that the text claims and Python lacks, or cannot give to expat."""


class _Budget:
    """How much may still be read: in all, and until the next element of interest ends."""

    def __init__(self, limit_bytes: int, subject: str) -> None:
        self._left = limit_bytes
        self._subject = subject
        self._since = 0

    def spend(self, size_bytes: int) -> None:
        self._left -= size_bytes
        self._since += size_bytes
        if self._left < 0 or self._since > ELEMENT_LIMIT_BYTES:
            raise IntegrityError(f"{self._subject}: longer than such a list can be", hint=_HINT)

    def element_ended(self) -> None:
        self._since = 0


def elements(stream: IO[bytes], tag: str, *, subject: str, limit_bytes: int) -> Iterator[ET.Element]:
    """The elements of that name (`{namespace}name`) below the root; each is emptied when the next is asked for.

    limit_bytes: of the plain text in all. subject: how messages call it.
    Raises IntegrityError for text that is malformed, too long, or has a document type.
    """
    parser: ET.XMLPullParser[ET.Element] = ET.XMLPullParser(("start", "end"))
    budget = _Budget(limit_bytes, subject)
    root: ET.Element | None = None
    try:
        for chunk in _without_doctype(stream, subject):
            budget.spend(len(chunk))
            parser.feed(chunk)
            for event in parser.read_events():
                kind, element = event[0], event[-1]
                assert isinstance(element, ET.Element)
                if root is None:
                    root = element
                elif kind == "end" and element.tag == tag:
                    yield element
                    root.clear()
                    budget.element_ended()
        parser.close()
    except _MALFORMED as error:
        raise IntegrityError(f"{subject}: it is no XML ({error})", hint=_HINT) from error


def whole(text: bytes, *, subject: str) -> ET.Element:
    """The root of a small document. Raises as `elements`."""
    _check_prolog(text[:_PROLOG_LIMIT_BYTES], subject)
    try:
        return ET.fromstring(text)
    except _MALFORMED as error:
        raise IntegrityError(f"{subject}: it is no XML ({error})", hint=_HINT) from error


def _without_doctype(stream: IO[bytes], subject: str) -> Iterator[bytes]:
    head = b""
    while len(head) < _PROLOG_LIMIT_BYTES and (chunk := stream.read(_PROLOG_LIMIT_BYTES - len(head))):
        head += chunk
    _check_prolog(head, subject)
    yield head
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def _check_prolog(head: bytes, subject: str) -> None:
    """A document type can stand only before the root element, so it is looked for there, by the same parser."""
    found: list[str] = []
    prolog = expat.ParserCreate()
    prolog.StartDoctypeDeclHandler = lambda *_: found.append("doctype")
    prolog.StartElementHandler = lambda *_: found.append("element")
    try:
        prolog.Parse(head, False)
    except _MALFORMED as error:
        if not found:
            raise IntegrityError(f"{subject}: it is no XML ({error})", hint=_HINT) from error
    if not found or found[0] == "doctype":
        said = "it declares a document type" if found else "no element in its first 64 kB"
        raise IntegrityError(f"{subject}: {said}, which no repository's metadata has", hint=_HINT)
