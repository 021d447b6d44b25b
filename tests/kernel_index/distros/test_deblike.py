"""How kernels are put together from packages: every form that Debian's suites were seen to hold."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kdriver.core.kernel import Kernel, PackageRole
from kernel_index.distros.debian import FAMILY
from kernel_index.suites import BinaryPackage, Suite, SuiteRecord
from kernel_index.table import load_table, select_rows
from tests.fakes.apt_repository import Entry, kernel

ROW = select_rows(load_table(Path(__file__).parents[3] / "kernel_index" / "distros.toml"), "debian12")[0]


def suite(name: str, entries: list[Entry], *, automatic: bool = True, checked: str = "2026-11-22") -> Suite:
    """A suite that holds the entries."""
    packages = tuple(
        BinaryPackage(
            entry.name,
            entry.version,
            entry.arch,
            "linux",
            entry.depends,
            entry.path,
            len(entry.content),
            hashlib.sha256(entry.content).hexdigest(),
        )
        for entry in entries
        if FAMILY.wanted(entry.name)
    )
    return Suite(SuiteRecord("main", name, "", "", checked, automatic, "", (), "", ()), packages)


def kernels(*suites: Suite) -> dict[str, Kernel]:
    """`uname -r` to the kernel."""
    return {one.release: one for one in FAMILY.kernels(ROW, suites)}


def names(one: Kernel) -> dict[str, str]:
    """Role to the package's name and version."""
    return {str(package.role): f"{package.name} {package.version}" for package in one.packages}


@pytest.mark.parametrize(
    ("release", "line", "flavour"),
    [
        pytest.param("6.1.0-56-amd64", "6.1", "amd64", id="stable"),
        pytest.param("6.1.0-0.deb11.52-cloud-amd64", "6.1", "cloud-amd64", id="older-backport"),
        pytest.param("5.10.0-0.bpo.9-rt-amd64", "5.10", "rt-amd64", id="bpo"),
        pytest.param("6.12.117+deb12-amd64", "6.12", "amd64", id="backport"),
        pytest.param("6.12.90+deb12.1-rt-amd64", "6.12", "rt-amd64", id="rebuilt-abi"),
        pytest.param("7.3-cloud-amd64", "7.3", "cloud-amd64", id="experimental"),
        pytest.param("4.9.0-19-amd64", "4.9", "amd64", id="debian-9"),
        pytest.param("4.19.0-0.bpo.6-amd64", "4.19", "amd64", id="backport-for-9"),
        pytest.param("5.10.0-0.deb10.24-rt-amd64", "5.10", "rt-amd64", id="deb10"),
        pytest.param("6.5.0-0.deb12.4-amd64", "6.5", "amd64", id="deb12-with-abi"),
        pytest.param("6.6.13-amd64", "6.6", "amd64", id="no-abi"),
        pytest.param("6.6.13+bpo-amd64", "6.6", "amd64", id="bpo-no-abi"),
        pytest.param("5.19.0-trunk-amd64", "5.19", "amd64", id="trunk"),
        pytest.param("5.17.0-rc6-amd64", "5.17", "amd64", id="rc"),
        pytest.param("6.7-rt-amd64", "6.7", "rt-amd64", id="rt-no-abi"),
        pytest.param("6.1.0-56-686-pae", "6.1", "686-pae", id="i386"),
        pytest.param("6.12.90+deb12-686", "6.12", "686", id="i386-no-abi"),
        pytest.param("6.1.0-56-rt-686-pae", "6.1", "rt-686-pae", id="i386-rt"),
        pytest.param("6.1.0-56-5kc-malta", "6.1", "5kc-malta", id="mips"),
        pytest.param("6.1.0-56-armmp-lpae", "6.1", "armmp-lpae", id="armhf"),
    ],
)
def test_the_grammar_of_releases(release: str, line: str, flavour: str) -> None:
    match = FAMILY.release_pattern.match(release)
    assert match is not None and match["flavour"] == flavour
    assert FAMILY.line(release) == line


@pytest.mark.parametrize(
    "name", ["6.1.0-56-common", "6.1.0-56-common-rt", "4.9.0-19-all", "4.9.0-19-all-amd64", "amd64", "cloud-amd64", ""]
)
def test_other_names_are_no_releases(name: str) -> None:
    assert FAMILY.line(name) == ""


