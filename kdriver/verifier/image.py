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
from kdriver.inspect.vmlinux import extract_vmlinux, has_pvh_note
from kdriver.packages.deb import unpack_deb
from kdriver.packages.kernel_files import find_kernel_image, kernel_image_names
from kdriver.verifier.modules import unpack_modules

logger = logging.getLogger(__name__)

_UNCOMPRESSED = "vmlinux"
_COMPRESSED = "bzImage"


@dataclass(frozen=True, slots=True)
class GuestKernel:
    """A bootable kernel. path: an ELF with a PVH note (pvh) or else the distribution's bzImage.

    sha256: of the package or file that it came from. modules: of this kernel, to be inserted in this order.
    """

    path: Path
    release: str
    sha256: str
    pvh: bool
    modules: tuple[Path, ...] = ()


def kernel_from_package(package: Path, release: str, modules: Sequence[str] = ()) -> GuestKernel:
    """The kernel of an image package (.deb). Unpacked once for each package, by its digest.

    modules: names of modules that the guest needs before any driver; what they depend on comes with them.
    Raises IntegrityError for a damaged package, NotFoundError when it holds no kernel of that release, or no
    module of such a name.
    """
    sha256 = _digest(package)

    def put_image(into: Path) -> Path:
        if package.suffix != ".deb":
            raise ConfigError(
                f"{package.name}: is no Debian package",
                hint="Name the kernel file itself with --kernel-image FILE --release RELEASE.",
            )
        wanted = kernel_image_names(release)
        unpack_deb(package, into, members=lambda name: name in wanted, count=1)
        try:
            return find_kernel_image(into, release)
        except NotFoundError as error:
            raise NotFoundError(f"{package.name}: {error.message}", hint=error.hint) from error

    kernel = _prepared(put_image, release, sha256)
    if not modules:
        return kernel
    # Beside the kernel, under a name that says which modules; unpacked anew each time, for they are rarely needed.
    place = kernel.path.parent.parent / f"{sha256}-modules-{'-'.join(modules)}"
    return replace(kernel, modules=unpack_modules(package, release, modules, place))


def kernel_from_file(image: Path, release: str) -> GuestKernel:
    """A kernel that somebody names: a bzImage, or an uncompressed ELF.

    Raises NotFoundError when there is no such file, IntegrityError when it is neither.
    """
    if not image.is_file():
        raise NotFoundError(f"{image}: no such kernel image", hint="Name an existing file with --kernel-image.")

    def put_image(into: Path) -> Path:
        return Path(shutil.copy(image, into / "image"))

    return _prepared(put_image, release, _digest(image))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _prepared(put_image: Callable[[Path], Path], release: str, sha256: str) -> GuestKernel:
    """From the cache, or made: uncompressed where the kernel can be started by PVH, because unpacking itself
    costs an emulated guest up to six seconds."""
    kept = cache_dir() / "images" / sha256[:2] / sha256
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{sha256}.", dir=kept.parent) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            _make(put_image(Path(scratch)), made)
            with contextlib.suppress(FileExistsError):  # somebody else was faster
                _rename_folder(made, kept)
    pvh = (kept / _UNCOMPRESSED).is_file()
    return GuestKernel(kept / (_UNCOMPRESSED if pvh else _COMPRESSED), release, sha256, pvh)


def _make(image: Path, made: Path) -> None:
    if image.read_bytes()[:4] != b"\x7fELF":
        shutil.copy(image, made / _COMPRESSED)
    try:
        vmlinux = extract_vmlinux(image, made / _UNCOMPRESSED)
        if has_pvh_note(vmlinux):
            (made / _COMPRESSED).unlink(missing_ok=True)
            return
        vmlinux.unlink()
    except IntegrityError as error:
        # A compression that kdriver cannot read is no obstacle: the kernel unpacks itself.
        logger.info("%s: boots compressed: %s", image.name, error.message)
        (made / _UNCOMPRESSED).unlink(missing_ok=True)
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
