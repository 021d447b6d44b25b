"""Distributions with apt repositories: how their kernels are put together from packages.

A kernel's parts are found by walking Depends; names only say where to start. linux-headers-<release> depends on
its common headers, on linux-kbuild-* (Debian) and on a compiler (Debian); linux-image-<release> is the kernel
itself, or depends on the packages that it was split into; linux-image-<flavour> depends on the
linux-image-<release> that is the newest.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdriver.core.http import Http
from kdriver.core.kernel import Kernel, Package, PackageRole
from kdriver.packages.deb822 import Relation, parse_relations
from kdriver.packages.versions import satisfies, version_key
from kernel_index.apt.host import host_mirrors
from kernel_index.apt.suite import SuiteRequest, fetch_suite, release_url
from kernel_index.suites import BinaryPackage, Question, Suite, SuiteFetch
from kernel_index.table import Archive, DistroRow

logger = logging.getLogger(__name__)

_C_LIBRARIES = ("libc6", "libc6.1")
_COMPILER = re.compile(r"^(gcc-\d+(?:\.\d+)?)(?:-for-host)?$")
_COMMON_HEADERS = re.compile(r"^linux-(?:[a-z0-9.-]+-)?headers-\d")
_BINARY_REBUILD = re.compile(r"\+b\d+$")


@dataclass(frozen=True, slots=True)
class Offer:
    """A package and where it is offered."""

    package: BinaryPackage
    archive: str
    suite: str
    checked: str
    automatic: bool
    authenticated: bool = True


@dataclass(slots=True)
class _Closure:
    """What a walk over Depends found. missing: names that no suite has any more."""

    parts: dict[PackageRole, Offer] = field(default_factory=dict)
    compiler: str = ""
    libc: str = ""
    missing: list[str] = field(default_factory=list)


class Offers:
    """The packages of all suites for one architecture by name, newest first; of equal versions those that a
    signature vouches for first, then those of the earlier suite."""

    def __init__(self, suites: Sequence[Suite], deb_arch: str) -> None:
        self._by_name: dict[str, list[Offer]] = {}
        for suite in suites:
            record = suite.record
            of_arch = (package for package in suite.packages if package.arch in (deb_arch, "all"))
            # A package for all architectures stands in the list of each of them.
            for package in dict.fromkeys(of_arch):
                place = (record.archive, record.suite, record.checked)
                offer = Offer(package, *place, record.automatic, record.authenticated)
                self._by_name.setdefault(package.name, []).append(offer)
        for offers in self._by_name.values():
            offers.sort(key=lambda offer: (version_key(offer.package.version), offer.authenticated), reverse=True)

    def names(self) -> Iterable[str]:
        """All names."""
        return self._by_name

    def of(self, name: str) -> tuple[Offer, ...]:
        """All offers of a name, newest first."""
        return tuple(self._by_name.get(name, ()))

    def best(self, relation: Relation, beside: str = "") -> Offer | None:
        """The offer that meets a relation: the one of version `beside` if there is one, else the newest."""
        met = [
            offer
            for offer in self.of(relation.name)
            if satisfies(offer.package.version, relation.operator, relation.version)
        ]
        return next((offer for offer in met if offer.package.version == beside), met[0] if met else None)


class DebianLike:
    """The family of distributions with apt repositories. A subclass names what differs."""

    family = ""
    release_pattern = re.compile(r"^(?P<abi>(?P<line>\d+\.\d+)[^-]*-\d+)-(?P<flavour>[a-z][a-z0-9-]*)$")
    """The grammar of `uname -r`."""
    wanted_pattern = re.compile(r"^linux-(?:image|headers)-")
    """Of names that begin with `linux-`, those of a kernel's parts."""
    header_roles: tuple[PackageRole, ...] = (PackageRole.HEADERS, PackageRole.HEADERS_COMMON)
    """What a build needs at least."""
    revision = "2"
    """Another one whenever `wanted_pattern` changes: what was kept of a list is then read anew."""

    def release_url(self, mirror: str, suite: str, *, unsigned: bool = False) -> str:
        """Family.release_url."""
        return release_url(mirror, suite, unsigned=unsigned)

    def suites(self, row: DistroRow, archive: Archive) -> tuple[str, ...]:
        """Family.suites: as the row says."""
        del row
        return archive.suites

    def missing(self, row: DistroRow, archive: Archive) -> str:
        """Family.missing: nothing."""
        del row, archive
        return ""

    def client(self, http: Http, archive: Archive) -> Http:
        """Family.client: as it is."""
        del archive
        return http

    def wanted(self, name: str) -> bool:
        """Whether a package can be a part of a kernel."""
        return bool(self.wanted_pattern.match(name)) and not name.endswith(("-dbg", "-dbgsym", "-signed-template"))

    def fetch(self, question: Question) -> SuiteFetch:
        """Family.fetch."""
        return fetch_suite(SuiteRequest(question, "linux-", self.wanted, f"{self.family}{self.revision}"))

    def derived_headers(self, kernel: Kernel) -> tuple[tuple[Package, ...], ...]:
        """Family.derived_headers: none."""
        del kernel
        return ()

    def default_metapackage(self, flavour: str) -> str:
        """Family.default_metapackage."""
        return f"linux-image-{flavour}"

    def version_key(self, version: str) -> Any:
        """Family.version_key."""
        return version_key(version)

    def line(self, release: str) -> str:
        """Family.line."""
        match = self.release_pattern.match(release)
        return match["line"] if match else ""

    def host_mirrors(self, row: DistroRow, os_release: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
        """Family.host_mirrors: from the host's apt sources."""
        return host_mirrors(row, os_release)

    def kernels(self, row: DistroRow, suites: Sequence[Suite]) -> tuple[Kernel, ...]:
        """Family.kernels."""
        found = [kernel for pair in row.architectures for kernel in self._kernels_of(row, suites, *pair)]
        return tuple(sorted(found, key=lambda kernel: (version_key(kernel.package_version), kernel.release)))

    def _kernels_of(self, row: DistroRow, suites: Sequence[Suite], arch: str, deb_arch: str) -> Iterator[Kernel]:
        """The kernels of one architecture."""
        offers = Offers(suites, deb_arch)
        named_by = self._named_by(offers)
        for release, version in self._candidates(offers, deb_arch):
            kernel = self._kernel(row, offers, arch, release, version)
            yield dataclasses.replace(kernel, named_by=named_by.get((release, version), ()))

    def _candidates(self, offers: Offers, deb_arch: str) -> list[tuple[str, str]]:
        """(`uname -r`, package version) of every image and of every headers package."""
        found: set[tuple[str, str]] = set()
        for name in offers.names():
            for prefix in ("linux-image-", "linux-headers-"):
                release = self.release_of(name, prefix)
                if not release:
                    continue
                for offer in offers.of(name):
                    if offer.package.arch == deb_arch and not self._named_release(offer.package, prefix):
                        found.add((release, offer.package.version))
        return sorted(found)

    def release_of(self, name: str, prefix: str) -> str:
        """The `uname -r` in the name of an image's or headers' package; empty where there is none."""
        release = name.removeprefix(prefix).removesuffix("-unsigned").removeprefix("unsigned-")
        return release if name.startswith(prefix) and self.release_pattern.match(release) else ""

    def _named_release(self, package: BinaryPackage, prefix: str) -> tuple[Relation, ...]:
        """The alternatives by which a metapackage names the newest package of its kind; none for any other package.

        Up to 6.12 it is a metapackage's only dependency; in 7.x linux-base-* and linux-modules-* stand beside it.
        """
        for group in _relations(package):
            releases = {self.release_of(relation.name, prefix) for relation in group}
            if len(releases) == 1 and "" not in releases:
                own = package.name.endswith(next(iter(releases)))
                return () if own else group
        return ()

    def _named_by(self, offers: Offers) -> dict[tuple[str, str], tuple[str, ...]]:
        """(`uname -r`, version) to the metapackages that name it: of each the newest in the suites that apt takes
        by itself, and the one of every other suite under that suite's name."""
        named: dict[tuple[str, str], list[str]] = {}
        for name in offers.names():
            if not name.startswith("linux-image-"):
                continue
            done: set[str] = set()
            for offer in offers.of(name):
                alternatives = self._named_release(offer.package, "linux-image-")
                label = name if offer.automatic else f"{offer.suite}/{name}"
                if not alternatives or label in done:
                    continue
                done.add(label)
                target = next((best for one in alternatives if (best := offers.best(one)) is not None), None)
                if target is not None:
                    key = (self.release_of(target.package.name, "linux-image-"), target.package.version)
                    named.setdefault(key, []).append(label)
        return {key: tuple(sorted(labels)) for key, labels in named.items()}

    def _kernel(self, row: DistroRow, offers: Offers, arch: str, release: str, version: str) -> Kernel:
        match = self.release_pattern.match(release)
        assert match is not None
        headers = self._headers(offers, release, version)
        closure = _Closure()
        if headers is not None:
            _walk_headers(offers, headers, closure)
        image = self._image(offers, release, version)
        if image is not None:
            _walk_image(offers, image, closure)
        for name in closure.missing:
            logger.info("%s %s: %s is in no suite any more", row.id, release, name)
        return Kernel(
            distro=row.family,
            distro_release=row.id,
            release=release,
            build=self.build(version),
            package_version=version,
            arch=arch,
            flavour=match["flavour"],
            packages=tuple(_package(role, offer) for role, offer in sorted(closure.parts.items(), key=_role_order)),
            compiler=closure.compiler,
            libc=closure.libc,
            authenticated=all(offer.authenticated for offer in closure.parts.values()),
            last_seen=max(offer.checked for offer in (headers, image) if offer is not None),
        )

    def build(self, version: str) -> str:
        """The build as `uname -v` names it, from the image package's version."""
        return version

    def image_names(self, release: str) -> tuple[str, ...]:
        """The names that a kernel's image may have, best first: the signed one is what hosts boot."""
        return (f"linux-image-{release}", f"linux-image-{release}-unsigned", f"linux-image-unsigned-{release}")

    def _image(self, offers: Offers, release: str, version: str) -> Offer | None:
        """The image of exactly that version."""
        for name in self.image_names(release):
            found = offers.best(Relation(name, "=", version))
            if found is not None:
                return found
        return None

    def _headers(self, offers: Offers, release: str, version: str) -> Offer | None:
        """The headers of that version. Where they were rebuilt without a change of source (`+b1`) and the signed
        image was not, those of the same source: nothing of what a driver is built from differs."""
        name = f"linux-headers-{release}"
        exact = offers.best(Relation(name, "=", version))
        if exact is not None:
            return exact
        source = _BINARY_REBUILD.sub("", version)
        return next((one for one in offers.of(name) if _BINARY_REBUILD.sub("", one.package.version) == source), None)


_ROLES = tuple(PackageRole)


def _role_order(item: tuple[PackageRole, Offer]) -> int:
    return _ROLES.index(item[0])


def _relations(package: BinaryPackage) -> tuple[tuple[Relation, ...], ...]:
    try:
        return parse_relations(package.depends)
    except ValueError as error:
        logger.warning("%s %s: its Depends cannot be read: %s", package.name, package.version, error)
        return ()


def _walk_headers(offers: Offers, headers: Offer, closure: _Closure) -> None:
    """The headers and, over Depends, all that a build against them needs."""
    version = headers.package.version
    waiting = [(PackageRole.HEADERS, headers)]
    seen = {headers.package.name}
    while waiting:
        role, offer = waiting.pop(0)
        closure.parts.setdefault(role, offer)
        for group in _relations(offer.package):
            _note_tools(offers, group, role, closure)
            for relation in group:
                next_role = _header_role(relation.name)
                if next_role is None or relation.name in seen:
                    continue
                seen.add(relation.name)
                found = offers.best(relation, beside=version)
                if found is None:
                    closure.missing.append(relation.name)
                else:
                    waiting.append((next_role, found))


def _header_role(name: str) -> PackageRole | None:
    if name.startswith("linux-kbuild-"):
        return PackageRole.KBUILD
    # `linux-headers-6.1.0-56-common`, Ubuntu's `linux-headers-5.15.0-100` and `linux-hwe-6.8-headers-6.8.0-100`
    return PackageRole.HEADERS_COMMON if _COMMON_HEADERS.match(name) else None


def _note_tools(offers: Offers, group: tuple[Relation, ...], role: PackageRole, closure: _Closure) -> None:
    """The compiler that the headers ask for, directly or through linux-compiler-*, and the C library of kbuild."""
    for relation in group:
        match = _COMPILER.match(relation.name)
        if match and not closure.compiler:
            closure.compiler = match[1]
        if relation.name.startswith("linux-compiler-"):
            compiler = offers.best(relation)
            for inner in _relations(compiler.package) if compiler is not None else ():
                _note_tools(offers, inner, role, closure)
        # The host tools lie in kbuild (Debian), or in the headers themselves (Ubuntu).
        if relation.name in _C_LIBRARIES and not closure.libc and relation.operator in (">=", ">>"):
            closure.libc = relation.version


def _walk_image(offers: Offers, image: Offer, closure: _Closure) -> None:
    """The image, or the packages that it was split into."""
    version = image.package.version
    parts = {PackageRole.IMAGE: image}
    for group in _relations(image.package):
        for relation in group:
            for prefix, role in (("linux-binary-", PackageRole.IMAGE), ("linux-modules-", PackageRole.MODULES)):
                if relation.name.startswith(prefix):
                    found = offers.best(relation, beside=version)
                    if found is None:
                        closure.missing.append(relation.name)
                    else:
                        parts[role] = found
    closure.parts.update(parts)


def _package(role: PackageRole, offer: Offer) -> Package:
    package = offer.package
    return Package(
        role=role,
        name=package.name,
        version=package.version,
        arch=package.arch,
        archive=offer.archive,
        path=package.path,
        size_bytes=package.size_bytes,
        sha256=package.sha256,
        sha512=package.sha512,
        authenticated=offer.authenticated,
    )
