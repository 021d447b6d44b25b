"""What changed between two indexes."""

from __future__ import annotations

import dataclasses

from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.difference import Change, compare_kernels
from kernel_index.stats import count_kernels

HEADERS = Package(PackageRole.HEADERS, "headers", "1", "amd64", "main", "pool/headers.deb", 1, "a" * 64)
IMAGE = dataclasses.replace(HEADERS, role=PackageRole.IMAGE, name="image", path="pool/image.deb")


def kernel(release: str, *packages: Package, row: str = "debian12", gone: str = "", arch: str = "x86_64") -> Kernel:
    return Kernel(
        "debian", row, release, "1", "1", arch, "amd64", packages, first_seen="2026-01-01", last_seen="2026-11-22",
        gone=gone,
    )  # fmt: skip


def test_new_and_vanished_kernels() -> None:
    one, two = kernel("6.1.0-1-amd64"), kernel("6.1.0-2-amd64")
    difference = compare_kernels([one], [two])
    assert (difference.new, difference.gone, difference.changed) == ((two,), (one,), ())


def test_a_kernel_that_is_marked_gone_is_gone() -> None:
    one = kernel("6.1.0-1-amd64")
    marked = dataclasses.replace(one, gone="2026-11-20")
    assert compare_kernels([one], [marked]).gone == (marked,)
    assert compare_kernels([marked], [marked]).gone == ()
    assert compare_kernels([], [marked]).new == ()


def test_the_same_kernel_in_two_releases_is_two() -> None:
    one = kernel("6.1.0-1-amd64")
    difference = compare_kernels([one], [one, dataclasses.replace(one, distro_release="debian11")])
    assert [found.distro_release for found in difference.new] == ["debian11"]


def test_changes_are_told_fact_by_fact_and_dates_are_none() -> None:
    old = kernel("6.1.0-1-amd64", HEADERS)
    new = dataclasses.replace(
        old,
        compiler="gcc-12",
        last_seen="2026-12-01",
        named_by=("linux-image-amd64",),
        packages=(dataclasses.replace(HEADERS, sha256="b" * 64), IMAGE),
    )
    ((found, changes),) = compare_kernels([old], [new]).changed
    assert found == new
    assert changes == (
        Change("compiler", "", "gcc-12"),
        Change("named_by", "", "linux-image-amd64"),
        Change("headers.sha256", "a" * 64, "b" * 64),
        Change("image", "", "image.deb"),
    )
    assert compare_kernels([old], [dataclasses.replace(old, last_seen="2026-12-01")]).changed == ()


def test_the_document() -> None:
    difference = compare_kernels([kernel("a", HEADERS)], [kernel("a"), kernel("b")])
    assert difference.to_json() == {
        "new": [{"key": "debian/x86_64/b/1", "distro_release": "debian12"}],
        "gone": [],
        "changed": [
            {
                "key": "debian/x86_64/a/1",
                "distro_release": "debian12",
                "changes": [{"what": "headers", "old": "headers.deb", "new": ""}],
            }
        ],
    }


def test_kernels_are_counted_by_release_and_architecture() -> None:
    kernels = [
        kernel("6.1.0-1-amd64", HEADERS, IMAGE),
        dataclasses.replace(kernel("6.1.0-2-amd64", HEADERS), authenticated=False),
        kernel("6.1.0-1-arm64", arch="aarch64"),
        kernel("5.10.0-1-amd64", IMAGE, row="debian11", gone="2026-11-01"),
    ]
    found = [
        (one.distro_release, one.arch, one.kernels, one.buildable, one.bootable, one.unauthenticated, one.gone)
        for one in count_kernels(kernels)
    ]
    assert found == [
        ("debian11", "x86_64", 1, 0, 1, 0, 1),
        ("debian12", "aarch64", 1, 0, 0, 0, 0),
        ("debian12", "x86_64", 2, 2, 1, 1, 0),
    ]
