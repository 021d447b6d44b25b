"""A kernel: one `uname -r` + `uname -v` build of a distribution, and the packages that build and boot it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

FILE = "file"
"""The archive of a package that somebody named by its path, and the distribution of a kernel of such packages."""


class PackageRole(StrEnum):
    """What a package of a kernel is for."""

    HEADERS = "headers"
    HEADERS_COMMON = "headers-common"
    KBUILD = "kbuild"
    IMAGE = "image"
    MODULES_CORE = "modules-core"
    """Those modules that a kernel may need to boot, where they lie apart (el9 and later)."""
    MODULES = "modules"


class PackageState(StrEnum):
    """Whether a package can still be had. Images and headers of one kernel often differ in it.

    unlisted: it left the repository's lists, and nobody asked yet whether it is still served.
    """

    INDEXED = "indexed"
    UNLISTED = "unlisted"
    SERVED = "served"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Package:
    """One package file as a distribution's signed metadata describes it.

    path: relative to the archive's base URL; of the archive FILE the absolute path of a package file, of a kernel
    image, or of a folder. archive: which of the distribution's archives holds it (a key
    of its row, such as `main` or `security`; of another row `centos8:vault`). sha256: lower-case hex; empty
    where the repository names none; sha512: then, its SHA-512 (Ubuntu from 26.10 on).
    state: served, gone: it left the lists, and its address was asked since. authenticated: its digest was seen
    in signed metadata, now or once.
    """

    role: PackageRole
    name: str
    version: str
    arch: str
    archive: str
    path: str
    size_bytes: int
    sha256: str
    state: PackageState = PackageState.INDEXED
    authenticated: bool = True
    sha512: str = ""

    @property
    def digest(self) -> str:
        """What the package is checked by: the SHA-256, else the SHA-512; empty where none is known."""
        return self.sha256 or self.sha512

    @property
    def file_name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    def to_json(self) -> dict[str, Any]:
        """A flat object; keys are this class's fields."""
        return {
            "role": str(self.role),
            "name": self.name,
            "version": self.version,
            "arch": self.arch,
            "archive": self.archive,
            "path": self.path,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "state": str(self.state),
            "authenticated": self.authenticated,
            "sha512": self.sha512,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Package:
        """The inverse of to_json. Raises KeyError or ValueError on a document of another shape."""
        state = PackageState(value.get("state", PackageState.INDEXED))
        return cls(**{**value, "role": PackageRole(value["role"]), "state": state})


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of the index.

    distro: the family (`debian`). distro_release: the row (`debian12`). release: `uname -r`.
    build: the part of `uname -v` that tells builds of one release apart (Debian: the package version that
    stands after the word Debian). arch: as `uname -m`. flavour: `amd64`, `cloud-amd64`, `rt-amd64`.
    compiler: the compiler package that the headers depend on (`gcc-12`), empty where unknown.
    libc: the least C library version that the headers' host tools need (`2.34`), empty where unknown.
    first_seen, last_seen: UTC dates, `YYYY-MM-DD`.
    named_by: the metapackages that name this kernel as their newest now: `linux-image-amd64`; with the suite in
    front (`bookworm-backports/linux-image-amd64`) where it is one that apt takes nothing from by itself.
    authenticated: signed metadata vouches for all of its packages. gone: the UTC date since which no suite has
    any of its packages; empty while one has. twin_of: the key of another distribution's kernel of the same release
    whose packages these are, because its own are not to be had (kernel_index/twins.py); empty for its own.
    """

    distro: str
    distro_release: str
    release: str
    build: str
    package_version: str
    arch: str
    flavour: str
    packages: tuple[Package, ...]
    compiler: str = ""
    libc: str = ""
    authenticated: bool = True
    first_seen: str = ""
    last_seen: str = ""
    named_by: tuple[str, ...] = ()
    gone: str = ""
    twin_of: str = ""

    @property
    def key(self) -> str:
        """`debian/x86_64/6.1.0-56-amd64/6.1.192-2`."""
        return f"{self.distro}/{self.arch}/{self.release}/{self.package_version}"

    def package(self, role: PackageRole) -> Package | None:
        """The package with that role, if the kernel has one."""
        return next((package for package in self.packages if package.role is role), None)

    def to_json(self) -> dict[str, Any]:
        """The record that `index list --json` prints."""
        return {
            "key": self.key,
            "distro": self.distro,
            "distro_release": self.distro_release,
            "release": self.release,
            "build": self.build,
            "package_version": self.package_version,
            "arch": self.arch,
            "flavour": self.flavour,
            "compiler": self.compiler,
            "libc": self.libc,
            "authenticated": self.authenticated,
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "named_by": list(self.named_by),
            "gone": self.gone,
            "twin_of": self.twin_of,
            "packages": [package.to_json() for package in self.packages],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Kernel:
        """The inverse of to_json. Raises KeyError, TypeError or ValueError on a document of another shape."""
        fields = {name: field for name, field in value.items() if name not in ("key", "packages")}
        fields["named_by"] = tuple(value.get("named_by", ()))
        return cls(packages=tuple(Package.from_json(package) for package in value["packages"]), **fields)
