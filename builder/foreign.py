"""Other people's drivers: a driver.toml with a table for each kind says how it is built, which file comes out, and how
a guest checks it. A folder that kbuild builds as it stands needs none.

    name, version       of the driver; the module is called so
    verify = [words]    run in the guest once the driver is loaded (an eBPF object: to load it); status 0 is passed
    modules = [names]   of the kernel's own, which the guest inserts first
    [kmod] folder, make, commands, file, verify        by kbuild in `folder`, with further words for make
    [bpf]  source, clang, commands, file, verify       against a kernel's headers, with further arguments for clang
    [core] source, clang, commands, file, verify       once for all kernels
    [check] commands, files                            what the guest gets in /check: static programs, built here

`commands` (lists of words) stands in place of kbuild and clang. Words may hold the placeholders of PLACEHOLDERS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdriver.core.artifact import DriverKind

PLACEHOLDERS = ("name", "version", "release", "source", "headers", "headers_source", "cc", "clang", "llc", "llvm_strip")
"""release: `uname -r` of the kernel. source: the driver's folder, a copy. headers, headers_source: the kernel's build
folder and the one with its include files. cc: the gcc that was chosen for the kernel. The others are programs."""
GUEST_PLACEHOLDERS = ("name", "version", "kind", "driver")
"""What words of `verify` may hold. driver: the path of the file in the guest."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,54}")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_OBJ_M = re.compile(r"^\s*obj-(m|\$\(\w+\))\s*[:+]?=", re.M)
_DKMS_VERSION = re.compile(r'^PACKAGE_VERSION="?([^"\s]+)"?', re.M)
_KIND_KEYS = {
    DriverKind.KMOD: {"folder", "make", "commands", "file", "verify"},
    DriverKind.BPF: {"source", "clang", "commands", "file", "verify"},
    DriverKind.CORE: {"source", "clang", "commands", "file", "verify"},
}


@dataclass(frozen=True, slots=True)
class Part:
    """How one kind is built. commands: in place of kbuild and clang. folder: of the Kbuild file. source: of the eBPF
    program. words: further ones for make or clang. file: what comes out. verify: empty without a check."""

    kind: DriverKind
    file: str
    folder: str = "."
    source: str = ""
    words: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    verify: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignDriver:
    """A driver of another project. check_commands make check_files, which the guest gets in /check."""

    name: str
    version: str
    parts: tuple[Part, ...]
    modules: tuple[str, ...] = ()
    check_commands: tuple[tuple[str, ...], ...] = ()
    check_files: tuple[str, ...] = field(default=())

    def part(self, kind: DriverKind) -> Part | None:
        """How a kind is built; None where the driver has none of that kind."""
        return next((part for part in self.parts if part.kind is kind), None)

    @property
    def module_name(self) -> str:
        """The name that the kernel gives the module."""
        return self.name.replace("-", "_")


def is_foreign(settings: Mapping[str, Any]) -> bool:
    """Whether a driver.toml describes a driver that is not in the shape of driver_src."""
    return any(isinstance(settings.get(str(kind)), dict) for kind in DriverKind)


def read_foreign(settings: Mapping[str, Any], problems: list[str]) -> ForeignDriver:
    """The driver that a driver.toml describes; what is wrong with it is added to `problems`."""
    known = {"name", "version", "kinds", "verify", "modules", "check", *(str(kind) for kind in DriverKind)}
    problems += [f"{key}: no such key" for key in settings if key not in known]
    name, version = settings.get("name"), settings.get("version")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problems.append("name must be a module's name: a letter, then letters, digits, _ and -")
    if not isinstance(version, str) or not version.strip():
        problems.append("version must be a text such as 1.0.0")
    verify = _words(settings, "verify", problems, GUEST_PLACEHOLDERS)
    parts = tuple(
        _part(kind, settings[str(kind)], str(name), verify, problems)
        for kind in DriverKind
        if isinstance(settings.get(str(kind)), dict)
    )
    if "kinds" in settings and settings["kinds"] != [str(part.kind) for part in parts]:
        problems.append(f"kinds must be {[str(part.kind) for part in parts]}, as the tables are, or left out")
    check = settings.get("check", {})
    if not isinstance(check, dict):
        problems.append("check must be a table")
        check = {}
    problems += [f"check.{key}: no such key" for key in check if key not in ("commands", "files")]
    files = _words(check, "files", problems, ())
    problems += [f"check.files: {file!r} is no path within the folder" for file in files if not _is_inside(file)]
    return ForeignDriver(
        str(name),
        str(version),
        parts,
        _words(settings, "modules", problems, ()),
        _commands(check, "check.", problems),
        files,
    )


