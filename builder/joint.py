"""Many compile probes as one C file: the kernel's headers, which are nearly all of a probe's cost, are parsed once.

What compiles together without any error compiles alone as well, and what fails with an error of its own fails alone as
well, as long as no probe means anything to another one. So only probes that declare nothing but names of their own are
joined (parse_probe), each under a name that no other has; and only errors that cannot follow from another probe's are
believed (read_errors). Everything else is compiled alone: builder/probes.py.

The headers of the joint file are those of all its probes together. So a probe that forgot a header which another one
includes counts as there although alone it would fail. Nothing here sees that; where it matters the build does, whose
sources have headers of their own: it fails to compile, or a call of what is not declared stops it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_FOLDER = "kd_probe"
"""Errors name a probe as kd_probe/<stem>.c, whatever the joint file is called."""
_INCLUDES = f"{_FOLDER}/includes"
_INCLUDE = re.compile(r"[ \t]*#[ \t]*include[ \t]*<([^>]+)>[ \t]*")
_DIRECTIVE = re.compile(r"[ \t]*#[ \t]*(\w*)")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
_OWN = re.compile(r"\bkd_probe(?=\b|_)")
_OPENING = ("if", "ifdef", "ifndef")
_HARMLESS = (*_OPENING, "elif", "else", "endif", "error")
_ERROR = re.compile(r"^(?P<file>[^\s:][^:]*):(?:\d+:){1,2} (?:fatal )?error: (?P<text>.*)$")
_ANY_ERROR = re.compile(r"\berror: |internal compiler error|^cc1: (?!some|all)|Segmentation fault|Killed")
_FOLLOWS = re.compile(r"^control reaches end of non-void function")
_MISSING = re.compile(r"(?P<header>\S+): No such file or directory")
_SURE = re.compile(
    r"has no member named|\bundeclared \(first use in this function\)|\bundeclared here \(not in a function\)"
    r"|macro \S+ (?:passed|requires) \d+ arguments, but |^size of array .* is negative|^subscripted value is "
    r"|^cannot take address of bit-field|^too (?:few|many) arguments to |^implicit declaration of function"
    r"|incompatible (?:pointer )?types?\b|makes (?:integer|pointer) from |^invalid use of undefined type"
    r"|^dereferencing pointer to incomplete type|^#error "
)
"""Errors of meaning. An error of syntax can swallow what follows it, so those and all others are not believed."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A compile probe. includes: its headers, in order. body: the rest, line by line. joinable: whether it may stand in
    one file with others."""

    stem: str
    includes: tuple[str, ...]
    body: str
    joinable: bool


@dataclass(frozen=True, slots=True)
class Errors:
    """What a compiler said of a joint file. sure: probes that fail alone, too. doubtful: probes with other errors.
    stray: whether there was an error that belongs to no probe, so that nothing is to be believed."""

    sure: frozenset[str]
    doubtful: frozenset[str]
    stray: bool


def parse_probe(stem: str, text: str) -> Probe:
    """Read a probe. It can be joined when its headers stand first and without conditions, when it changes no macro, and
    when everything that it declares is called kd_probe, or kd_probe_ and more."""
    includes: list[str] = []
    lines: list[str] = []
    code_seen = depth = 0
    joinable = True
    bare = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text).splitlines()
    for line, kept in zip(bare, text.splitlines(), strict=True):
        include = _INCLUDE.fullmatch(line)
        directive = _DIRECTIVE.match(line)
        if include:
            joinable = joinable and not code_seen
            includes.append(include[1])
            lines.append("")
            continue
        lines.append(kept)
        code_seen += bool(line.strip())
        if directive:
            joinable = joinable and directive[1] in _HARMLESS
            depth += (directive[1] in _OPENING) - (directive[1] == "endif")
    code = "\n".join(line for line in bare if not _DIRECTIVE.match(line))
    joinable = joinable and depth == 0 and _only_own_names(code)
    return Probe(stem, tuple(includes), "\n".join(lines), joinable)


def joint_source(probes: Sequence[Probe]) -> str:
    """One C file of all the probes, their headers first."""
    lines = [f'#line 1 "{_INCLUDES}"']
    lines += [f"#include <{name}>" for name in dict.fromkeys(name for probe in probes for name in probe.includes)]
    for number, probe in enumerate(probes):
        lines += [f'#line 1 "{_FOLDER}/{probe.stem}.c"', _OWN.sub(f"kd_probe_{number}", probe.body)]
    return "\n".join([*lines, ""])


def read_errors(printed: str, probes: Iterable[Probe]) -> Errors:
    """Whose the errors of a joint file are. A header that does not exist is an error of each probe that includes it;
    there the compiler stops, so it has said nothing of the others yet."""
    left = {probe.stem: probe for probe in probes}
    sure: set[str] = set()
    doubtful: set[str] = set()
    follows: set[str] = set()
    stray = False
    for line in printed.splitlines():
        found = _ERROR.match(line)
        if not found:
            stray = stray or bool(_ANY_ERROR.search(line))
            continue
        missing = _MISSING.match(found["text"])
        stem = found["file"].removeprefix(f"{_FOLDER}/").removesuffix(".c")
        if found["file"] == _INCLUDES and missing:
            sure |= {probe.stem for probe in left.values() if missing["header"] in probe.includes}
        elif stem in left and found["file"] == f"{_FOLDER}/{stem}.c":
            text = found["text"]
            (sure if _SURE.search(text) else follows if _FOLLOWS.match(text) else doubtful).add(stem)
        else:
            stray = True
    doubtful |= follows - sure
    return Errors(frozenset(sure - doubtful), frozenset(doubtful), stray)


def _only_own_names(code: str) -> bool:
    """Whether each declaration at file scope names kd_probe; an enum's members would be names of their own."""
    outside: list[str] = []
    depth = 0
    for character in code:
        depth -= character == "}"
        if depth == 0:
            outside.append(";" if character == "}" else character if character != "{" else " ")
        depth += character == "{"
        if depth < 0:
            return False
    declarations = [part for part in "".join(outside).split(";") if part.strip()]
    return depth == 0 and all(_OWN.search(part) and not re.search(r"\benum\b", part) for part in declarations)
