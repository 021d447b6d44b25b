"""Where an unpacked kernel image package keeps the kernel and its modules."""

from __future__ import annotations

import re
from pathlib import Path

from kdriver.core.errors import NotFoundError
from kdriver.packages.archive import MemberFilter
from kdriver.packages.deb import unpack_deb
from kdriver.packages.rpm import unpack_rpm

_DEB_MAGIC = b"!<arch>\n"
_RPM_MAGIC = b"\xed\xab\xee\xdb"
_IMAGES = re.compile(r"boot/vmlinuz-[^/]+|(usr/)?lib/modules/[^/]+/vmlinuz")


def kernel_image_names(release: str) -> tuple[str, ...]:
    """The names that a bootable kernel of that `uname -r` has in a package: Debian and Ubuntu keep it in /boot;
    Debian from 6.19 on (package linux-binary), Fedora and RHEL 9 beside the modules, with or without /usr."""
    return (
        f"boot/vmlinuz-{release}",
        f"usr/lib/modules/{release}/vmlinuz",
        f"lib/modules/{release}/vmlinuz",
    )


def is_kernel_image(name: str) -> bool:
    """Whether a member of a package is a bootable kernel of whatever release; not the one that only rescues."""
    return bool(_IMAGES.fullmatch(name)) and "rescue" not in name


def is_package(path: Path) -> bool:
    """Whether a file is a .deb or .rpm, by its first bytes."""
    with path.open("rb") as file:
        return file.read(8).startswith((_DEB_MAGIC, _RPM_MAGIC))


def unpack_package(
    package: Path, into: Path, *, members: MemberFilter | None = None, count: int | None = None
) -> tuple[str, ...]:
    """Unpack a package file of either format, told by its first bytes. Raises as unpack_deb and unpack_rpm."""
    with package.open("rb") as file:
        is_rpm = file.read(4) == _RPM_MAGIC
    return (unpack_rpm if is_rpm else unpack_deb)(package, into, members=members, count=count)


def find_kernel_image(root: Path, release: str) -> Path:
    """The bootable kernel in an unpacked image package. Raises NotFoundError."""
    for name in kernel_image_names(release):
        if (root / name).is_file():
            return root / name
    raise NotFoundError(
        f"{release}: no kernel in the unpacked package; looked for {', '.join(kernel_image_names(release))}",
        hint="Update the index with `kdriver index update`.",
    )


def find_modules_dir(root: Path, release: str) -> Path:
    """The folder of a kernel's modules in an unpacked package. Raises NotFoundError."""
    for name in (f"lib/modules/{release}", f"usr/lib/modules/{release}"):
        if (root / name / "kernel").is_dir():
            return root / name
    raise NotFoundError(
        f"{release}: no modules in the unpacked package; looked in lib/modules and usr/lib/modules",
        hint="Unpack the kernel's package of role modules as well, where it has one.",
    )
