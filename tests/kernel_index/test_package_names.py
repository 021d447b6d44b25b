"""Kernels from the names of their packages: every real package list, and what is special about some names."""

from __future__ import annotations

import collections

import pytest

from kdriver.core.kernel import PackageRole
from kernel_index.package_names import PackageName, kernel_part, split_file_name
from tests.kernel_index.known import known_kernels


def test_every_real_package_gives_release_build_and_architecture() -> None:
    listed = [kernel for kernel in known_kernels() if kernel["urls"]]
    packages: collections.Counter[PackageRole] = collections.Counter()
    for kernel in listed:
        parts = [kernel_part(split_file_name(url)) for url in kernel["urls"]]
        assert None not in parts, kernel
        packages.update(part.role for part in parts if part)
        found = {(part.release, part.build, part.arch) for part in parts if part and part.role is PackageRole.HEADERS}
        assert found == {(kernel["release"], kernel["build"], kernel["arch"])}
    print(f"{len(listed)} kernels parsed from {packages.total()} packages: {dict(packages)}")
    assert len(listed) == 318


@pytest.mark.parametrize(
    ("file_name", "role", "abi", "build"),
    [
        ("linux-headers-5.10.0-20-common-rt_5.10.158-1_all.deb", "headers-common", "5.10.0-20", "5.10.158-1"),
        ("linux-headers-6.12.107+deb12-common_6.12.107-1~deb12u1_all.deb", "headers-common", "6.12.107+deb12", None),
        ("linux-kbuild-4.19_4.19.152-1_amd64.deb", "kbuild", "4.19", "4.19.152-1"),
        ("linux-kbuild-6.12.107+deb12_6.12.107-1~deb12u1_amd64.deb", "kbuild", "6.12.107+deb12", None),
        ("linux-hwe-5.15-headers-5.15.0-59_5.15.0-59.65~20.04.1_all.deb", "headers-common", "5.15.0-59", "65~20.04.1"),
        ("linux-headers-4.4.0-104_4.4.0-104.127_all.deb", "headers-common", "4.4.0-104", "127"),
        ("linux-gcp-fips-headers-4.15.0-2032_4.15.0-2032.35_amd64.deb", "headers-common", "4.15.0-2032", "35"),
    ],
)
def test_parts_that_several_flavours_share(file_name: str, role: str, abi: str, build: str | None) -> None:
    part = kernel_part(split_file_name(file_name))
    assert part is not None
    assert (part.role, part.release, part.abi) == (role, "", abi)
    assert build is None or part.build == build


@pytest.mark.parametrize(
    ("name", "version", "arch", "release"),
    [
        ("kernel-debug-devel", "3.10.0-1160.el7", "x86_64", "3.10.0-1160.el7.x86_64.debug"),
        ("kernel-debug-devel", "4.18.0-348.el8", "x86_64", "4.18.0-348.el8.x86_64+debug"),
        ("kernel-rt-devel", "4.18.0-305.93.1.rt7.168.el8_4", "x86_64", "4.18.0-305.93.1.rt7.168.el8_4.x86_64"),
        ("kernel-rt-debug-devel", "4.18.0-305.rt7.72.el8", "x86_64", "4.18.0-305.rt7.72.el8.x86_64+debug"),
        ("kernel-rt-devel", "5.14.0-427.20.1.el9_4", "x86_64", "5.14.0-427.20.1.el9_4.x86_64+rt"),
        ("kernel-64k-debug-devel", "5.14.0-583.el9", "aarch64", "5.14.0-583.el9.aarch64+64k-debug"),
        ("kernel-ml-devel", "6.4.1-1.el9.elrepo", "aarch64", "6.4.1-1.el9.elrepo.aarch64"),
        ("kernel-uek-devel", "0:5.15.0-102.110.5.1.el8uek", "x86_64", "5.15.0-102.110.5.1.el8uek.x86_64"),
        ("kernel-plus-devel", "3.10.0-862.14.4.el7.centos.plus", "x86_64", "3.10.0-862.14.4.el7.centos.plus.x86_64"),
    ],
)
def test_the_variants_of_rpm_kernels(name: str, version: str, arch: str, release: str) -> None:
    part = kernel_part(PackageName(name, version, arch, rpm=True))
    assert part is not None
    assert (part.role, part.release, part.build) == (PackageRole.HEADERS, release, "1")


def test_metadata_decides_over_the_name() -> None:
    package = PackageName("kernel-core", "5.14.0-427.el9", "x86_64", rpm=True)
    part = kernel_part(package, uname_r="5.14.0-427.el9.x86_64+rt")
    assert part is not None
    assert part.release == "5.14.0-427.el9.x86_64+rt"


@pytest.mark.parametrize(
    "package",
    [
        pytest.param(PackageName("kernel", "4.18.0-348.el8", "x86_64", rpm=True), id="empty since el8"),
        pytest.param(PackageName("kernel-headers", "4.18.0-348.el8", "x86_64", rpm=True), id="user space headers"),
        pytest.param(PackageName("kernel-devel", "9.9", "x86_64", rpm=True), id="no release"),
        pytest.param(PackageName("linux-headers-amd64", "6.1.192-2", "amd64", rpm=False), id="metapackage"),
        pytest.param(PackageName("linux-libc-dev", "6.1.192-2", "amd64", rpm=False), id="libc"),
    ],
)
def test_what_is_no_part_of_a_kernel(package: PackageName) -> None:
    assert kernel_part(package) is None


def test_el7_keeps_the_kernel_in_the_package_of_that_name() -> None:
    part = kernel_part(split_file_name("kernel-3.10.0-957.el7.x86_64.rpm"))
    assert part is not None
    assert part.role is PackageRole.IMAGE


def test_addresses_are_unquoted() -> None:
    url = "http://mirror.example/pool/linux-headers-6.12.107%2Bdeb12-amd64_6.12.107-1%7Edeb12u1_amd64.deb"
    assert split_file_name(url) == PackageName(
        "linux-headers-6.12.107+deb12-amd64", "6.12.107-1~deb12u1", "amd64", rpm=False
    )


@pytest.mark.parametrize(
    "name", ["", "x.deb", "linux_6.1_amd64.deb.part", "a_1_../b_amd64.deb", "k-1-1.rpm", "n" * 400]
)
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"not the name of|at most 255"):
        split_file_name(name)
