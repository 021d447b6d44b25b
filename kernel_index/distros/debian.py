"""Debian. `uname -r` is the name of an ABI; the package version stands in `uname -v` after the word Debian."""

from __future__ import annotations

import re

from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.distros.deblike import DebianLike

_SIGNED_SOURCE = re.compile(r"/linux-signed(-[0-9.]+)?-[a-z0-9]+/$")


class Debian(DebianLike):
    """Debian 9 and later."""

    family = "debian"
    release_pattern = re.compile(
        r"^(?P<abi>(?P<line>\d+\.\d+)[0-9.]*(?:\+[a-z0-9.]+)?"
        r"(?:-(?:(?:0\.[a-z]+\d*\.)?(?!686(?:-|$))\d+|trunk|rc\d+))?)"
        r"-(?P<flavour>(?!common|all(?:-|$))(?:686|[45]kc-|[a-z])[a-z0-9-]*)$"
    )
    """Of the eras: `4.9.0-19-amd64`, `4.19.0-0.bpo.6-amd64`, `5.10.0-0.deb10.24-amd64`, `6.1.0-56-686-pae`,
    `6.5.10-amd64`, `6.6.13+bpo-amd64`, `6.12.90+deb12.1-cloud-amd64`, `7.3-cloud-amd64`, `5.19.0-trunk-amd64`,
    `5.17.0-rc6-amd64`. Package names of metapackages and common headers are none."""
    header_roles = (PackageRole.HEADERS, PackageRole.HEADERS_COMMON, PackageRole.KBUILD)
    wanted_pattern = re.compile(r"^linux-(?:image|headers|kbuild|compiler|binary|modules)-")

    def build(self, version: str) -> str:
        """`uname -v` of 6.1.0-56-amd64 ends in `Debian 6.1.192-2 (2026-…)`: the version of the source package `linux`,
        which signed images carry as their own."""
        return version

    def derived_headers(self, kernel: Kernel) -> tuple[tuple[Package, ...], ...]:
        """Images of an ABI stay in the lists when its headers leave them (they come of another source package,
        `linux-signed-amd64`), and the headers' files are served for months more. Names follow from the image's."""
        image = kernel.package(PackageRole.IMAGE)
        match = self.release_pattern.match(kernel.release)
        if image is None or match is None:
            return ()
        folder = _SIGNED_SOURCE.sub(r"/linux\1/", image.path.rpartition("/")[0] + "/")
        abi, version = match["abi"], image.version

        def package(role: PackageRole, name: str, arch: str) -> Package:
            path = f"{folder}{name}_{version.partition(':')[2] or version}_{arch}.deb"
            return Package(role, name, version, arch, image.archive, path, 0, "", authenticated=False)

        own_common = [f"linux-headers-{abi}-common-rt"] if match["flavour"].startswith("rt-") else []
        return (
            (package(PackageRole.HEADERS, f"linux-headers-{kernel.release}", image.arch),),
            tuple(
                package(PackageRole.HEADERS_COMMON, name, "all")
                for name in (*own_common, f"linux-headers-{abi}-common")
            ),
            tuple(package(PackageRole.KBUILD, f"linux-kbuild-{name}", image.arch) for name in (abi, match["line"])),
        )


FAMILY = Debian()
