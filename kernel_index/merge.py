"""Putting what an update found together with what was known: nothing that was once seen is dropped."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from kdriver.core.kernel import Kernel, Package, PackageRole, PackageState

_ROLES = tuple(PackageRole)


def merge_kernels(old: Sequence[Kernel], found: Sequence[Kernel], *, today: str = "") -> tuple[Kernel, ...]:
    """The kernels of both: dates are kept, packages that left the suites stay known, nothing is dropped.

    Kernels that were not found are marked gone since `today`. Those that were found come last, in the order
    found; only they can be named by a metapackage.
    """
    before = {kernel.key: kernel for kernel in old}
    keys = {kernel.key for kernel in found}
    left = [_left(kernel, today) for kernel in old if kernel.key not in keys]
    return (*left, *(_merged(before.get(kernel.key), kernel) for kernel in found))


def _left(kernel: Kernel, today: str) -> Kernel:
    """A kernel none of whose packages any suite has. One that was imported or added from a folder was never in any."""
    if any(_has_own_address(package) for package in kernel.packages):
        return kernel
    return dataclasses.replace(
        kernel,
        named_by=(),
        gone=kernel.gone or today,
        packages=tuple(_unlisted(package) for package in kernel.packages),
    )


def _merged(old: Kernel | None, found: Kernel) -> Kernel:
    if old is None:
        return dataclasses.replace(found, first_seen=found.last_seen)
    packages = {package.role: _unlisted(package) for package in old.packages}
    packages.update({package.role: package for package in found.packages})
    kept = ordered_packages(packages)
    return dataclasses.replace(
        found,
        packages=kept,
        authenticated=found.authenticated and all(package.authenticated for package in kept),
        compiler=found.compiler or old.compiler,
        libc=found.libc or old.libc,
        first_seen=old.first_seen,
        last_seen=max(old.last_seen, found.last_seen),
    )


def ordered_packages(packages: Mapping[PackageRole, Package]) -> tuple[Package, ...]:
    """The packages in the order of their roles."""
    return tuple(packages[role] for role in _ROLES if role in packages)


def _unlisted(package: Package) -> Package:
    """A package that no list names any more. What was once found out about its address stays."""
    if package.state is not PackageState.INDEXED or _has_own_address(package):
        return package
    return dataclasses.replace(package, state=PackageState.UNLISTED)


def _has_own_address(package: Package) -> bool:
    return "://" in package.path
