"""What `kdriver verify` judges: kernels with their images, and drivers from a folder or from the builder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from builder.bench import fetch_package
from builder.headers import kept_build_dir
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ConfigError, ExitCode, KdriverError, NotFoundError, error_of_status
from kdriver.core.kernel import FILE, Kernel, Package, PackageRole
from kdriver.core.paths import cache_dir
from kdriver.inspect.elf import read_module
from kdriver.packages.kernel_files import is_package
from kdriver.verifier.artifacts import FoundArtifact, artifacts_for, find_artifacts, under_test
from kdriver.verifier.image import GuestKernel, kernel_from_package
from kdriver.verifier.modules import sample_modules
from kdriver.verifier.plan import DriverUnderTest, GuestCheck
from kdriver.verifier.run import Bench, Verification, Verified

if TYPE_CHECKING:
    from builder.given import GivenKernel
    from builder.result import BuildResult
    from builder.source import DriverSource


@dataclass(frozen=True, slots=True)
class Target:
    """A kernel whose turn comes. make: builds what is not built and says what is to be judged; told of each stage.
    known: the same of what was built before, None where anything is to be built. fetch: brings packages here ahead of
    its turn. done: it has its verdicts. stop: ends what `make` does, for all targets of a batch. boot: judges elsewhere
    (None: here)."""

    kernel: str
    release: str
    make: Callable[[Callable[[str], None]], Verification]
    known: Callable[[], Verification | None]
    fetch: Callable[[], None] = lambda: None
    done: Callable[[], None] = lambda: None
    stop: Callable[[], None] = lambda: None
    boot: Callable[[Verification, Bench], tuple[Verified, ...]] | None = None


def ready(verification: Verification) -> Target:
    """A target of which everything is built."""
    return Target(verification.kernel, verification.release, lambda on_stage: verification, lambda: verification)


_MODULES = (PackageRole.MODULES, PackageRole.MODULES_CORE)


def image_package(kernel: Kernel) -> Package:
    """The package that holds the bootable kernel. Raises ConfigError where the index knows none."""
    package = kernel.package(PackageRole.IMAGE)
    if package is None:
        raise ConfigError(
            f"{kernel.key}: the index knows no image package of it", hint="Run `kdriver index update` and try again."
        )
    return package


def kernel_image(kernel: Kernel, modules: Sequence[str], mirrors: Sequence[str] = ()) -> GuestKernel:
    """The bootable kernel with these modules, downloaded where it is not in the cache. Raises what downloads and
    packages raise."""
    named = [
        package for package in kernel.packages if package.role in _MODULES and (modules or package.archive == FILE)
    ]
    sources = [fetch_package(kernel, package, mirrors) for package in named]
    image = fetch_package(kernel, image_package(kernel), mirrors)
    if sources and is_package(image):  # where a distribution packs modules apart, the image's package may hold some too
        sources.append(image)
    found = kernel_from_package(image, kernel.release, modules, sources)
    if named and image_package(kernel).archive == FILE:
        place = cache_dir() / "images" / f"{kernel.package_version}-sample"
        found = replace(found, others=sample_modules(sources, kernel.release, place))
    return found


def _image(
    kernel: Kernel, drivers: Sequence[DriverUnderTest], modules: Sequence[str], mirrors: Sequence[str] = ()
) -> Callable[[], GuestKernel]:
    """Brings the kernel here, with the modules that were asked for and those that the drivers depend on."""
    needed = dict.fromkeys([*modules, *(one for driver in drivers for one in _depends(driver))])
    return partial(kernel_image, kernel, tuple(needed), tuple(mirrors))


def image_sha256(kernel: Kernel) -> str:
    """Of a kernel's image package, empty where it is not known."""
    image = kernel.package(PackageRole.IMAGE)
    return image.sha256 if image is not None else ""


def _told_modules(kernel: Kernel, modules: Sequence[str]) -> tuple[str, ...]:
    """What a verdict says of the modules: their names, and of a kernel from outside the index, which of that name."""
    places = [package for package in kernel.packages if package.role in _MODULES and package.archive == FILE]
    if not modules or not places:
        return tuple(modules)
    digest = hashlib.sha256()
    for package in places:
        digest.update(package.sha256.encode())
        folder = Path(package.path)
        for name in modules if folder.is_dir() else ():
            for path in sorted(folder.rglob("*.ko*")):
                if path.name.partition(".")[0].replace("-", "_") == name.replace("-", "_"):
                    digest.update(path.read_bytes())
    return (*modules, f"of {digest.hexdigest()[:12]}")


