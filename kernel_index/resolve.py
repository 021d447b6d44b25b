"""From a host to its kernel in the index: exactly that one, else the nearest and what keeps it from being the one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdriver.core.kernel import Kernel, PackageRole
from kernel_index.hosts import ENTERPRISE, HostFacts
from kernel_index.nearest import distance
from kernel_index.store import opened
from kernel_index.table import load_table
from kernel_index.twins import REBUILDS, as_twin, find_twin, row_of_release


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was found. kernel: exactly the host's, or None; nearest: where kernel is None the closest one of the host's
    distribution or of a rebuild, None where the index has none. reasons: sentences; why it is not exact, and whatever
    contradicts itself on the host."""

    host: HostFacts
    kernel: Kernel | None
    nearest: Kernel | None
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """What `index resolve --json` prints; kernel and nearest are records as `index list --json` prints them."""
        return {
            "kernel": self.kernel.to_json() if self.kernel is not None else None,
            "nearest": self.nearest.to_json() if self.nearest is not None else None,
            "reasons": list(self.reasons),
            "host": self.host.to_json(),
        }


def resolve(host: HostFacts, kernels: Sequence[Kernel]) -> Resolution:
    """The host's kernel among those of the index. kernels: at least all of the families in host.candidates."""
    said = (*host.conflicts, *host.notes)
    if not host.release:
        return Resolution(host, None, None, (*said, "the host's `uname -r` is not known"))
    same_name = [one for one in kernels if one.release == host.release and _fits_arch(one, host)]
    own = [one for one in same_name if one.distro == host.distro]
    exact = [one for one in own if _same_build(one, host)]
    if len({one.key for one in exact}) == 1:
        kernel = _of_version(exact, host)
        return Resolution(_completed(host, kernel), kernel, None, (*said, *_remarks(kernel)))
    nearest, why = _nearest(host, kernels, same_name, own)
    remarks = _remarks(nearest) if nearest is not None else ()
    return Resolution(host, None, nearest, (*why, *remarks, *said))


def _nearest(
    host: HostFacts, kernels: Sequence[Kernel], same_name: Sequence[Kernel], own: Sequence[Kernel]
) -> tuple[Kernel | None, tuple[str, ...]]:
    if own:
        nearest = _closest(host, own)
        builds = ", ".join(dict.fromkeys(one.build for one in own))
        if not host.build:
            count = len({one.key for one in own})
            return nearest, (
                f"{count} builds are named {host.release} ({builds}), and `uname -v` does not tell which one runs",
            )
        return nearest, (f"the index has {host.release}, but not of build {host.build}: of {builds}",)
    twins = [one for one in same_name if one.distro in host.candidates]
    if twins:
        twin = _of_version(twins, host)
        return twin, (
            f"{host.distro} {host.release} is not in the index; {twin.distro} built a kernel of the same release: its "
            f"headers can serve (a rebuild alias), but it is not {host.distro}'s",
        )
    strangers = sorted({one.distro for one in same_name})
    elsewhere = (f"a kernel of that name is in the index, built by {', '.join(strangers)}",) if strangers else ()
    for families in ((host.distro,), host.candidates):
        related = [one for one in kernels if one.distro in families and _fits_arch(one, host)]
        if related:
            nearest = _closest(host, related)
            return nearest, (
                f"{host.distro} {host.release} is not in the index",
                *elsewhere,
                *_differences(host, nearest),
            )
    named = host.distro or "an unknown distribution"
    return None, (f"the index has no {host.arch} kernels of {named}", *elsewhere)


def _closest(host: HostFacts, kernels: Sequence[Kernel]) -> Kernel:
    def rank(one: Kernel) -> tuple[object, ...]:
        return (*distance(host.release, host.build, one.release, one.build), not _has_headers(one), one.key)

    return min(kernels, key=rank)


def _differences(host: HostFacts, nearest: Kernel) -> tuple[str, ...]:
    other_flavour, releases, _ = distance(host.release, host.build, nearest.release, nearest.build)
    flavour = f" of another flavour ({nearest.flavour or 'the ordinary one'})" if other_flavour else ""
    apart = next((f", {number} apart" for number in releases if number), "")
    family = f" by {nearest.distro}" if nearest.distro != host.distro else ""
    return (f"the nearest{family} is {nearest.release}{flavour}{apart}",)


def _of_version(kernels: Sequence[Kernel], host: HostFacts) -> Kernel:
    """Of the same kernel in several distribution releases the one of the host's; a rebuild in the order of
    candidates."""

    def rank(one: Kernel) -> tuple[int, bool]:
        return host.candidates.index(one.distro), _row_version(one) != host.distro_version

    return min(kernels, key=rank)


def _row_version(kernel: Kernel) -> str:
    return kernel.distro_release.removeprefix(kernel.distro)


def _completed(host: HostFacts, kernel: Kernel) -> HostFacts:
    """Where nothing on the host told the distribution's version, the kernel's row does."""
    if host.distro_version:
        return host
    return dataclasses.replace(host, distro_version=_row_version(kernel))


def _fits_arch(kernel: Kernel, host: HostFacts) -> bool:
    return kernel.arch == host.arch


def _same_build(kernel: Kernel, host: HostFacts) -> bool:
    """RHEL-like releases are built once: the number after `#` tells nothing there."""
    return not host.build or kernel.build == host.build or host.distro in ENTERPRISE


def _has_headers(kernel: Kernel) -> bool:
    return kernel.package(PackageRole.HEADERS) is not None


def _remarks(kernel: Kernel) -> tuple[str, ...]:
    remarks = []
    if kernel.gone:
        remarks.append(f"{kernel.key} is in no repository any more since {kernel.gone}")
    if not _has_headers(kernel):
        remarks.append(f"{kernel.key}: its headers were never seen, nothing can be built for it")
    if not kernel.authenticated:
        remarks.append(f"{kernel.key} is not authenticated: nothing built from it is published by default")
    return tuple(remarks)


def resolve_in_index(host: HostFacts, path: Path | None = None) -> Resolution:
    """resolve among the kernels of the index in a folder, reading no more of it than is needed.

    Raises NotFoundError where there is no index.
    """
    with opened(path) as store:
        same_name = store.kernels(arch=host.arch, name=host.release)
        answer = resolve(host, same_name)
        if answer.kernel is not None:
            return answer
        related = [row.id for row in load_table() if row.family in host.candidates]
        others = store.kernels(releases=related, arch=host.arch)
    known = {(one.distro_release, one.key) for one in others}
    every = (*others, *(one for one in same_name if (one.distro_release, one.key) not in known))
    return _with_twin(resolve(host, every), every)


def _with_twin(answer: Resolution, kernels: Sequence[Kernel]) -> Resolution:
    """Where the nearest is a rebuild of the very release: the host's own kernel with the rebuild's packages, marked by
    twin_of, for that is what `--kernel` builds."""
    host = answer.host
    if answer.nearest is None or answer.nearest.release != host.release or host.distro not in REBUILDS:
        return answer
    twin = find_twin(kernels, host.release, host.arch, host.distro)
    row = row_of_release(host.release, load_table(), host.distro)
    if twin is None or row is None or answer.nearest.distro == host.distro:
        return answer
    return dataclasses.replace(answer, nearest=as_twin(twin, row))
