"""How kernels are put together from RPM packages: every form seen in CentOS's and RHEL's repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdriver.core.kernel import Kernel
from kernel_index.distros.centos import FAMILY
from kernel_index.suites import BinaryPackage, Suite, SuiteRecord
from kernel_index.table import DistroRow, load_table, select_rows

TABLE = load_table(Path(__file__).parents[3] / "kernel_index" / "distros.toml")


def row(row_id: str) -> DistroRow:
    """A row of kdriver's own table."""
    return select_rows(TABLE, row_id)[0]


def package(name: str, version: str, arch: str = "x86_64", *, provides: str = "", depends: str = "") -> BinaryPackage:
    """A package of a list."""
    path = f"os/Packages/{name}-{version.rpartition(':')[2]}.{arch}.rpm"
    return BinaryPackage(name, version, arch, "kernel", depends, path, 100, "a" * 64, provides=provides)


def suite(name: str, *packages: BinaryPackage, authenticated: bool = True, checked: str = "2026-11-22") -> Suite:
    """A repository that holds them."""
    record = SuiteRecord("vault", name, "2020-01-01", "", checked, True, "", (), "", (), authenticated=authenticated)
    return Suite(record, packages)


def kernels(row_id: str, *suites: Suite) -> dict[str, Kernel]:
    """`uname -r` to the kernel, in the order given."""
    return {one.release: one for one in FAMILY.kernels(row(row_id), suites)}


def parts(one: Kernel) -> list[str]:
    """Role and name of its packages, in order."""
    return [f"{package.role} {package.name}" for package in one.packages]


def test_a_kernel_of_el7_has_headers_and_an_image() -> None:
    found = kernels(
        "centos7", suite("os", package("kernel", "3.10.0-957.el7"), package("kernel-devel", "3.10.0-957.el7"))
    )
    one = found["3.10.0-957.el7.x86_64"]
    assert parts(one) == ["headers kernel-devel", "image kernel"]
    assert one.key == "centos/x86_64/3.10.0-957.el7.x86_64/3.10.0-957.el7"
    assert (one.build, one.flavour, one.compiler, one.libc) == ("1", "generic", "gcc-4.8.5", "2.17")
    assert one.authenticated and one.last_seen == "2026-11-22"


def test_a_kernel_of_el8_has_its_image_in_core_and_none_in_the_empty_kernel() -> None:
    names = ("kernel", "kernel-core", "kernel-modules", "kernel-devel")
    found = kernels("centos8", suite("BaseOS", *(package(name, "4.18.0-348.el8") for name in names)))
    assert parts(found["4.18.0-348.el8.x86_64"]) == [
        "headers kernel-devel",
        "image kernel-core",
        "modules kernel-modules",
    ]


def test_a_kernel_of_el9_is_put_together_from_two_repositories() -> None:
    version = "5.14.0-427.13.1.el9_4"
    base = suite("BaseOS", *(package(f"kernel-{part}", version) for part in ("modules", "core", "modules-core")))
    found = kernels("centos9", base, suite("AppStream", package("kernel-devel", version)))
    assert parts(found[f"{version}.x86_64"]) == [
        "headers kernel-devel",
        "image kernel-core",
        "modules-core kernel-modules-core",
        "modules kernel-modules",
    ]
    assert found[f"{version}.x86_64"].compiler == "gcc-11.4.1"


