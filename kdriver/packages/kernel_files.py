"""Where an unpacked kernel image package keeps the kernel and its modules."""

from __future__ import annotations

from pathlib import Path

from kdriver.core.errors import NotFoundError


def kernel_image_names(release: str) -> tuple[str, ...]:
    """The names that a bootable kernel of that `uname -r` has in a package: Debian and Ubuntu keep it in /boot;
    Debian from 6.19 on (package linux-binary), Fedora and RHEL 9 beside the modules, with or without /usr."""
    return (
        f"boot/vmlinuz-{release}",
        f"usr/lib/modules/{release}/vmlinuz",
        f"lib/modules/{release}/vmlinuz",
    )


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
