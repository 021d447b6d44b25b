"""Ubuntu: package names, versions and dependencies as its archive had them on 2026-11-22, served on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdriver.cli import run
from kdriver.core.kernel import Kernel
from kernel_index.distros.ubuntu import FAMILY
from kernel_index.store import load_kernels
from kernel_index.table import load_table, select_rows
from tests.fakes.apt_repository import AptRepository, Entry, SigningKey
from tests.fakes.file_server import FileServer

ROW = select_rows(load_table(Path(__file__).parents[3] / "kernel_index" / "distros.toml"), "ubuntu22.04")[0]
HOST_TOOLS = "libc6 (>= 2.34), libelf1 (>= 0.142), libssl3 (>= 3.0.0~~alpha1), zlib1g (>= 1:1.2.3.3)"
IMAGE_NEEDS = "kmod, linux-base (>= 4.5ubuntu1~16.04.1)"


def native() -> list[Entry]:
    """5.15 of 22.04: signed and unsigned image, modules apart, common headers of all architectures."""
    version, release = "5.15.0-100.110", "5.15.0-100-generic"
    return [
        Entry(f"linux-headers-{release}", version, f"linux-headers-5.15.0-100, {HOST_TOOLS}"),
        Entry("linux-headers-5.15.0-100", version, "coreutils", "all"),
        Entry(f"linux-image-{release}", version, f"{IMAGE_NEEDS}, linux-modules-{release}", folder="linux-signed"),
        Entry(f"linux-image-unsigned-{release}", version, f"{IMAGE_NEEDS}, linux-modules-{release}"),
        Entry(f"linux-modules-{release}", version, "wireless-regdb"),
        Entry(f"linux-modules-extra-{release}", version, f"{IMAGE_NEEDS}, linux-image-{release}, wireless-regdb"),
        Entry(f"linux-modules-iwlwifi-{release}", version, f"linux-image-{release}"),
        Entry(f"linux-buildinfo-{release}", version),
        Entry(f"linux-image-uc-{release}", version, f"linux-modules-{release}, linux-modules-extra-{release}"),
        Entry(
            "linux-image-generic",
            "5.15.0.100.97",
            f"linux-image-{release}, linux-modules-extra-{release}, linux-firmware, intel-microcode, amd64-microcode",
        ),
    ]


def hwe() -> list[Entry]:
    """6.8 for 22.04: the common headers carry the name of the source package."""
    version, release = "6.8.0-100.100~22.04.1", "6.8.0-100-generic"
    return [
        Entry(f"linux-headers-{release}", version, f"linux-hwe-6.8-headers-6.8.0-100, {HOST_TOOLS}"),
        Entry("linux-hwe-6.8-headers-6.8.0-100", version, "", "all", folder="linux-hwe-6.8"),
        Entry(f"linux-image-{release}", version, f"{IMAGE_NEEDS}, linux-modules-{release}"),
        Entry(f"linux-modules-{release}", version),
        Entry("linux-image-generic-hwe-22.04", version, f"linux-image-{release}, linux-modules-extra-{release}"),
    ]


def cloud_in_universe() -> list[Entry]:
    """gcp's common headers are of one architecture; gkeop lies in universe."""
    gcp, gkeop = "5.15.0-1034.42", "5.15.0-1012.18"
    return [
        Entry("linux-headers-5.15.0-1034-gcp", gcp, f"linux-gcp-headers-5.15.0-1034, {HOST_TOOLS}"),
        Entry("linux-gcp-headers-5.15.0-1034", gcp, "", "amd64"),
        Entry("linux-image-5.15.0-1034-gcp", gcp, f"{IMAGE_NEEDS}, linux-modules-5.15.0-1034-gcp"),
        Entry("linux-modules-5.15.0-1034-gcp", gcp),
        Entry("linux-headers-5.15.0-1012-gkeop", gkeop, "linux-gkeop-headers-5.15.0-1012", component="universe"),
        Entry("linux-gkeop-headers-5.15.0-1012", gkeop, "", "amd64", component="universe"),
        Entry("linux-image-5.15.0-1012-gkeop", gkeop, f"{IMAGE_NEEDS}", component="universe"),
    ]


