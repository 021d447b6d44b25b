"""AlmaLinux: its kernels are twins of RHEL's, and of use where RHEL's own packages are not to be had."""

from __future__ import annotations

from kernel_index.distros.rpmlike import RpmLike


class AlmaLinux(RpmLike):
    """AlmaLinux."""

    family = "almalinux"


FAMILY = AlmaLinux()
