"""The kernel that a guest boots, out of its distribution's own image package, kept by the package's digest."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kdriver.core.errors import ConfigError, IntegrityError, NotFoundError
from kdriver.core.paths import cache_dir
from kdriver.inspect.vmlinux import extract_vmlinux, has_pvh_note, kernel_version
from kdriver.packages.kernel_files import (
    find_kernel_image,
    is_kernel_image,
    is_package,
    kernel_image_names,
    unpack_package,
)
from kdriver.verifier.kernel_facts import NO_FACTS, KernelFacts, has_facts, read_facts, write_facts
from kdriver.verifier.modules import unpack_modules

logger = logging.getLogger(__name__)

_UNCOMPRESSED = "vmlinux"
_COMPRESSED = "bzImage"
_IMAGE_PLACES = (
    "boot/vmlinuz-*",
    "usr/lib/modules/*/vmlinuz",
    "lib/modules/*/vmlinuz",
    "arch/x86/boot/bzImage",
    "bzImage",
    "vmlinuz*",
    "vmlinux",
)
"""Where a folder may keep its kernel: an unpacked package, a build tree, a folder of files. The first that is there."""


@dataclass(frozen=True, slots=True)
class GuestKernel:
    """A bootable kernel. path: an ELF with a PVH note (pvh) or else the distribution's bzImage.

    sha256: of the package or file that it came from. modules: of this kernel, to be inserted in this order. facts: what
    its file says. others: some more modules of its own, to compare drivers with.
    """

    path: Path
    release: str
    sha256: str
    pvh: bool
    modules: tuple[Path, ...] = ()
    facts: KernelFacts = NO_FACTS
    others: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class NamedImage:
    """A kernel image that somebody named. path: a package or the image itself. release, version: its `uname -r` and
    `uname -v`, empty where it does not say."""

    path: Path
    release: str
    version: str


def named_image(path: Path) -> NamedImage:
    """What a kernel image is: a bzImage or vmlinux, a package (.deb, .rpm) that holds one, or a folder that does.

    Raises NotFoundError when there is none, ConfigError when a folder holds several, IntegrityError for a damaged
    package.
    """
    if path.is_dir():
        return named_image(_image_in(path))
    if not path.is_file():
        raise NotFoundError(f"{path}: no such kernel image", hint="Name an existing file with --kernel-image.")
    if not is_package(path):
        return NamedImage(path, *kernel_version(path))
    with tempfile.TemporaryDirectory(prefix="kdriver-image-") as scratch:
        names = unpack_package(path, Path(scratch), members=is_kernel_image, count=1)
        if not names:
            raise NotFoundError(
                f"{path.name}: no kernel is in the package; looked for boot/vmlinuz-* and lib/modules/*/vmlinuz",
                hint="Name the package that holds the kernel itself (linux-image-*, linux-binary-*, kernel-core).",
            )
        return NamedImage(path, *kernel_version(Path(scratch) / names[0]))


def _image_in(folder: Path) -> Path:
    for pattern in _IMAGE_PLACES:
        found = sorted({path.resolve() for path in folder.glob(pattern) if path.is_file()})
        if len(found) > 1:
            raise ConfigError(
                f"{folder}: holds several kernels: {', '.join(path.name for path in found)}",
                hint="Name one of the files with --kernel-image.",
            )
        if found:
            return found[0]
    raise NotFoundError(
        f"{folder}: no kernel is in the folder; looked for {', '.join(_IMAGE_PLACES)}",
        hint="Name the kernel's file with --kernel-image.",
    )


def kernel_from_package(
    package: Path, release: str, modules: Sequence[str] = (), sources: Sequence[Path] = ()
) -> GuestKernel:
    """The kernel of an image package (.deb or .rpm), or a kernel image. Unpacked once for each, by its digest.

    modules: names of modules that the guest needs before any driver; what they depend on comes with them. sources:
    where they are (packages, folders), where the image package does not hold them.
    Raises IntegrityError for a damaged package or a file that is no kernel, NotFoundError when it holds no kernel of
    that release, or no module of such a name.
    """
    if not package.is_file():
        raise NotFoundError(f"{package}: no such kernel image", hint="Name an existing file with --kernel-image.")
    sha256 = _digest(package)
    packed = is_package(package)

    def put_image(into: Path) -> Path:
        if not packed:
            return Path(shutil.copy(package, into / "image"))
        wanted = kernel_image_names(release)
        unpack_package(package, into, members=lambda name: name in wanted, count=1)
        try:
            return find_kernel_image(into, release)
        except NotFoundError as error:
            raise NotFoundError(f"{package.name}: {error.message}", hint=error.hint) from error

    kernel = _prepared(put_image, release, sha256)
    if not modules:
        return kernel
    # Beside the kernel, under a name that says which modules; unpacked anew each time, for they are rarely needed.
    place = kernel.path.parent.parent / f"{sha256}-modules-{'-'.join(modules)}"
    places = sources or ((package,) if packed else ())
    if not places:
        raise ConfigError(f"{package.name}: a file alone holds no modules", hint="Say where they are with --modules.")
    return replace(kernel, modules=unpack_modules(places, release, modules, place))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _prepared(put_image: Callable[[Path], Path], release: str, sha256: str) -> GuestKernel:
    """From the cache, or made: uncompressed where the kernel can be started by PVH, because unpacking itself
    costs an emulated guest up to six seconds."""
    kept = cache_dir() / "images" / sha256[:2] / sha256
    if not has_facts(kept):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{sha256}.", dir=kept.parent) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            _make(put_image(Path(scratch)), made)
            if kept.is_dir() and not has_facts(kept):  # unpacked when facts were not noted yet
                shutil.rmtree(kept)
            with contextlib.suppress(FileExistsError):  # somebody else was faster
                _rename_folder(made, kept)
    pvh = (kept / _UNCOMPRESSED).is_file()
    path = kept / (_UNCOMPRESSED if pvh else _COMPRESSED)
    return GuestKernel(path, release, sha256, pvh, facts=read_facts(kept))


def _make(image: Path, made: Path) -> None:
    if image.read_bytes()[:4] != b"\x7fELF":
        shutil.copy(image, made / _COMPRESSED)
    try:
        vmlinux = extract_vmlinux(image, made / _UNCOMPRESSED)
        write_facts(vmlinux, made)
        if has_pvh_note(vmlinux):
            (made / _COMPRESSED).unlink(missing_ok=True)
            return
        vmlinux.unlink()
    except IntegrityError as error:
        # A compression that kdriver cannot read is no obstacle: the kernel unpacks itself.
        logger.info("%s: boots compressed: %s", image.name, error.message)
        (made / _UNCOMPRESSED).unlink(missing_ok=True)
        write_facts(None, made)
        if image.read_bytes()[514:518] != b"HdrS":
            raise
    if not (made / _COMPRESSED).exists():
        raise IntegrityError(
            f"{image.name}: is an uncompressed kernel without a PVH note, which QEMU cannot start",
            hint="Name the compressed kernel (bzImage) instead.",
        )


def _rename_folder(made: Path, kept: Path) -> None:
    try:
        made.rename(kept)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise FileExistsError(str(kept)) from error
