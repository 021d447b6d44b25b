"""Which driver kinds can work on a kernel, as its distribution's row says."""

from __future__ import annotations

from kdriver.core.artifact import DriverKind
from kdriver.core.kernel import Kernel
from kdriver.packages.rpmversions import compare_segments
from kdriver.packages.versions import compare
from kernel_index.releases import Grammar, parse_release
from kernel_index.table import DistroRow


def reason_against(kernel: Kernel, kind: DriverKind, row: DistroRow) -> str:
    """Why a driver of that kind cannot work on the kernel; empty where the row knows nothing against it."""
    if kind not in row.kinds:
        return f"{kind} drivers cannot work on kernels of {row.title}"
    first = dict(row.kinds_from).get(kind, "")
    if first and is_older(kernel.release, first):
        return f"on {row.title} {kind} drivers can work from {first} on"
    return ""


def is_older(release: str, first: str) -> bool:
    """By rpm's order of version and build, where whatever a name has besides (`rt`, an architecture) does not count;
    names of Debian and Ubuntu by dpkg's order."""
    try:
        one, other = parse_release(release, Grammar.RPM), parse_release(first, Grammar.RPM)
    except ValueError:
        return compare(release, first) < 0
    return (compare_segments(one.version, other.version) or compare_segments(one.number, other.number)) < 0
