"""The compiler and C library of a kernel: from what its packages require, else from compilers.toml."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from kdriver.packages.rpmversions import compare_segments
from kernel_index.releases import Release
from kernel_index.rpm.primary import parse_dependencies
from kernel_index.suites import BinaryPackage

_TABLE = Path(__file__).with_name("compilers.toml")
_TOOLSET = re.compile(r"^(?:gcc-toolset|devtoolset)-(?P<version>\d+)-gcc$")
_GLIBC = re.compile(r"^libc\.so\.6\(GLIBC_(?P<version>\d+\.\d+)\)")


def compiler_of(release: Release, headers: BinaryPackage | None) -> str:
    """`gcc-4.8.5`, `gcc-13`; empty where nothing says. headers: the kernel-devel package."""
    for one in parse_dependencies(headers.depends) if headers is not None else ():
        toolset = _TOOLSET.match(one.name)
        if toolset:
            return f"gcc-{toolset['version']}"
        if one.name == "gcc" and one.operator == "=":
            return f"gcc-{one.version.partition('-')[0].rpartition(':')[2]}"
    _, compilers = _known(release)
    found = ""
    for first, compiler in compilers:
        version, _, number = first.partition("-")
        # A kernel of another version is not the distribution's own: nothing is known of it.
        if version == release.version and compare_segments(number, release.number) <= 0:
            found = compiler
    return found


def libc_of(release: Release, headers: BinaryPackage | None) -> str:
    """The least glibc that the headers' host tools need, `2.28`; empty where nothing says."""
    required = [
        match["version"]
        for one in (parse_dependencies(headers.depends) if headers is not None else ())
        if (match := _GLIBC.match(one.name))
    ]
    if required:
        return max(required, key=lambda version: tuple(int(part) for part in version.split(".")))
    return _known(release)[0]


def _known(release: Release) -> tuple[str, Sequence[tuple[str, str]]]:
    """(C library, (first release, compiler)…) of the kernel's enterprise release."""
    enterprise = release.enterprise
    return _table().get(f"el{enterprise[0]}" if enterprise else "", ("", ()))


@functools.cache
def _table() -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    document = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {
        name: (row["libc"], tuple((first, compiler) for first, compiler in row["gcc"]))
        for name, row in document.items()
    }
