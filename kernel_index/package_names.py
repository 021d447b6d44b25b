"""What a kernel package's name, version and architecture say: of which kernel it is, and which part of it.

Seen in tests/fixtures/kernels.json.gz. Where metadata says more (an RPM's `kernel-uname-r`), metadata decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from kdriver.core.kernel import PackageRole
from kernel_index.releases import Grammar, Release, parse_release

DEB_ARCHES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "i386": "i686",
    "armhf": "armv7l",
    "armel": "armv5tel",
    "ppc64el": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
"""Debian's word for an architecture to `uname -m`."""


@dataclass(frozen=True, slots=True)
class PackageName:
    """A package's name, version (of an RPM: version-release) and architecture, as its distribution writes them."""

    name: str
    version: str
    arch: str
    rpm: bool


@dataclass(frozen=True, slots=True)
class KernelPart:
    """What a package is of a kernel.

    release: `uname -r`; empty for a part that several flavours share (common headers, kbuild). abi: how such parts
    and the kernels that use them find each other: `5.4.0-128`, Debian's `6.12.107+deb12`; an RPM's `version-release`.
    build: as `uname -v` tells it. arch: as `uname -m`, empty for a package of all architectures.
    """

    role: PackageRole
    grammar: Grammar
    release: str
    abi: str
    build: str
    flavour: str
    arch: str
    package_version: str


_DEB_FILE = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)_(?P<version>[0-9][A-Za-z0-9.+~:-]*)_(?P<arch>[a-z0-9]+)\.u?deb")
_RPM_FILE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9+._-]*)-(?P<version>[0-9][A-Za-z0-9.+~^_]*-[A-Za-z0-9.+~^_]+)\.(?P<arch>[a-z0-9_]+)\.rpm"
)
_DEB_ROLES = (
    ("linux-image-unsigned-", PackageRole.IMAGE),
    ("linux-image-", PackageRole.IMAGE),
    ("linux-headers-", PackageRole.HEADERS),
    ("linux-modules-", PackageRole.MODULES),
)
_COMMON = re.compile(
    r"linux-(?:[a-z0-9.+-]+-)?headers-(?P<abi>\d+\.\d+[0-9.]*(?:[~+][a-z0-9.]+)?(?:-(?:(?:0\.[a-z]+\d*\.)?\d+|trunk|rc\d+|rpi\d+))?)(?:-common(?:-[a-z]+)?)?"
)
_KBUILD = re.compile(r"linux-kbuild-(?P<abi>\d+\.\d+[0-9.]*(?:[~+][a-z0-9.]+)?(?:-[0-9a-z.]+)?)")
_RPM_NAME = re.compile(
    r"kernel(?P<kind>(?:-(?:rt|debug|64k|plus|ml|lt|uek))*)(?:-(?P<part>devel|core|modules|modules-core))?"
)
_RPM_ROLES = {
    "devel": PackageRole.HEADERS,
    "core": PackageRole.IMAGE,
    "modules": PackageRole.MODULES,
    "modules-core": PackageRole.MODULES_CORE,
}


def split_file_name(path: str) -> PackageName:
    """Name, version and architecture from a package's file name, path or address. Raises ValueError."""
    file_name = unquote(path.rsplit("/", 1)[-1])
    if len(file_name) > 255:
        raise ValueError(f"{file_name[:80]!r}…: a file name has at most 255 characters")
    match = _DEB_FILE.fullmatch(file_name) or _RPM_FILE.fullmatch(file_name)
    if match is None:
        raise ValueError(f"{file_name!r} is not the name of a .deb or .rpm file")
    return PackageName(match["name"], match["version"], match["arch"], rpm=file_name.endswith(".rpm"))


def kernel_part(package: PackageName, *, uname_r: str = "") -> KernelPart | None:
    """What a package is of a kernel; None for one that is no part of any.

    uname_r: what the package's own metadata says (`kernel-uname-r` among an RPM's Provides), empty where it does not.
    """
    return _rpm_part(package, uname_r) if package.rpm else _deb_part(package)


def _deb_part(package: PackageName) -> KernelPart | None:
    arch = DEB_ARCHES.get(package.arch, "")
    for prefix, role in _DEB_ROLES:
        release = _deb_release(package, prefix)
        if release is not None:
            abi = "-".join(part for part in (release.version, release.number) if part)
            build = _build(release.grammar, abi, package.version)
            return KernelPart(
                role, release.grammar, release.text, abi, build, release.flavour, release.arch or arch, package.version
            )
    for pattern, role in ((_COMMON, PackageRole.HEADERS_COMMON), (_KBUILD, PackageRole.KBUILD)):
        match = pattern.fullmatch(package.name)
        if match is not None:
            repeated = package.version.startswith(f"{match['abi']}.") and role is not PackageRole.KBUILD
            grammar = Grammar.UBUNTU if repeated else Grammar.DEBIAN
            build = _build(grammar, match["abi"], package.version)
            return KernelPart(role, grammar, "", match["abi"], build, "", arch, package.version)
    return None


def _deb_release(package: PackageName, prefix: str) -> Release | None:
    """The release that stands after a prefix; Ubuntu's is told from Debian's by the version, which repeats it."""
    name = package.name.removeprefix(prefix)
    if name == package.name or "-common" in name:
        return None
    ubuntu = re.match(r"\d+\.\d+\.\d+-\d+(?=-)", name)
    is_ubuntu = ubuntu is not None and package.version.startswith(f"{ubuntu[0]}.")
    try:
        return parse_release(name.removesuffix("-unsigned"), Grammar.UBUNTU if is_ubuntu else Grammar.DEBIAN)
    except ValueError:
        return None


def _build(grammar: Grammar, abi: str, version: str) -> str:
    """Debian: the package version as it stands in `uname -v`, without an epoch; Ubuntu: what the upload adds."""
    return version.removeprefix(f"{abi}.") if grammar is Grammar.UBUNTU else version.rpartition(":")[2]


def _rpm_part(package: PackageName, uname_r: str) -> KernelPart | None:
    match = _RPM_NAME.fullmatch(package.name)
    if match is None:
        return None
    version = package.version.rpartition(":")[2]
    kinds = [kind for kind in match["kind"].split("-") if kind]
    try:
        release = parse_release(uname_r or f"{version}.{package.arch}{_variant(kinds, version)}", Grammar.RPM)
    except ValueError:
        return None
    enterprise = release.enterprise
    if match["part"] is None and enterprise is not None and enterprise[0] >= 8:
        return None  # From el8 on `kernel` is empty and only depends on kernel-core and kernel-modules.
    role = _RPM_ROLES[match["part"]] if match["part"] else PackageRole.IMAGE
    return KernelPart(role, Grammar.RPM, release.text, version, "1", release.flavour, package.arch, package.version)


def _variant(kinds: list[str], version: str) -> str:
    """How `uname -r` ends for the kinds in a package's name: `.debug` in el7, `+debug` later; a real-time kernel whose
    release says so itself has no `+rt` (until el9_2), a later one has."""
    old = re.search(r"\.el[67](?![0-9])", version) is not None
    said = re.search(r"\.rt\d+\.", version) is not None
    endings = [kind for kind in kinds if kind in ("rt", "64k", "debug") and not (kind == "rt" and (said or old))]
    if not endings:
        return ""
    return f".{'-'.join(endings)}" if old else f"+{'-'.join(endings)}"