@pytest.mark.parametrize(
    ("row_id", "name", "version", "arch", "release", "flavour"),
    [
        pytest.param(
            "centos7", "kernel-debug-devel", "3.10.0-957.el7", "x86_64", "3.10.0-957.el7.x86_64.debug", "debug",
            id="el7-debug",
        ),
        pytest.param(
            "centos7", "kernel-plus-devel", "3.10.0-957.el7.centos.plus", "x86_64",
            "3.10.0-957.el7.centos.plus.x86_64", "plus", id="centosplus",
        ),
        pytest.param(
            "centos7", "kernel-rt-devel", "3.10.0-693.rt56.617.el7", "x86_64", "3.10.0-693.rt56.617.el7.x86_64", "rt",
            id="el7-rt",
        ),
        pytest.param(
            "centos7", "kernel-devel", "4.18.0-193.28.1.el7", "aarch64", "4.18.0-193.28.1.el7.aarch64", "generic",
            id="altarch",
        ),
        pytest.param(
            "centos7", "kernel-devel", "4.14.0-115.el7a", "aarch64", "4.14.0-115.el7a.aarch64", "generic", id="el7a",
        ),
        pytest.param(
            "centos8", "kernel-debug-devel", "4.18.0-348.7.1.el8_5", "x86_64", "4.18.0-348.7.1.el8_5.x86_64+debug",
            "debug", id="el8-debug",
        ),
        pytest.param(
            "centos8", "kernel-rt-devel", "4.18.0-305.93.1.rt7.168.el8_4", "x86_64",
            "4.18.0-305.93.1.rt7.168.el8_4.x86_64", "rt", id="el8-rt",
        ),
        pytest.param(
            "centos9", "kernel-rt-devel", "5.14.0-427.el9", "x86_64", "5.14.0-427.el9.x86_64+rt", "rt",
            id="el9-rt",
        ),
        pytest.param(
            "centos9", "kernel-64k-devel", "5.14.0-583.el9", "aarch64", "5.14.0-583.el9.aarch64+64k", "64k",
            id="64k",
        ),
        pytest.param(
            "centos9", "kernel-64k-debug-devel", "5.14.0-583.el9", "aarch64",
            "5.14.0-583.el9.aarch64+64k-debug", "64k-debug", id="64k-debug",
        ),
        pytest.param(
            "centos10", "kernel-rt-64k-devel", "6.12.0-55.el10", "aarch64", "6.12.0-55.el10.aarch64+rt-64k",
            "rt-64k", id="rt-64k",
        ),
    ],
)  # fmt: skip
def test_the_odd_names(row_id: str, name: str, version: str, arch: str, release: str, flavour: str) -> None:
    (one,) = kernels(row_id, suite("os", package(name, version, arch))).values()
    assert (one.release, one.flavour, one.arch) == (release, flavour, arch)


def test_what_a_package_provides_decides_over_its_name() -> None:
    provided = "kernel-64k-devel-uname-r (= 5.14.0-583.el9.aarch64+64k)"
    found = kernels("centos9", suite("os", package("kernel-64k-devel", "5.14.0-583.el9", "aarch64", provides=provided)))
    assert list(found) == ["5.14.0-583.el9.aarch64+64k"]


def test_headers_of_another_build_are_not_taken() -> None:
    found = kernels(
        "centos7", suite("os", package("kernel", "3.10.0-957.el7"), package("kernel-devel", "3.10.0-957.1.3.el7"))
    )
    assert parts(found["3.10.0-957.el7.x86_64"]) == ["image kernel"]
    assert parts(found["3.10.0-957.1.3.el7.x86_64"]) == ["headers kernel-devel"]


def test_kernels_are_in_rpms_order() -> None:
    numbers = ("1062.el7", "123.el7", "1160.11.1.el7", "1160.9.1.el7", "957.el7")
    found = kernels("centos7", suite("os", *(package("kernel", f"3.10.0-{number}") for number in numbers)))
    assert [release.split("-")[1] for release in found] == [
        "123.el7.x86_64", "957.el7.x86_64", "1062.el7.x86_64", "1160.9.1.el7.x86_64", "1160.11.1.el7.x86_64",
    ]  # fmt: skip


def test_the_newest_of_every_line_and_flavour_is_named() -> None:
    numbers = ("957.el7", "957.12.2.el7", "1160.119.1.el7", "1160.el7")
    found = kernels(
        "centos7",
        suite("os", *(package("kernel", f"3.10.0-{number}") for number in numbers)),
        suite("os", package("kernel-debug", "3.10.0-957.el7")),
    )
    assert {release: one.named_by for release, one in found.items() if one.named_by} == {
        "3.10.0-957.12.2.el7.x86_64": ("3.10.0-957/kernel",),
        "3.10.0-1160.119.1.el7.x86_64": ("3.10.0-1160/kernel", "kernel"),
        "3.10.0-957.el7.x86_64.debug": ("3.10.0-957/kernel-debug", "kernel-debug"),
    }


