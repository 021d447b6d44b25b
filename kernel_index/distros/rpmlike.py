"""Distributions with yum repositories whose kernels come from Red Hat's: what CentOS and RHEL have in common."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kdriver.core.http import Http
from kdriver.core.kernel import Kernel, Package, PackageRole
from kdriver.packages.rpmversions import version_key
from kernel_index.package_names import KernelPart, PackageName, kernel_part
from kernel_index.releases import Grammar, Release, parse_release, release_key
from kernel_index.rpm.keys import signing_keys
from kernel_index.rpm.primary import parse_dependencies
from kernel_index.rpm.repository import RepositoryRequest, fetch_repository, repomd_url
from kernel_index.rpm.tools import compiler_of, libc_of
from kernel_index.suites import BinaryPackage, Question, Suite, SuiteFetch
from kernel_index.table import Archive, DistroRow

logger = logging.getLogger(__name__)

GENERIC = "generic"
"""The flavour of an ordinary kernel, which has no word for it in its name."""

BASES = {
    "3.10.0": (123, 229, 327, 514, 693, 862, 957, 1062, 1127, 1160),
    "4.18.0": (80, 147, 193, 240, 305, 348, 372, 425, 477, 513, 553),
    "5.14.0": (70, 162, 284, 362, 427, 503, 570, 611),
    "6.12.0": (55, 124),
}
"""Builds that a minor release began with, from its .0 on: all of its updates keep the number."""

_NAME = re.compile(r"^kernel(?:-(?:rt|debug|64k|plus))*(?:-(?:devel|core|modules|modules-core))?$")
_NUMBER = re.compile(r"^\d+")
_ROLES = tuple(PackageRole)


@dataclass(frozen=True, slots=True)
class Offer:
    """A package, what it is of a kernel, and where it is offered."""

    package: BinaryPackage
    part: KernelPart
    archive: str
    suite: str
    checked: str
    authenticated: bool
    automatic: bool


@dataclass(slots=True)
class _Parts:
    """The offers of one kernel, by role; of equal packages the first that is authenticated."""

    release: Release
    by_role: dict[PackageRole, Offer] = field(default_factory=dict)
    checked: str = ""

    def add(self, offer: Offer) -> None:
        known = self.by_role.get(offer.part.role)
        if known is None or (offer.authenticated and not known.authenticated):
            self.by_role[offer.part.role] = offer
        self.checked = max(self.checked, offer.checked)

    def one(self, role: PackageRole) -> Offer | None:
        return self.by_role.get(role)

    def sorted(self) -> list[Offer]:
        """By role, one of each: two packages of one name and version in two repositories are the same."""
        return sorted(self.by_role.values(), key=lambda one: _ROLES.index(one.part.role))


class RpmLike:
    """The family of distributions with yum repositories. A subclass names what differs."""

    family = ""
    header_roles: tuple[PackageRole, ...] = (PackageRole.HEADERS,)

    def derived_headers(self, kernel: Kernel) -> tuple[tuple[Package, ...], ...]:
        """Family.derived_headers: none; kernel and kernel-devel leave a repository together."""
        del kernel
        return ()

    def suites(self, row: DistroRow, archive: Archive) -> tuple[str, ...]:
        """Family.suites: `$basearch` stands for each architecture that the archive holds, as in yum's own files."""
        arches = [word for _, word in row.architectures_of(archive)]
        expanded = [
            suite.replace("$basearch", word)
            for suite in archive.suites
            for word in (arches if "$basearch" in suite else [""])
        ]
        return tuple(dict.fromkeys(expanded))

    def missing(self, row: DistroRow, archive: Archive) -> str:
        """Family.missing: nothing."""
        del row, archive
        return ""

    def release_url(self, mirror: str, suite: str, *, unsigned: bool = False) -> str:
        """Family.release_url: signed or not, the same."""
        del unsigned
        return repomd_url(mirror, suite)

    def wanted(self, name: str) -> bool:
        """Whether a package can be a part of a kernel."""
        return _NAME.match(name) is not None

    def fetch(self, question: Question) -> SuiteFetch:
        """Family.fetch."""
        keys = signing_keys(question.row, question.archive)
        asked = replace(question, http=self.client(question.http, question.archive))
        return fetch_repository(RepositoryRequest(asked, keys, self.wanted))

    def client(self, http: Http, archive: Archive) -> Http:
        """Family.client: as it is."""
        del archive
        return http

    def kernels(self, row: DistroRow, suites: Sequence[Suite]) -> tuple[Kernel, ...]:
        """Family.kernels."""
        found: dict[tuple[str, str], _Parts] = {}
        for offer in _offers(suites):
            if offer.part.arch not in dict(row.architectures):
                continue
            key = (offer.part.release, offer.package.version)
            parts = found.setdefault(key, _Parts(parse_release(offer.part.release, Grammar.RPM)))
            parts.add(offer)
        named = self._named_by(found)
        kernels = [self._kernel(row, parts, version, named) for (_, version), parts in found.items() if _builds(parts)]
        return tuple(sorted(kernels, key=lambda one: release_key(parse_release(one.release, Grammar.RPM))))

    def default_metapackage(self, flavour: str) -> str:
        """Family.default_metapackage: `kernel`, `kernel-rt`, `kernel-64k-debug`."""
        return "kernel" if flavour == GENERIC else f"kernel-{flavour}"

    def version_key(self, version: str) -> Any:
        """Family.version_key."""
        return version_key(version)

    def line(self, release: str) -> str:
        """Family.line: the kernel with the build that its minor release began with (`4.18.0-348`); without that,
        as in Stream, the kernel alone (`4.18.0`)."""
        try:
            parsed = parse_release(release, Grammar.RPM)
        except ValueError:
            return ""
        number = _NUMBER.match(parsed.number)
        if number and int(number[0]) in BASES.get(parsed.version, ()):
            return f"{parsed.version}-{number[0]}"
        return parsed.version

    def host_mirrors(self, row: DistroRow, os_release: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
        """Family.host_mirrors: none. What CentOS's own files name was taken down when a release ended."""
        del row, os_release
        return {}

    def _named_by(self, found: Mapping[tuple[str, str], _Parts]) -> dict[tuple[str, str], tuple[str, ...]]:
        """(`uname -r`, version) to what it is the newest of: its flavour's package, and that of its line.

        yum has no metapackage that names a version: it installs the newest package of a name.
        """
        newest: dict[tuple[str, str, str], tuple[str, str]] = {}
        for key, parts in sorted(found.items(), key=lambda item: release_key(item[1].release)):
            image = parts.one(PackageRole.IMAGE)
            if image is None:
                continue
            name = self.default_metapackage(parts.release.flavour or GENERIC)
            if not image.automatic:
                newest[(parts.release.arch, f"{image.archive}/{name}", "")] = key
                continue
            newest[(parts.release.arch, name, "")] = key
            newest[(parts.release.arch, name, self.line(key[0]))] = key
        named: dict[tuple[str, str], list[str]] = {}
        for (_, name, line), key in newest.items():
            named.setdefault(key, []).append(f"{line}/{name}" if line else name)
        return {key: tuple(sorted(names)) for key, names in named.items()}

    def _kernel(
        self,
        row: DistroRow,
        parts: _Parts,
        version: str,
        named: Mapping[tuple[str, str], tuple[str, ...]],
    ) -> Kernel:
        headers = parts.one(PackageRole.HEADERS)
        of_headers = headers.package if headers is not None else None
        release = parts.release
        return Kernel(
            distro=row.family,
            distro_release=row.id,
            release=release.text,
            # `uname -v` is `#1 SMP <date>`: every package is built once, in a new tree.
            build="1",
            package_version=version,
            arch=release.arch,
            flavour=release.flavour or GENERIC,
            packages=tuple(_package(offer) for offer in parts.sorted()),
            compiler=compiler_of(release, of_headers),
            libc=libc_of(release, of_headers),
            authenticated=all(offer.authenticated for offer in parts.by_role.values()),
            last_seen=parts.checked,
            named_by=named.get((release.text, version), ()),
        )


def _builds(parts: _Parts) -> bool:
    """Whether there is anything to build against or to boot: modules alone are no kernel."""
    return parts.one(PackageRole.HEADERS) is not None or parts.one(PackageRole.IMAGE) is not None


def _offers(suites: Sequence[Suite]) -> Iterable[Offer]:
    for suite in suites:
        for package in suite.packages:
            part = kernel_part(
                PackageName(package.name, package.version, package.arch, rpm=True), uname_r=_uname(package)
            )
            if part is None:
                continue
            record = suite.record
            yield Offer(
                package, part, record.archive, record.suite, record.checked, record.authenticated, record.automatic
            )


def _uname(package: BinaryPackage) -> str:
    """The `uname -r` that a package provides as `kernel-uname-r`, `kernel-devel-uname-r` …; empty where it does not.

    kernel-modules of el8 and el9 provide several; the one of the package's own name comes first.
    """
    provided = [one for one in parse_dependencies(package.provides) if one.name.endswith("-uname-r")]
    provided.sort(key=lambda one: one.name != f"{package.name}-uname-r")
    return next((one.version for one in provided), "")


def _package(offer: Offer) -> Package:
    package = offer.package
    made = Package(
        role=offer.part.role,
        name=package.name,
        version=package.version,
        arch=package.arch,
        archive=offer.archive,
        path=package.path,
        size_bytes=package.size_bytes,
        sha256=package.sha256,
    )
    return made if offer.authenticated else replace(made, authenticated=False)