def test_header_closure_includes_common_and_kbuild() -> None:
    found = kernels(suite("bookworm", kernel()))["6.1.0-56-amd64"]
    assert names(found) == {
        "headers": "linux-headers-6.1.0-56-amd64 6.1.192-2",
        "headers-common": "linux-headers-6.1.0-56-common 6.1.192-2",
        "kbuild": "linux-kbuild-6.1 6.1.192-2",
        "image": "linux-image-6.1.0-56-amd64 6.1.192-2",
    }
    assert (found.compiler, found.libc, found.build) == ("gcc-12", "2.34", "6.1.192-2")


def test_kbuild_of_the_same_version_is_preferred_and_a_newer_one_serves() -> None:
    old, new = kernel("6.1.0-55", "6.1.192-1"), kernel("6.1.0-56", "6.1.192-2")
    both = kernels(suite("a", old), suite("b", new))
    assert names(both["6.1.0-55-amd64"])["kbuild"] == "linux-kbuild-6.1 6.1.192-1"
    without = [entry for entry in old if entry.name != "linux-kbuild-6.1"]
    assert names(kernels(suite("a", without), suite("b", new))["6.1.0-55-amd64"])["kbuild"].endswith(" 6.1.192-2")
    older_only = [entry for entry in new if entry.name != "linux-kbuild-6.1"]
    assert "kbuild" not in names(kernels(suite("a", old), suite("b", older_only))["6.1.0-56-amd64"])


def test_an_image_whose_headers_are_gone_is_still_a_kernel() -> None:
    found = kernels(suite("bookworm", kernel(headers=False)))["6.1.0-56-amd64"]
    assert list(names(found)) == ["image"]
    assert (found.compiler, found.libc) == ("", "")


def test_headers_whose_image_is_gone_are_still_a_kernel() -> None:
    entries = [entry for entry in kernel() if not entry.name.startswith("linux-image")]
    assert list(names(kernels(suite("bookworm", entries))["6.1.0-56-amd64"])) == ["headers", "headers-common", "kbuild"]


def test_the_signed_image_is_preferred_and_the_unsigned_one_serves() -> None:
    unsigned = Entry("linux-image-6.1.0-56-amd64-unsigned", "6.1.192-2", "kmod, linux-base")
    both = [*kernel(), unsigned]
    assert names(kernels(suite("a", both))["6.1.0-56-amd64"])["image"].startswith("linux-image-6.1.0-56-amd64 ")
    alone = [entry for entry in both if entry.name != "linux-image-6.1.0-56-amd64"]
    found = kernels(suite("a", alone))
    assert set(found) == {"6.1.0-56-amd64", "6.1.0-56-cloud-amd64"}
    assert names(found["6.1.0-56-amd64"])["image"].startswith("linux-image-6.1.0-56-amd64-unsigned ")


def test_a_closure_may_span_suites() -> None:
    entries = kernel()
    images = [entry for entry in entries if entry.name.startswith("linux-image")]
    rest = [entry for entry in entries if entry not in images]
    found = kernels(suite("a", rest, checked="2026-11-20"), suite("b", images, checked="2026-11-22"))
    assert len(names(found["6.1.0-56-amd64"])) == 4
    assert found["6.1.0-56-amd64"].last_seen == "2026-11-22"


def test_6_12_has_its_own_kbuild_and_names_its_compiler_directly() -> None:
    version, abi = "6.12.117-1~deb12u1", "6.12.117+deb12"
    depends = (
        f"linux-base (>= 4.12~), linux-headers-{abi}-common-rt (= {version}), "
        f"linux-image-{abi}-rt-amd64 (= {version}) | "
        f"linux-image-{abi}-rt-amd64-unsigned (= {version}), linux-kbuild-{abi}, gcc-12"
    )
    entries = [
        Entry(f"linux-headers-{abi}-rt-amd64", version, depends),
        Entry(f"linux-headers-{abi}-common", version, arch="all"),
        Entry(f"linux-headers-{abi}-common-rt", version, arch="all"),
        Entry(f"linux-kbuild-{abi}", version, "libc6 (>= 2.34), pahole"),
        Entry(f"linux-image-{abi}-rt-amd64", version, "kmod"),
    ]
    found = kernels(suite("bookworm-security", entries))
    assert list(found) == [f"{abi}-rt-amd64"]
    one = found[f"{abi}-rt-amd64"]
    assert names(one)["headers-common"] == f"linux-headers-{abi}-common-rt {version}"
    assert names(one)["kbuild"] == f"linux-kbuild-{abi} {version}"
    assert (one.compiler, one.flavour) == ("gcc-12", "rt-amd64")


