"""What `kdriver verify` judges: kernels with their images, and drivers from a folder or from the builder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kdriver.core.artifact import DriverKind
from kdriver.core.download import cached
from kdriver.core.errors import ConfigError, NotFoundError
from kdriver.core.kernel import Kernel, Package, PackageRole
from kdriver.inspect.elf import read_module
from kdriver.verifier.artifacts import FoundArtifact, artifacts_for, find_artifacts, under_test
from kdriver.verifier.image import GuestKernel, kernel_from_file, kernel_from_package
from kdriver.verifier.plan import DriverUnderTest, GuestCheck
from kdriver.verifier.run import Verification
from kernel_index.sources import check_package, package_client, package_urls

if TYPE_CHECKING:
    from builder.result import BuildResult
    from builder.source import DriverSource


def image_package(kernel: Kernel) -> Package:
    """The package that holds the bootable kernel. Raises ConfigError where the index knows none."""
    package = kernel.package(PackageRole.IMAGE)
    if package is None:
        raise ConfigError(
            f"{kernel.key}: the index knows no image package of it", hint="Run `kdriver index update` and try again."
        )
    return package


def kernel_image(kernel: Kernel, modules: Sequence[str]) -> GuestKernel:
    """The bootable kernel with these modules, downloaded where it is not in the cache. Raises what downloads and
    packages raise."""
    package = image_package(kernel)
    http = package_client(kernel, package)
    path = cached(package_urls(kernel, package), package.digest, package.size_bytes, package.file_name, http=http)
    check_package(kernel, package, path)
    return kernel_from_package(path, kernel.release, modules)


def _image(kernel: Kernel, drivers: Sequence[DriverUnderTest], modules: Sequence[str]) -> Callable[[], GuestKernel]:
    """Brings the kernel here, with the modules that were asked for and those that the drivers depend on."""
    needed = dict.fromkeys([*modules, *(one for driver in drivers for one in _depends(driver))])
    return partial(kernel_image, kernel, tuple(needed))


def _depends(driver: DriverUnderTest) -> tuple[str, ...]:
    """What a module says it needs (modinfo `depends`); kdriver's own needs nothing."""
    if driver.kind is not DriverKind.KMOD or driver.name == "kdriver":
        return ()
    return tuple(name for name in read_module(driver.path).value("depends").split(",") if name)


def from_folder(
    kernels: Sequence[Kernel], kinds: Sequence[DriverKind], folder: Path, modules: Sequence[str] = ()
) -> tuple[Verification, ...]:
    """Drivers that somebody built before. Raises NotFoundError for a folder without any, IntegrityError."""
    found = find_artifacts(folder)
    verifications = []
    for kernel in kernels:
        drivers, missing = artifacts_for(found, kinds, kernel=kernel.key, release=kernel.release)
        verifications.append(
            Verification(kernel.key, kernel.release, _image(kernel, drivers, modules), drivers, missing)
        )
    return tuple(verifications)


def from_file(image: Path, release: str, kinds: Sequence[DriverKind], folder: Path) -> Verification:
    """A kernel that the index does not know, with drivers from a folder, chosen by their release.

    Raises NotFoundError where there is no such image or no driver for it, IntegrityError.
    """
    if not image.is_file():
        raise NotFoundError(f"{image}: no such kernel image", hint="Name an existing file with --kernel-image.")
    drivers, missing = artifacts_for(find_artifacts(folder), kinds, kernel="", release=release)
    if not drivers:
        raise NotFoundError(
            f"{folder}: holds no driver for {release}", hint="Build one for that kernel, or name its folder."
        )
    return Verification(file_key(image, release), release, partial(kernel_from_file, image, release), drivers, missing)


def file_key(image: Path, release: str) -> str:
    """What a kernel from outside the index is called in verdicts."""
    return f"file/x86_64/{release}/{image.name}"


def from_builds(
    kernels: Sequence[Kernel], results: Sequence[BuildResult], modules: Sequence[str] = ()
) -> tuple[Verification, ...]:
    """Drivers that the builder has or has just made; what could not be built is a kind that is missing."""
    verifications = []
    for kernel in kernels:
        mine = [result for result in results if result.kernel == kernel.key]
        drivers = tuple(
            under_test(FoundArtifact(result.artifact, result.record))
            for result in mine
            if result.artifact is not None and result.record is not None
        )
        missing = tuple((result.kind, f"not built: {result.reason}") for result in mine if not result.ok)
        verifications.append(
            Verification(kernel.key, kernel.release, _image(kernel, drivers, modules), drivers, missing)
        )
    return tuple(verifications)


def with_checks(verifications: Sequence[Verification], source: DriverSource) -> tuple[Verification, ...]:
    """The same with the foreign source's own check for each driver. An eBPF object without one cannot be judged: what
    loads it is the check. Raises StepError when the check programs cannot be built."""
    from builder.foreign import expand
    from builder.guest_check import build_check

    foreign = source.foreign
    assert foreign is not None
    files = build_check(source)
    found = []
    for one in verifications:
        drivers = []
        missing = list(one.missing)
        for driver in one.drivers:
            part = foreign.part(driver.kind)
            words = part.verify if part is not None else ()
            if not words and driver.kind is not DriverKind.KMOD:
                missing.append((driver.kind, f"driver.toml names no check (verify) of the {driver.kind} driver"))
                continue
            checked = replace(driver, check=GuestCheck((), files))
            values = {
                "name": foreign.name,
                "version": foreign.version,
                "kind": str(driver.kind),
                "driver": checked.guest_path,
            }
            drivers.append(replace(checked, check=GuestCheck(expand(words, values), files)))
        found.append(replace(one, drivers=tuple(drivers), missing=tuple(missing)))
    return tuple(found)
