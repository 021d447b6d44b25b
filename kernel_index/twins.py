"""Rebuild aliases: kernels of RHEL that are built from the packages of a rebuild.

CentOS, AlmaLinux and Rocky Linux build Red Hat's source packages anew and keep their `uname -r`. Where RHEL's own
packages are not to be had, those of a twin serve: such a kernel says whose packages they are (Kernel.twin_of), has no
other facts than the twin's, and is never kept in the index. That the twin's symbols have the same CRCs as the host's
can only be found out on the host: the loader compares them before it loads a module.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kdriver.core.kernel import Kernel, PackageRole
from kernel_index.releases import Grammar, parse_release
from kernel_index.table import DistroRow

REBUILDS = {"rhel": ("centos", "almalinux", "rocky")}
"""Families to those that rebuild them, in the order in which their packages are taken."""


def twin_release(name: str, rows: Sequence[DistroRow]) -> str:
    """The `uname -r` that `--kernel` means where a twin may serve for it; empty where none may: the name is no key of
    such a family nor a release of an enterprise kernel, or the rows are not all of such families."""
    families = {row.family for row in rows}
    head, *rest = name.split("/")
    if rest:
        families = {head}
        name = rest[1] if len(rest) > 1 else ""
    if not families or not families <= set(REBUILDS):
        return ""
    try:
        return name if parse_release(name, Grammar.RPM).enterprise else ""
    except ValueError:
        return ""


def find_twin(kernels: Sequence[Kernel], release: str, arch: str, family: str) -> Kernel | None:
    """The kernel of that `uname -r` of the first rebuild that has its headers; None where none has."""
    for rebuild in REBUILDS.get(family, ()):
        for one in kernels:
            same = (one.distro, one.release, one.arch) == (rebuild, release, arch)
            if same and one.package(PackageRole.HEADERS) is not None and not one.twin_of:
                return one
    return None


def as_twin(twin: Kernel, row: DistroRow) -> Kernel:
    """The row's kernel of that release with the twin's packages, marked so."""
    return dataclasses.replace(
        twin,
        distro=row.family,
        distro_release=row.id,
        named_by=(),
        twin_of=twin.key,
        packages=tuple(
            one
            if "://" in one.path or ":" in one.archive
            else dataclasses.replace(one, archive=f"{twin.distro_release}:{one.archive}")
            for one in twin.packages
        ),
    )


def row_of_release(release: str, rows: Sequence[DistroRow], family: str) -> DistroRow | None:
    """The family's row for the `elN` that a release says."""
    enterprise = parse_release(release, Grammar.RPM).enterprise
    return next((row for row in rows if enterprise and (row.family, row.version) == (family, str(enterprise[0]))), None)
