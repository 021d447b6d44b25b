"""kernel-crawler's JSON, in and out.

kernel-crawler (github.com/falcosecurity/kernel-crawler) writes
{"Ubuntu": [{"kernelrelease": "…", "kernelversion": "…", "target": "…", "headers": [addresses]}, …], …}.
Its names mislead: the kernel is named after its source folder (`4.15.0-112-hwe`), without a flavour (`5.13.0-52`) or
after the package version (`5.10.178-3-amd64`), and one entry may cover several flavours. So nothing is taken from them:
release, build and architecture are read from the packages' names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kdriver.core.errors import ConfigError
from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.exchange import Refused
from kernel_index.package_names import KernelPart, PackageName, kernel_part, split_file_name
from kernel_index.releases import Grammar
from kernel_index.rows import row_of_part
from kernel_index.table import DistroRow, select_rows

_ADDRESSES_PER_ENTRY = 64
_CRAWLER_NAMES = {
    "debian": "Debian",
    "ubuntu": "Ubuntu",
    "centos": "CentOS",
    "rhel": "Redhat",
    "almalinux": "AlmaLinux",
    "rocky": "RockyLinux",
}
_CRAWLER_FAMILIES = {"redhat": "rhel"}
"""Targets that are called otherwise than the family."""
_HEADER_ROLES = (PackageRole.HEADERS, PackageRole.HEADERS_COMMON, PackageRole.KBUILD)


@dataclass(frozen=True, slots=True)
class Mended:
    """A name that was wrong. listed, found: release and build, in one text."""

    listed: str
    found: str

    def to_json(self) -> dict[str, str]:
        """A flat object; keys are this class's fields."""
        return {"listed": self.listed, "found": self.found}


@dataclass(frozen=True, slots=True)
class Imported:
    """What a document held. kernels: sorted by row. Their packages are named by address and are not authenticated."""

    kernels: tuple[Kernel, ...]
    mended: tuple[Mended, ...]
    refused: tuple[Refused, ...]


def export_crawler(kernels: Sequence[Kernel], urls: Callable[[Kernel, Package], Sequence[str]]) -> dict[str, Any]:
    """kernel-crawler's form, with true names. urls: the addresses of a package, best first.

    kernelversion is what its readers expect: Ubuntu's upload, else `1`. Kernels without headers are left out.
    """
    document: dict[str, list[dict[str, Any]]] = {}
    for kernel in kernels:
        if kernel.package(PackageRole.HEADERS) is None:
            continue
        target = kernel.distro
        if kernel.distro == "ubuntu":
            target = f"ubuntu-{kernel.flavour.split('-')[0]}"
        elif kernel.distro == "rhel":
            target = "redhat"
        headers = [urls(kernel, package)[0] for package in kernel.packages if package.role in _HEADER_ROLES]
        document.setdefault(_CRAWLER_NAMES.get(kernel.distro, kernel.distro), []).append(
            {
                "kernelversion": kernel.build if kernel.distro == "ubuntu" else "1",
                "kernelrelease": kernel.release,
                "target": target,
                "headers": headers,
            }
        )
    return document


def read_crawler(
    document: Any, rows: Sequence[DistroRow], *, today: str, distro: str | None = None, name: str = "document"
) -> Imported:
    """kernel-crawler's kernels under their true names. today: UTC date. distro: put all into this row, and take only
    entries of its family. Raises ConfigError for a document of another form; a single bad entry is refused."""
    if not isinstance(document, dict) or not all(isinstance(entries, list) for entries in document.values()):
        raise ConfigError(
            f"{name}: not kernel-crawler's form: an object of lists was expected",
            hint="Name a list.json of kernel-crawler, or a file of `kdriver index export`.",
        )
    forced = select_rows(tuple(rows), distro) if distro else ()
    reader = _Reader(tuple(rows), forced, today)
    for title, entries in document.items():
        for number, entry in enumerate(entries):
            reader.read(entry, f"{title}[{number}]")
    kernels = sorted(reader.kernels.values(), key=lambda kernel: (kernel.distro_release, kernel.key))
    return Imported(tuple(kernels), tuple(reader.mended), tuple(reader.refused))