def _depends(driver: DriverUnderTest) -> tuple[str, ...]:
    """What a module says it needs (modinfo `depends`); kdriver's own needs nothing."""
    if driver.kind is not DriverKind.KMOD or driver.name == "kdriver":
        return ()
    return tuple(name for name in read_module(driver.path).value("depends").split(",") if name)


def from_folder(
    kernels: Sequence[Kernel],
    kinds: Sequence[DriverKind],
    folder: Path,
    modules: Sequence[str] = (),
    mirrors: Sequence[str] = (),
) -> tuple[Verification, ...]:
    """Drivers that somebody built before. Raises NotFoundError for a folder without any, IntegrityError."""
    found = find_artifacts(folder)
    verifications = []
    for kernel in kernels:
        drivers, missing = artifacts_for(found, kinds, kernel=kernel.key, release=kernel.release)
        image, headers = _image(kernel, drivers, modules, mirrors), kept_build_dir(kernel, cache_dir() / "headers")
        verifications.append(
            Verification(
                kernel.key,
                kernel.release,
                image,
                drivers,
                missing,
                headers=headers,
                image_sha256=image_sha256(kernel),
                modules=_told_modules(kernel, modules),
            )
        )
    return tuple(verifications)


def from_given(
    given: GivenKernel, kinds: Sequence[DriverKind], folder: Path, modules: Sequence[str] = (), btf: Path | None = None
) -> Verification:
    """A kernel that the index does not know, with drivers from a folder, chosen by their release.

    Raises NotFoundError where there is no driver for it, ConfigError where there are several, IntegrityError.
    """
    kernel = given.kernel
    lacking = dict(given.lacking)
    wanted = [kind for kind in kinds if kind not in lacking]
    drivers, missing = artifacts_for(find_artifacts(folder), wanted, kernel="", release=kernel.release)
    if not drivers:
        raise NotFoundError(
            f"{folder}: holds no driver for {kernel.release}", hint="Build one for that kernel, or name its folder."
        )
    none = tuple((kind, lacking[kind]) for kind in kinds if kind in lacking)
    image = _image(kernel, drivers, modules)
    return Verification(
        kernel.key,
        kernel.release,
        image,
        drivers,
        missing,
        btf,
        kept_build_dir(kernel, cache_dir() / "headers"),
        none,
        image_sha256(kernel),
        _told_modules(kernel, modules),
    )


def from_builds(
    kernels: Sequence[Kernel],
    results: Sequence[BuildResult],
    modules: Sequence[str] = (),
    btf: Path | None = None,
    lacking: Mapping[DriverKind, str] | None = None,
    mirrors: Sequence[str] = (),
) -> tuple[Verification, ...]:
    """Drivers that the builder has or has just made; what could not be built is a kind that is missing. lacking: kinds
    that cannot work on any of these kernels, with the reason."""
    verifications = []
    for kernel in kernels:
        mine = [result for result in results if result.kernel == kernel.key]
        drivers = tuple(
            under_test(FoundArtifact(result.artifact, result.record))
            for result in mine
            if result.artifact is not None and result.record is not None
        )
        failed = {result.kind: f"not built: {result.reason}" for result in mine if not result.ok}
        none = {kind: reason for kind, reason in (lacking or {}).items() if kind in failed}
        missing = tuple((kind, reason) for kind, reason in failed.items() if kind not in none)
        unbuilt = tuple((result.kind, _build_error(result)) for result in mine if not result.ok)
        verifications.append(
            Verification(
                kernel.key,
                kernel.release,
                _image(kernel, drivers, modules, mirrors),
                drivers,
                missing,
                btf,
                kept_build_dir(kernel, cache_dir() / "headers"),
                tuple(none.items()),
                image_sha256(kernel),
                _told_modules(kernel, modules),
                unbuilt,
            )
        )
    return tuple(verifications)


def _build_error(result: BuildResult) -> KdriverError:
    """What a build that gave no driver would have exited with; one that was not to be tried did not find any."""
    status = result.exit_code if result.exit_code is not ExitCode.DONE else ExitCode.NOT_FOUND
    return error_of_status(int(status), result.reason, hint=result.hint or None)


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
