"""CentOS: Linux 7 and 8, whose vault keeps every package of every minor release; Stream, whose mirrors keep few."""

from __future__ import annotations

from kernel_index.distros.rpmlike import RpmLike


class CentOS(RpmLike):
    """CentOS Linux and CentOS Stream."""

    family = "centos"


FAMILY = CentOS()