@pytest.mark.parametrize(
    ("release", "line"),
    [
        ("3.10.0-1160.76.1.el7.x86_64", "3.10.0-1160"),
        ("4.18.0-348.el8.x86_64", "4.18.0-348"),
        ("4.18.0-358.el8.x86_64", "4.18.0"),
        ("5.14.0-427.13.1.el9_4.x86_64+rt", "5.14.0-427"),
        ("no release", ""),
    ],
)
def test_the_line_of_a_release(release: str, line: str) -> None:
    assert FAMILY.line(release) == line


def test_of_equal_packages_the_authenticated_one_is_taken() -> None:
    devel = package("kernel-devel", "3.10.0-957.el7")
    found = kernels("centos7", suite("loose", devel, authenticated=False), suite("os", devel))
    one = found["3.10.0-957.el7.x86_64"]
    assert one.authenticated and [package.authenticated for package in one.packages] == [True]
    loose = kernels("centos7", suite("loose", devel, authenticated=False))["3.10.0-957.el7.x86_64"]
    assert not loose.authenticated and not loose.packages[0].authenticated


def test_an_architecture_that_the_row_lacks_and_modules_alone_are_no_kernel() -> None:
    assert not kernels("centos8", suite("os", package("kernel-core", "4.18.0-348.el8", "s390x")))
    assert not kernels("centos8", suite("os", package("kernel-modules", "4.18.0-348.el8")))


@pytest.mark.parametrize(
    ("release", "compiler"),
    [
        ("3.10.0-123.el7", "gcc-4.8.2"),
        ("3.10.0-229.el7", "gcc-4.8.2"),
        ("3.10.0-229.7.2.el7", "gcc-4.8.3"),
        ("3.10.0-327.28.2.el7", "gcc-4.8.3"),
        ("3.10.0-327.36.3.el7", "gcc-4.8.5"),
        ("4.18.0-193.28.1.el7", "gcc-8.3.1"),
        ("4.18.0-80.7.1.el8_0", "gcc-8.2.1"),
        ("4.18.0-240.22.1.el8_3", "gcc-8.3.1"),
        ("4.18.0-372.9.1.el8", "gcc-8.5.0"),
        ("5.14.0-284.11.1.el9_2", "gcc-11.3.1"),
        ("6.12.0-55.el10", "gcc-14.2.1"),
        ("6.3.3-1.el9.elrepo", ""),
    ],
)
def test_the_compiler_where_no_metadata_says_it(release: str, compiler: str) -> None:
    from kernel_index.releases import parse_release
    from kernel_index.rpm.tools import compiler_of

    assert compiler_of(parse_release(f"{release}.x86_64"), None) == compiler


def test_what_the_headers_require_decides_over_the_table() -> None:
    depends = "gcc-toolset-13-gcc, libc.so.6(GLIBC_2.28)(64bit), libc.so.6(GLIBC_2.34)(64bit)"
    found = kernels("centos9", suite("os", package("kernel-devel", "5.14.0-427.el9", depends=depends)))
    one = found["5.14.0-427.el9.x86_64"]
    assert (one.compiler, one.libc) == ("gcc-13", "2.34")


def test_suites_are_expanded_by_architecture() -> None:
    centos7 = row("centos7")
    assert "7.9.2009/updates/x86_64" in FAMILY.suites(centos7, centos7.archive("vault"))
    assert "7.9.2009/os/ppc64le" in FAMILY.suites(centos7, centos7.archive("altarch"))
    assert not [one for one in FAMILY.suites(centos7, centos7.archive("altarch")) if "x86_64" in one or "$" in one]


def test_only_what_can_be_a_part_of_a_kernel_is_kept() -> None:
    names = (
        "kernel",
        "kernel-rt-64k-debug-modules-core",
        "kernel-headers",
        "kernel-modules-extra",
        "kernel-tools",
        "bash",
    )
    assert [name for name in names if FAMILY.wanted(name)] == ["kernel", "kernel-rt-64k-debug-modules-core"]
