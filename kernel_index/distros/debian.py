"""Debian. `uname -r` is the name of an ABI; the package version stands in `uname -v` after the word Debian."""

from __future__ import annotations

from kernel_index.distros.deblike import DebianLike


class Debian(DebianLike):
    """Debian 9 and later."""

    family = "debian"

    def build(self, version: str) -> str:
        """`uname -v` of 6.1.0-56-amd64 ends in `Debian 6.1.192-2 (2026-…)`: the version of the source package `linux`,
        which signed images carry as their own."""
        return version


FAMILY = Debian()
