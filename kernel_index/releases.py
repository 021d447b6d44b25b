"""`uname -r` taken apart: one grammar and one order for each way that distributions name their kernels.

Each grammar takes every real name (tests/fixtures/kernels.json.gz) and gives it back letter for letter; a name that is
cut short or is no `uname -r` at all (`4.18.0-348.2.1.el8_5.x86`, `7.6.1810`) raises ValueError.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kdriver.packages.rpmversions import compare_segments
from kdriver.packages.versions import version_key

LIMIT_CHARS = 64
"""The kernel itself holds a `uname -r` of at most 64 characters (__NEW_UTS_LEN, include/uapi/linux/utsname.h)."""


class Grammar(StrEnum):
    """How a name is built."""

    DEBIAN = "debian"
    UBUNTU = "ubuntu"
    RPM = "rpm"


@dataclass(frozen=True, slots=True)
class Release:
    """The parts of a `uname -r`.

    version: the kernel's own (`6.1.0`, Debian also `6.12.107+deb12`). number: what counts builds of it: Debian's and
    Ubuntu's ABI (`56`, `0.deb10.24`, `rc8`, empty from Debian's 6.6 on), an RPM's release with its tag
    (`1160.76.1.el7`). flavour: Debian `cloud-amd64`, Ubuntu `generic-64k`; RPM `rt`, `debug`, `64k`, `plus`, empty for
    the ordinary one. arch: as `uname -m`, empty where the name does not tell (Ubuntu). variant: how an RPM's name
    ends after the architecture (`+rt`, `.debug`). The flavour of an RPM is read from its other parts.
    """

    grammar: Grammar
    version: str
    number: str
    flavour: str
    arch: str
    variant: str = ""

    @property
    def text(self) -> str:
        """The `uname -r` that was parsed."""
        if self.grammar is Grammar.RPM:
            return f"{self.version}-{self.number}.{self.arch}{self.variant}"
        return "-".join(part for part in (self.version, self.number, self.flavour) if part)

    @property
    def line(self) -> str:
        """The kernel's series: `6.12`."""
        return ".".join(re.split(r"[^0-9]", self.version)[:2])

    @property
    def tag(self) -> str:
        """The distribution's mark in an RPM's release: `el8_5`, `amzn2`, `fc39`; empty where there is none."""
        found = _TAG.search(self.number) if self.grammar is Grammar.RPM else None
        return found[1] if found else ""

    @property
    def enterprise(self) -> tuple[int, int | None] | None:
        """(major, minor) that the tag names: `el8_5` is (8, 5), `el7` is (7, None); None for any other tag."""
        found = _ENTERPRISE.match(self.tag)
        if found is None:
            return None
        return int(found[1]), int(found[2]) if found[2] else None


_DEBIAN = re.compile(
    r"(?P<version>\d+\.\d+(?:\.\d+)*(?:~rc\d+)?(?:\+[a-z][a-z0-9.]*)?)"
    r"(?:-(?P<number>(?!(?:4|5|6)86(?:-|$))(?:0\.[a-z]+\d*\.)?\d+|trunk|rc\d+|rpi\d+))?"
    r"-(?P<flavour>(?!common(?:-|$))[a-z0-9]+(?:-[a-z0-9]+)*)"
)
_UBUNTU = re.compile(r"(?P<version>\d+\.\d+\.\d+)-(?P<number>\d+)-(?P<flavour>[a-z][a-z0-9]*(?:-[a-z0-9]+)*)")
_RPM = re.compile(
    r"(?P<version>\d+(?:\.\d+)+)-(?P<number>[0-9][A-Za-z0-9_~^]*(?:\.[A-Za-z0-9_~^]+)*)"
    r"\.(?P<arch>x86_64|aarch64|ppc64le|ppc64|s390x|s390|riscv64|i[3-6]86|armv7hl|ia64)"
    r"(?P<variant>(?:\+[a-z0-9]+(?:-[a-z0-9]+)*|\.debug)?)"
)
_TAG = re.compile(r"(?:^|\.)((?:el|fc|amzn|es|ph|azl|cm)\d+(?:_\d+)?)(?![0-9])")
_ENTERPRISE = re.compile(r"el(\d+)(?:_(\d+))?$")
_RPM_FLAVOURS = (
    (re.compile(r"\.rt\d+\."), "rt"),
    (re.compile(r"\.centos\.plus$"), "plus"),
    (re.compile(r"\.elrepo$"), "elrepo"),
    (re.compile(r"(?<=\d)uek$"), "uek"),
    (re.compile(r"\.lve(?:\.|$)"), "lve"),
)

