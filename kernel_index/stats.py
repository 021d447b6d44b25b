"""How many kernels of which distribution release the index holds, and how many of them can be built and booted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdriver.core.kernel import Kernel, PackageRole


@dataclass(frozen=True, slots=True)
class ReleaseStats:
    """Counts of kernels of one distribution release and architecture.

    buildable: with a package of headers; bootable: with an image; gone: in no repository any more; unauthenticated:
    with a package whose digest no signed metadata ever named. first_seen, last_seen: UTC dates, empty where unknown.
    """

    distro: str
    distro_release: str
    arch: str
    kernels: int
    flavours: int
    buildable: int
    bootable: int
    unauthenticated: int
    gone: int
    first_seen: str
    last_seen: str

    def to_json(self) -> dict[str, Any]:
        """A flat object; keys are this class's fields."""
        return dataclasses.asdict(self)


def count_kernels(kernels: Sequence[Kernel]) -> tuple[ReleaseStats, ...]:
    """One entry for each distribution release and architecture, sorted by both."""
    groups: dict[tuple[str, str, str], list[Kernel]] = {}
    for kernel in kernels:
        groups.setdefault((kernel.distro, kernel.distro_release, kernel.arch), []).append(kernel)
    return tuple(_stats(group, groups[group]) for group in sorted(groups, key=lambda group: (group[1], group[2])))


def _stats(group: tuple[str, str, str], kernels: Sequence[Kernel]) -> ReleaseStats:
    distro, distro_release, arch = group
    return ReleaseStats(
        distro=distro,
        distro_release=distro_release,
        arch=arch,
        kernels=len(kernels),
        flavours=len({kernel.flavour for kernel in kernels}),
        buildable=sum(kernel.package(PackageRole.HEADERS) is not None for kernel in kernels),
        bootable=sum(kernel.package(PackageRole.IMAGE) is not None for kernel in kernels),
        unauthenticated=sum(not kernel.authenticated for kernel in kernels),
        gone=sum(bool(kernel.gone) for kernel in kernels),
        first_seen=min((kernel.first_seen for kernel in kernels if kernel.first_seen), default=""),
        last_seen=max((kernel.last_seen for kernel in kernels), default=""),
    )