def xenial() -> list[Entry]:
    """4.4 of 16.04: modules lie in the image; the metapackage takes the unsigned image as well."""
    old, new = "4.4.0-142.168", "4.4.0-210.242"
    return [
        Entry("linux-image-4.4.0-142-generic", old, "kmod"),
        Entry("linux-headers-4.4.0-142-generic", old, "linux-headers-4.4.0-142, libc6 (>= 2.14)"),
        Entry("linux-headers-4.4.0-142", old, "coreutils | fileutils (>= 4.0)", "all"),
        Entry("linux-image-extra-4.11.0-1009-azure", "4.11.0-1009.9", "linux-image-4.11.0-1009-azure, crda"),
        Entry("linux-image-4.11.0-1009-azure", "4.11.0-1009.9", "kmod"),
        Entry("linux-signed-image-4.11.0-1009-azure", "4.11.0-1009.9", "linux-image-4.11.0-1009-azure"),
        Entry("linux-image-unsigned-4.4.0-210-generic", new, "kmod, linux-modules-4.4.0-210-generic"),
        Entry("linux-modules-4.4.0-210-generic", new),
        Entry(
            "linux-image-generic",
            "4.4.0.210.216",
            "linux-image-4.4.0-210-generic | linux-image-unsigned-4.4.0-210-generic, "
            "linux-modules-extra-4.4.0-210-generic, linux-firmware",
        ),
        # The 4.15 of 18.04, built for 16.04 by another compiler under the same uname -r.
        Entry("linux-image-4.15.0-112-generic", "4.15.0-112.113~16.04.1", "kmod, linux-modules-4.15.0-112-generic"),
        Entry("linux-image-4.15.0-112-generic", "4.15.0-112.113", "kmod, linux-modules-4.15.0-112-generic"),
    ]


@pytest.fixture
def archive(tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[AptRepository]:
    """An Ubuntu of two components, and ports beside it."""
    mirror = tmp_path / "mirror"
    table = tmp_path / "distros.toml"
    table.write_text(
        f"""
["ubuntu22.04"]
family = "ubuntu"
title = "Ubuntu 22.04 LTS (Jammy Jellyfish)"
version = "22.04"
codename = "jammy"
end_of_life = 2027-06-01
image = "ubuntu:22.04"
kinds = ["kmod"]
architectures = {{ x86_64 = "amd64", aarch64 = "arm64" }}
generic_flavours = {{ x86_64 = "generic", aarch64 = "generic" }}
keyring = "{key.keyring}"
keyring_package = "ubuntu-keyring"

["ubuntu22.04".archives.main]
folder = "ubuntu"
mirrors = ["http://mirror.invalid/ubuntu"]
suites = ["jammy-updates"]
components = ["main", "universe"]
architectures = ["x86_64"]
signed_by = ["{key.fingerprint}"]

["ubuntu22.04".archives.ports]
folder = "ubuntu-ports"
mirrors = ["http://mirror.invalid/ubuntu-ports"]
suites = ["jammy-updates"]
components = ["main"]
architectures = ["aarch64"]
signed_by = ["{key.fingerprint}"]

["ubuntu22.04".archives.esm]
folder = "esm"
mirrors = ["http://mirror.invalid/esm"]
suites = ["jammy-infra-updates"]
components = ["main"]
architectures = ["x86_64"]
credentials = "esm"
signed_by = ["{key.fingerprint}"]
"""
    )
    with FileServer(mirror) as server:
        monkeypatch.setenv("KDRIVER_DISTROS", str(table))
        monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path / "index"))
        monkeypatch.setenv("KDRIVER_MIRROR", server.url)
        monkeypatch.delenv("KDRIVER_UBUNTU_ESM_TOKEN", raising=False)
        arm = [Entry("linux-image-5.15.0-100-generic-64k", "5.15.0-100.110", "kmod", "arm64")]
        AptRepository(mirror / "ubuntu-ports", key).publish(
            "jammy-updates", arm, codename="jammy", architectures=("arm64",)
        )
        made = AptRepository(mirror / "ubuntu", key)
        made.publish("jammy-updates", [*native(), *hwe(), *cloud_in_universe()], codename="jammy")
        yield made


def updated(capsys: pytest.CaptureFixture[str]) -> dict[str, Kernel]:
    """Update, which must succeed; `uname -r` and build to the kernel."""
    assert run(["index", "update", "--json"]) == 0
    capsys.readouterr()
    return {f"{one.release} {one.build}": one for one in load_kernels()}


def names(one: Kernel) -> dict[str, str]:
    """Role to the package's name."""
    return {str(package.role): package.name for package in one.packages}


