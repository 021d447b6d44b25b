"""A kernel from outside the index, as `verify` and `build` are given it: by the paths of its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kdriver.core.errors import ConfigError, IntegrityError, NotFoundError
from kdriver.core.kernel import PackageRole
from kdriver.inspect.type_table import TypeTable

if TYPE_CHECKING:
    from builder.given import GivenKernel


@dataclass(frozen=True, slots=True)
class Named:
    """The options' values. image: None for a build alone. release: empty where the files say it."""

    image: Path | None
    headers: tuple[Path, ...] = ()
    modules: tuple[Path, ...] = ()
    release: str = ""
    btf: Path | None = None


def name_kernel(named: Named) -> GivenKernel:
    """The kernel of these files; its headers are unpacked. Raises NotFoundError for a path that is not there,
    ConfigError when image and headers are of different kernels, and what the builder says of bad headers."""
    from builder.given import given_kernel, given_package
    from kdriver.verifier.image import named_image

    if named.btf is not None:
        if not named.btf.is_file():
            raise NotFoundError(f"{named.btf}: no such file", hint="Name an existing one with --btf.")
        try:
            TypeTable(named.btf.read_bytes())
        except IntegrityError as error:
            hint = "Name a file like /sys/kernel/btf/vmlinux with --btf."
            raise ConfigError(f"{named.btf}: {error.message}", hint=hint) from error
    headers = [given_package(PackageRole.HEADERS, path, "--headers") for path in named.headers]
    others = []
    release, version = named.release, ""
    if named.image is not None:
        image = named_image(named.image)
        others.append(given_package(PackageRole.IMAGE, image.path, "--kernel-image"))
        release, version = release or image.release, image.version
    others += [given_package(PackageRole.MODULES, path, "--modules") for path in named.modules]
    given = given_kernel(
        headers, others, release=release, version=version, has_btf=True if named.btf is not None else None
    )
    if release and given.kernel.release != release:
        source = "--release says" if named.release else f"{named.image} is of"
        raise ConfigError(
            f"the headers are of {given.kernel.release}, {source} {release}",
            hint="Name the headers of the kernel that is to be booted.",
        )
    return given
