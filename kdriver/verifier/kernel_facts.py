"""What a kernel's own file says, read once when the kernel is unpacked, so that drivers can be judged before a boot.

The symbols that it exports with their CRCs, its vermagic, its type information."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.errors import IntegrityError
from kdriver.inspect.elf import read_section
from kdriver.inspect.exports import read_exports

_FACTS = "facts.json"
_BTF = "kernel.btf"
_VERMAGIC = re.compile(rb"[\w.+~-]+ (?:SMP )?[a-z_ ]*mod_unload [ -~]*(?=\0)")
_LONGEST = 256
"""Bytes before `mod_unload` that can belong to it."""


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """exports: symbol to CRC (0: it has none), empty where they cannot be read. has_crcs: CONFIG_MODVERSIONS. vermagic:
    empty where it is not found. btf: a file, None where the kernel has no type information."""

    exports: dict[str, int]
    has_crcs: bool
    vermagic: str
    btf: Path | None


NO_FACTS = KernelFacts({}, False, "", None)
"""Of a kernel that could not be unpacked."""


def write_facts(vmlinux: Path | None, into: Path) -> None:
    """Note the facts of an uncompressed kernel in a folder; None: one that could not be unpacked, of which nothing is
    known."""
    facts: dict[str, object] = {"exports": {}, "has_crcs": False, "vermagic": ""}
    if vmlinux is not None:
        exports = read_exports(vmlinux)
        facts = {
            "exports": exports.crcs,
            "has_crcs": exports.has_crcs,
            "vermagic": _vermagic(vmlinux.read_bytes()),
        }
        try:
            btf = read_section(vmlinux, ".BTF")
        except IntegrityError:
            btf = b""
        if btf:
            (into / _BTF).write_bytes(btf)
    (into / _FACTS).write_text(json.dumps(facts))


def _vermagic(kernel: bytes) -> str:
    """The first string of that form; empty without. Looked for from the word in its middle, which is rare: a search for
    the whole form takes most of a second."""
    at = -1
    while (at := kernel.find(b"mod_unload ", at + 1)) >= 0:
        found = _VERMAGIC.search(kernel[max(0, at - _LONGEST) : kernel.find(b"\0", at) + 1])
        if found:
            return found[0].decode("ascii").strip()
    return ""


def has_facts(folder: Path) -> bool:
    """Whether they were noted there."""
    return (folder / _FACTS).is_file()


def read_facts(folder: Path) -> KernelFacts:
    """What write_facts noted."""
    facts = json.loads((folder / _FACTS).read_text())
    btf = folder / _BTF
    return KernelFacts(facts["exports"], facts["has_crcs"], facts["vermagic"], btf if btf.is_file() else None)