def test_kernels_of_all_kinds_are_put_together(archive: AptRepository, capsys: pytest.CaptureFixture[str]) -> None:
    kernels = updated(capsys)
    assert set(kernels) == {
        "5.15.0-100-generic 110",
        "5.15.0-100-generic-64k 110",
        "5.15.0-1012-gkeop 18",
        "5.15.0-1034-gcp 42",
        "6.8.0-100-generic 100~22.04.1",
    }
    one = kernels["5.15.0-100-generic 110"]
    assert names(one) == {
        "headers": "linux-headers-5.15.0-100-generic",
        "headers-common": "linux-headers-5.15.0-100",
        "image": "linux-image-5.15.0-100-generic",
        "modules": "linux-modules-5.15.0-100-generic",
    }
    assert (one.key, one.libc, one.compiler) == ("ubuntu/x86_64/5.15.0-100-generic/5.15.0-100.110", "2.34", "")
    assert names(kernels["6.8.0-100-generic 100~22.04.1"])["headers-common"] == "linux-hwe-6.8-headers-6.8.0-100"
    assert names(kernels["5.15.0-1034-gcp 42"])["headers-common"] == "linux-gcp-headers-5.15.0-1034"
    gkeop = kernels["5.15.0-1012-gkeop 18"]
    assert all(package.path.startswith("pool/universe/") for package in gkeop.packages)
    assert kernels["5.15.0-100-generic-64k 110"].arch == "aarch64"
    assert kernels["5.15.0-100-generic-64k 110"].packages[0].archive == "ports"
    del archive


def test_newest_is_the_generic_metapackages_and_others_by_line(
    archive: AptRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    updated(capsys)
    for words, release in (("newest", "5.15.0-100-generic"), ("newest:6.8", "6.8.0-100-generic")):
        assert run(["index", "show", words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["release"] == release
    del archive


def test_kernels_of_16_04_lie_in_one_package_and_two_builds_are_two_kernels(
    archive: AptRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.publish("jammy-updates", [*xenial(), *cloud_in_universe()], codename="jammy")
    kernels = updated(capsys)
    assert list(names(kernels["4.4.0-142-generic 168"])) == ["headers", "headers-common", "image"]
    newest = kernels["4.4.0-210-generic 242"]
    assert names(newest)["image"] == "linux-image-unsigned-4.4.0-210-generic"
    assert newest.named_by == ("linux-image-generic",)
    assert kernels["4.11.0-1009-azure 9"].named_by == ()
    builds = {one.key for one in kernels.values() if one.release == "4.15.0-112-generic"}
    assert builds == {
        "ubuntu/x86_64/4.15.0-112-generic/4.15.0-112.113",
        "ubuntu/x86_64/4.15.0-112-generic/4.15.0-112.113~16.04.1",
    }
    assert run(["index", "show", "4.15.0-112-generic"]) == 2
    assert "2 builds have that name" in capsys.readouterr().err


def test_an_archive_for_subscribers_needs_their_token(
    archive: AptRepository,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    key: SigningKey,
) -> None:
    assert run(["index", "update", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    (skipped,) = [suite for suite in row["suites"] if suite["outcome"] == "skipped"]
    assert skipped["reason"].startswith("no credentials: set KDRIVER_UBUNTU_ESM_TOKEN")
    esm = [Entry("linux-image-5.15.0-200-generic", "5.15.0-200.210", "kmod")]
    AptRepository(tmp_path / "mirror" / "esm", key).publish("jammy-infra-updates", esm, codename="jammy")
    monkeypatch.setenv("KDRIVER_UBUNTU_ESM_TOKEN", "secret-token")
    assert "5.15.0-200-generic 210" in updated(capsys)
    stored = (tmp_path / "index" / "index.sqlite").read_bytes()
    assert b"secret-token" not in stored
    del archive


@pytest.mark.parametrize(
    ("version", "build"),
    [
        pytest.param("5.4.0-128.144", "144", id="native"),
        pytest.param("5.4.0-128.144~18.04.1", "144~18.04.1", id="hwe"),
        pytest.param("5.15.0-1001.3.1", "3.1", id="lowlatency"),
        pytest.param("5.4.0-1063.66+cvm3", "66+cvm3", id="cvm"),
    ],
)
def test_the_build_is_what_uname_v_starts_with(version: str, build: str) -> None:
    assert FAMILY.build(version) == build


@pytest.mark.parametrize("name", ["5.15.0-100", "5.15.0", "generic", "5.15.0-100-", "extra-4.4.0-1-generic"])
def test_other_names_are_no_releases(name: str) -> None:
    assert FAMILY.line(name) == ""


def test_the_row_has_every_archive() -> None:
    assert {archive.id for archive in ROW.archives} >= {"main", "security", "ports", "proposed", "fips-updates"}
    assert ROW.archive("proposed").opt_in and ROW.archive("fips-updates").credentials