DEBIAN_ARCHES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "686": "i686",
    "686-pae": "i686",
    "586": "i586",
    "486": "i486",
    "armmp": "armv7l",
    "armmp-lpae": "armv7l",
    "marvell": "armv5tel",
    "rpi": "armv6l",
    "powerpc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "loong64": "loongarch64",
    "4kc-malta": "mips",
    "5kc-malta": "mips64",
    "mips64r2el": "mips64",
    "octeon": "mips64",
    "loongson-3": "mips64",
}
"""How the flavours of Debian's kernels end, to the `uname -m` of the machine that runs them."""

_DEBIAN_ENDING = re.compile(
    r"(?:^|-)(?:(?P<ending>"
    + "|".join(map(re.escape, sorted(DEBIAN_ARCHES, key=len, reverse=True)))
    + r")(?:-16k|-64k)?"
    r"|(?P<rpi>rpi-(?:v[678]l?|2712)))$"
)


def parse_release(text: str, grammar: Grammar | None = None) -> Release:
    """The parts of a `uname -r`. grammar: the one it is known to follow; without it the name itself decides: an RPM's
    ends in its architecture, Debian's in Debian's word for one, and what is left has Ubuntu's form.

    Raises ValueError that says what is wrong with the name.
    """
    if len(text) > LIMIT_CHARS:
        raise ValueError(f"{text[:LIMIT_CHARS]!r}… has {len(text)} characters, a `uname -r` has at most {LIMIT_CHARS}")
    for one in (grammar,) if grammar is not None else tuple(Grammar):
        found = _PARSERS[one](text)
        if found is not None:
            return found
    what = f"of {grammar}'s form" if grammar is not None else "of Debian's, Ubuntu's or an RPM's form"
    raise ValueError(f"{text!r} is no `uname -r` {what}{_why(text)}")


def release_key(release: Release) -> tuple[Any, ...]:
    """The sort key of releases of one grammar: dpkg's order for .deb, rpm's for .rpm; total: equal only for equal
    names. Debian's `rcN` and `trunk` come before any numbered ABI of their version."""
    if release.grammar is Grammar.RPM:
        numbers = _segments_key(release.version), _segments_key(release.number)
        return (*numbers, release.arch, release.variant, release.text)
    number = f"~{release.number}" if release.number[:2] in ("rc", "tr") else release.number
    return (version_key(release.version), version_key(number or "0"), release.flavour, release.text)


_segments_key = functools.cmp_to_key(compare_segments)


def build_of_version(uname_v: str) -> str:
    """What tells builds of one `uname -r` apart, from `uname -v`; suffixes such as `~bpo12+1` are kept.

    Debian: the package version; Ubuntu: the upload; else the number after `#`; empty where there is none.
    """
    for pattern in (DEBIAN_BUILD, UBUNTU_BUILD, _NUMBER_BUILD):
        found = pattern.search(uname_v)
        if found:
            return found[1]
    return ""


DEBIAN_BUILD = re.compile(r"\bDebian ([0-9][^\s)]*)")
UBUNTU_BUILD = re.compile(r"^#(\S+?)-Ubuntu\b")
_NUMBER_BUILD = re.compile(r"^#(\d+)")


def _debian(text: str) -> Release | None:
    match = _DEBIAN.fullmatch(text)
    ending = _DEBIAN_ENDING.search(match["flavour"]) if match else None
    if match is None or ending is None:
        return None
    if ending["rpi"]:
        arch = "aarch64" if ending["rpi"] in ("rpi-v8", "rpi-2712") else "armv7l"
    else:
        arch = DEBIAN_ARCHES[ending["ending"]]
    return Release(Grammar.DEBIAN, match["version"], match["number"] or "", match["flavour"], arch)


def _ubuntu(text: str) -> Release | None:
    match = _UBUNTU.fullmatch(text)
    return Release(Grammar.UBUNTU, match["version"], match["number"], match["flavour"], "") if match else None


def _rpm(text: str) -> Release | None:
    match = _RPM.fullmatch(text)
    if match is None:
        return None
    named = [name for pattern, name in _RPM_FLAVOURS if pattern.search(match["number"])]
    variant = match["variant"].lstrip("+.")
    flavour = "-".join(dict.fromkeys([*named, *([variant] if variant else [])]))
    return Release(Grammar.RPM, match["version"], match["number"], flavour, match["arch"], match["variant"])


_PARSERS = {Grammar.DEBIAN: _debian, Grammar.UBUNTU: _ubuntu, Grammar.RPM: _rpm}


def _why(text: str) -> str:
    """The likely fault, in words."""
    if re.search(r"\.(?:el|fc|amzn)\d+(?:_\d+)?[^-]*\.(?:x86|aarch|ppc|s390?|i)$", text):
        return ": its architecture is cut short"
    if re.search(r"\.(?:el|fc|amzn)\d+(?:_\d+)?$", text):
        return ": it has no architecture at its end"
    if re.fullmatch(r"\d+(?:\.\d+)+", text):
        return ": it is a version only"
    return ""
