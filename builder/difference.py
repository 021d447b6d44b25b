"""Where two files that should be the same differ: by section for ELF files, else by the first byte."""

from __future__ import annotations

import io
import struct

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

_MOST_TEXTS = 2
_MOST_CHARACTERS = 60


def compare_files(one: bytes, other: bytes) -> tuple[str, ...]:
    """One line for each section that differs; empty for equal files."""
    if one == other:
        return ()
    try:
        first, second = _sections(one), _sections(other)
    except (ELFError, struct.error, ValueError):
        return (_where("the file", one, other),)
    lines = [f"{name} is only in the first" for name in first if name not in second]
    lines += [f"{name} is only in the second" for name in second if name not in first]
    lines += [
        _where(name, content, second[name]) + _texts(content, second[name])
        for name, content in first.items()
        if name in second and content != second[name]
    ]
    return tuple(lines) or (_where("the ELF headers", one, other),)


def _sections(content: bytes) -> dict[str, bytes]:
    """Sections by name; of several with one name (`.text` of COMDAT groups) each has its number."""
    found: dict[str, bytes] = {}
    for number, section in enumerate(ELFFile(io.BytesIO(content)).iter_sections()):
        if section["sh_type"] not in ("SHT_NOBITS", "SHT_NULL"):
            found[f"{section.name}#{number}" if section.name in found else section.name] = section.data()
    return found


def _where(name: str, one: bytes, other: bytes) -> str:
    place = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    sizes = f"{len(one)} bytes" if len(one) == len(other) else f"{len(one)} and {len(other)} bytes"
    return f"{name}: {sizes}, differs from byte {place:#x} on"


def _texts(one: bytes, other: bytes) -> str:
    """Texts that only one of the two has, which mostly tell the cause: a path, a host name, a date."""
    first, second = _strings(one), _strings(other)
    pairs = zip(
        [text for text in first if text not in second], [text for text in second if text not in first], strict=False
    )
    shown = [f"{a[:_MOST_CHARACTERS]!r} and {b[:_MOST_CHARACTERS]!r}" for a, b in list(pairs)[:_MOST_TEXTS]]
    return f" ({'; '.join(shown)})" if shown else ""


def _strings(content: bytes) -> dict[str, None]:
    parts = (part.decode("ascii", "replace") for part in content.split(b"\0") if len(part) > 3)
    return dict.fromkeys(part for part in parts if part.isprintable() and "\ufffd" not in part)