class _Reader:
    """Collects kernels, and what was wrong with entries."""

    def __init__(self, rows: tuple[DistroRow, ...], forced: tuple[DistroRow, ...], today: str) -> None:
        self._rows = rows
        self._forced = forced
        self._today = today
        self.kernels: dict[tuple[str, str], Kernel] = {}
        self.mended: list[Mended] = []
        self.refused: list[Refused] = []

    def read(self, entry: Any, where: str) -> None:
        """One entry; several flavours in it are several kernels."""
        fault = _fault(entry)
        if fault:
            self.refused.append(Refused(where, fault))
            return
        listed = f"{entry['kernelrelease']} {entry['kernelversion']}"
        target = entry["target"].split("-")[0]
        family = _CRAWLER_FAMILIES.get(target, target)
        subject = f"{where} {listed}"
        if family not in {row.family for row in self._rows}:
            self.refused.append(Refused(subject, f"target {entry['target']!r}: no distribution of that name is known"))
            return
        parts = _parts(entry["headers"])
        # The same package may be listed at several mirrors.
        heads = list(dict.fromkeys(part for part, _ in parts if part.role is PackageRole.HEADERS))
        if not heads:
            self.refused.append(Refused(subject, "none of its addresses is a package of headers"))
            return
        names = []
        for part in heads:
            row = self._row(family, part, [package.name for _, package in parts])
            if row is None:
                self.refused.append(Refused(subject, f"no row of the table is for {family} {part.package_version}"))
                continue
            kernel = _kernel(row, part, parts, self._today)
            self.kernels.setdefault((row.id, kernel.key), kernel)
            names.append(f"{kernel.release} {kernel.build}")
        self.mended += [Mended(listed, name) for name in names if name != listed]

    def _row(self, family: str, part: KernelPart, names: Sequence[str]) -> DistroRow | None:
        if self._forced:
            return next((row for row in self._forced if row.family == family), None)
        return row_of_part(self._rows, family, part, names)


def _fault(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "not an object"
    texts = [entry.get(key) for key in ("kernelrelease", "target")]
    if not all(isinstance(text, str) and 0 < len(text) < 256 for text in texts):
        return "kernelrelease and target must be short texts"
    if not isinstance(entry.get("kernelversion"), (str, int)):
        return "kernelversion must be a text or a number"
    headers = entry.get("headers")
    if not isinstance(headers, list) or len(headers) > _ADDRESSES_PER_ENTRY:
        return f"headers must be a list of at most {_ADDRESSES_PER_ENTRY} addresses"
    if not all(isinstance(url, str) and url.startswith(("http://", "https://")) for url in headers):
        return "headers must be http(s) addresses"
    return ""


def _parts(urls: Sequence[str]) -> list[tuple[KernelPart, Package]]:
    parts = []
    for url in urls:
        try:
            package = split_file_name(url)
        except ValueError:
            continue
        part = kernel_part(package)
        if part is not None:
            parts.append((part, _package(part, package, url)))
    return parts


def _package(part: KernelPart, package: PackageName, url: str) -> Package:
    return Package(
        role=part.role,
        name=package.name,
        version=package.version,
        arch=package.arch,
        archive="",
        path=url,
        size_bytes=0,
        sha256="",
        authenticated=False,
    )


def _kernel(row: DistroRow, head: KernelPart, parts: Sequence[tuple[KernelPart, Package]], today: str) -> Kernel:
    chosen: dict[PackageRole, Package] = {}
    for part, package in parts:
        own = part.release == head.release and part.arch == head.arch
        if own or (not part.release and _serves(part, package, head)):
            chosen.setdefault(part.role, package)
    flavour = head.flavour or "generic"
    return Kernel(
        distro=row.family,
        distro_release=row.id,
        release=head.release,
        build=head.build,
        package_version=head.package_version,
        arch=head.arch,
        flavour=flavour,
        packages=tuple(chosen[role] for role in PackageRole if role in chosen),
        authenticated=False,
        first_seen=today,
        last_seen=today,
    )


def _serves(part: KernelPart, package: Package, head: KernelPart) -> bool:
    """Whether a shared part goes with a kernel's headers. Debian's real-time, grsecurity and Raspberry flavours have
    common headers of their own; kbuild of a line serves every kernel of it."""
    if part.role is PackageRole.KBUILD:
        return head.abi.startswith(part.abi) and part.arch in ("", head.arch)
    if part.abi != head.abi or part.arch not in ("", head.arch):
        return False
    special = package.name.partition("-common-")[2]
    wanted = head.flavour.split("-")[0] if head.flavour.split("-")[0] in ("rt", "grsec", "rpi") else ""
    return head.grammar is not Grammar.DEBIAN or special == wanted
