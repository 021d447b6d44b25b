"""Which row of the table a kernel's package was built for, where no repository says it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kernel_index.package_names import KernelPart
from kernel_index.table import DistroRow

_TOLD = {"debian": re.compile(r"(?:deb|bpo)(\d+)"), "ubuntu": re.compile(r"[~+](\d\d\.\d\d)")}
_ENTERPRISE = re.compile(r"\.el(\d+)")
_LINES = {
    "debian": {"3.16": "8", "4.9": "9", "4.19": "10", "5.10": "11", "6.1": "12", "6.12": "13"},
    "ubuntu": {
        "4.4": "16.04",
        "4.8": "16.10",
        "4.10": "17.04",
        "4.13": "17.10",
        "4.15": "18.04",
        "4.18": "18.10",
        "5.0": "19.04",
        "5.3": "19.10",
        "5.4": "20.04",
        "5.8": "20.10",
        "5.11": "21.04",
        "5.13": "21.10",
        "5.15": "22.04",
        "5.19": "22.10",
        "6.2": "23.04",
        "6.5": "23.10",
        "6.8": "24.04",
        "6.11": "24.10",
        "6.14": "25.04",
        "6.17": "25.10",
    },
}
"""The kernel that a release came with, for packages whose version does not name the release that it was built for."""
_LONG_TERM = (("4.4", "16.04"), ("4.15", "18.04"), ("5.4", "20.04"), ("5.15", "22.04"), ("6.8", "24.04"))
_BACKPORT = re.compile(r"linux-[a-z0-9-]+-\d+\.\d+-headers-|linux-headers-[0-9.-]+-oem$")
"""Ubuntu names the source after the kernel's line where it is not that of the release (`linux-oem-5.10`)."""


def row_of_part(
    rows: Sequence[DistroRow], family: str, part: KernelPart, names: Sequence[str] = ()
) -> DistroRow | None:
    """The row that a package was built for: what its version says (`~deb12u1`, `~bpo11+1`, `~18.04.1`, `.el8_5`), else
    the release that came with its kernel; None where the table has no such row.

    names: of all packages of the kernel. Some early cloud kernels (`4.15.0-1041-gcp`, `#43`) were built for 16.04
    without saying so; nothing in their names tells.
    """
    of_family = [row for row in rows if row.family == family]
    version = built_for(family, part, names)
    if not version:
        return None
    exact = next((row for row in of_family if version in (row.version, row.codename)), None)
    if exact is not None or family in _TOLD:
        return exact
    return next((row for row in of_family if row.version.partition(".")[0] == version), None)


def built_for(family: str, part: KernelPart, names: Sequence[str] = ()) -> str:
    """The distribution's version that a package was built for; empty where nothing tells it."""
    found = _TOLD.get(family, _ENTERPRISE).findall(f"{part.release} {part.package_version}")
    if found:
        return str(found[-1])
    line = ".".join(part.abi.split("-")[0].split("+")[0].split(".")[:2])
    if family == "ubuntu" and any(map(_BACKPORT.match, names)):
        return _long_term(line)
    return _LINES.get(family, {}).get(line, "sid" if family == "debian" else "")


def _long_term(line: str) -> str:
    """The long-term release that a newer kernel was made for: the last that came with an older one."""
    number = _number(line)
    return next((version for own, version in reversed(_LONG_TERM) if _number(own) <= number), "")


def _number(line: str) -> tuple[int, ...]:
    return tuple(int(part) for part in line.split(".") if part.isdigit())