def is_plain_kbuild(folder: Path) -> bool:
    """Whether kbuild builds the folder as it stands: its Kbuild or Makefile says `obj-m`."""
    files = [folder / name for name in ("Kbuild", "Makefile") if (folder / name).is_file()]
    return any(_OBJ_M.search(file.read_text(errors="replace")) for file in files)


def plain_kbuild(folder: Path, name: str, problems: list[str]) -> ForeignDriver:
    """The driver in a folder that is_plain_kbuild. Its version is what its dkms.conf says, else 0."""
    if not _NAME.fullmatch(name):
        problems.append(f"name {name!r} must be a module's name: a letter, then letters, digits, _ and -")
    dkms = folder / "dkms.conf"
    said = _DKMS_VERSION.search(dkms.read_text(errors="replace")) if dkms.is_file() else None
    return ForeignDriver(name, said[1] if said else "0", (Part(DriverKind.KMOD, f"{name}.ko"),))


def expand(words: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    """Words with each {placeholder} replaced; other braces stay."""
    return tuple(_PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), word) for word in words)


def _part(kind: DriverKind, table: Mapping[str, Any], name: str, verify: tuple[str, ...], problems: list[str]) -> Part:
    at = f"{kind}."
    problems += [f"{at}{key}: no such key" for key in table if key not in _KIND_KEYS[kind]]
    texts = {}
    for key, default in (("folder", "."), ("source", ""), ("file", "")):
        texts[key] = table.get(key, default)
        if not isinstance(texts[key], str) or not _is_inside(texts[key]):
            problems.append(f"{at}{key} must be a path within the folder")
            texts[key] = default
    commands = _commands(table, at, problems)
    steps = "make" if kind is DriverKind.KMOD else "clang"
    words = _words(table, steps, problems, PLACEHOLDERS, at)
    if commands and (words or texts["source"]):
        problems.append(f"{kind}: commands stand in place of {steps}, not beside it")
    if kind is not DriverKind.KMOD and not commands and not texts["source"]:
        problems.append(f"{at}source must name the C file, or {at}commands how it is built")
    if not texts["file"]:
        module = kind is DriverKind.KMOD
        made = Path(texts["folder"], f"{name}.ko") if module else Path(texts["source"] or name).with_suffix(".o")
        texts["file"] = made.as_posix()
        if commands:
            problems.append(f"{at}file must name what the commands make")
    own = _words(table, "verify", problems, GUEST_PLACEHOLDERS, at) if "verify" in table else verify
    return Part(kind, texts["file"], texts["folder"], texts["source"], words, commands, own)


def _commands(table: Mapping[str, Any], at: str, problems: list[str]) -> tuple[tuple[str, ...], ...]:
    rows = table.get("commands", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) and row for row in rows):
        problems.append(f"{at}commands must be a list of commands, each a list of words")
        return ()
    return tuple(_words({"command": row}, "command", problems, PLACEHOLDERS, at) for row in rows)


def _words(
    table: Mapping[str, Any], key: str, problems: list[str], placeholders: tuple[str, ...], at: str = ""
) -> tuple[str, ...]:
    words = table.get(key, [])
    if not isinstance(words, list) or not all(isinstance(word, str) and "\n" not in word for word in words):
        problems.append(f"{at}{key} must be a list of texts of one line each")
        return ()
    unknown = sorted({name for word in words for name in _PLACEHOLDER.findall(word)} - set(placeholders))
    for name in unknown if placeholders else ():
        problems.append(f"{at}{key}: {{{name}}} is none of {', '.join(placeholders)}")
    return tuple(words)


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in Path(path).parts