def test_a_split_image_is_followed_to_its_parts() -> None:
    version, release = "7.2.12-1", "7.2.12+deb14-cloud-amd64"
    parts = ("binary", "base", "modules")
    depends = ", ".join(f"linux-{part}-{release} (= {version})" for part in parts)
    entries = [
        Entry(f"linux-image-{release}", version, depends),
        Entry(f"linux-binary-{release}", version),
        Entry(f"linux-modules-{release}", version, "linux-base"),
    ]
    one = kernels(suite("forky", entries))[release]
    assert names(one) == {
        "image": f"linux-binary-{release} {version}",
        "modules": f"linux-modules-{release} {version}",
    }
    assert one.package(PackageRole.IMAGE) is not None


def test_metapackages_are_no_kernels_and_name_the_newest() -> None:
    main = suite("bookworm", kernel("6.1.0-50", "6.1.176-1"))
    security = suite(
        "bookworm-security",
        [*kernel(), *kernel("6.12.117+deb12", "6.12.117-1~deb12u1", metapackage="linux-image-6.12-{flavour}")],
    )
    backports = suite("bookworm-backports", kernel("6.12.95+deb12", "6.12.95-1~bpo12+1"), automatic=False)
    found = kernels(main, security, backports)
    assert len(found) == 8
    assert {release: one.named_by for release, one in found.items() if one.named_by and one.flavour == "amd64"} == {
        "6.1.0-56-amd64": ("linux-image-amd64",),
        "6.12.117+deb12-amd64": ("linux-image-6.12-amd64",),
        "6.12.95+deb12-amd64": ("bookworm-backports/linux-image-amd64",),
    }


def test_a_metapackage_may_depend_on_more_than_the_kernel() -> None:
    version = "7.3.4-1~bpo13+1"
    release = "7.3.4+deb13-amd64"
    entries = [
        Entry(f"linux-image-{release}", version, f"linux-binary-{release} (= {version})"),
        Entry(f"linux-binary-{release}", version),
        Entry(
            "linux-image-amd64", version, f"linux-base-amd64, linux-image-{release} (= {version}), linux-modules-amd64"
        ),
    ]
    found = kernels(suite("trixie-backports", entries, automatic=False))
    assert {name: one.named_by for name, one in found.items()} == {release: ("trixie-backports/linux-image-amd64",)}


def test_two_builds_of_one_release_are_two_kernels() -> None:
    entries = [*kernel("6.1.0-56", "6.1.192-2"), *kernel("6.1.0-56", "6.1.192-3")]
    found = FAMILY.kernels(ROW, [suite("bookworm", entries)])
    keys = [one.key for one in found if one.flavour == "amd64"]
    assert keys == ["debian/x86_64/6.1.0-56-amd64/6.1.192-2", "debian/x86_64/6.1.0-56-amd64/6.1.192-3"]
    for one in found:
        assert {package.version for package in one.packages} == {one.package_version}


def test_headers_rebuilt_without_a_change_of_source_serve_the_image_that_was_not() -> None:
    """6.6.9-1 of 2024-01: the architecture's packages are +b1, common headers and the signed image are not."""
    release = "6.6.9-amd64"
    entries = [
        Entry(f"linux-image-{release}", "6.6.9-1", "kmod", folder="linux-signed-amd64"),
        Entry(f"linux-image-{release}-unsigned", "6.6.9-1+b1", "kmod"),
        Entry(f"linux-headers-{release}", "6.6.9-1+b1", "linux-headers-6.6.9-common (= 6.6.9-1), linux-kbuild-6.6.9"),
        Entry("linux-headers-6.6.9-common", "6.6.9-1", arch="all"),
        Entry("linux-kbuild-6.6.9", "6.6.9-1+b1", "libc6 (>= 2.34)"),
    ]
    found = {one.build: names(one) for one in FAMILY.kernels(ROW, [suite("sid", entries)])}
    assert set(found) == {"6.6.9-1", "6.6.9-1+b1"}
    for build, image in (("6.6.9-1", f"linux-image-{release}"), ("6.6.9-1+b1", f"linux-image-{release}-unsigned")):
        assert found[build]["image"] == f"{image} {build}"
        assert found[build]["headers"] == f"linux-headers-{release} 6.6.9-1+b1"
        assert found[build]["headers-common"] == "linux-headers-6.6.9-common 6.6.9-1"
