"""The distribution's real repository: what the issue promises is there today."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path

import pytest

from kdriver.cli import run
from kdriver.core.download import cached
from kdriver.core.kernel import PackageRole
from kdriver.packages.deb import read_control, unpack_deb
from kdriver.packages.kernel_files import find_kernel_image, kernel_image_names
from kernel_index.archive import ask_states
from kernel_index.query import select_kernels
from kernel_index.sources import package_urls
from kernel_index.store import load_kernels

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index made from the mirror that this machine uses."""
    folder = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDRIVER_INDEX", str(folder / "index"))
        patch.delenv("KDRIVER_DISTROS", raising=False)
        assert run(["index", "update", "--distro", "debian12"]) == 0
    return folder / "index"


@pytest.mark.parametrize("line", ["6.1", "6.12"])
@pytest.mark.parametrize("flavour", ["amd64", "cloud-amd64"])
def test_the_newest_kernels_of_both_lines_have_full_closures(index: Path, line: str, flavour: str) -> None:
    (kernel,) = select_kernels(load_kernels(index), distro="debian12", kernel=f"newest:{line}:{flavour}")
    assert kernel.release.startswith(f"{line}.") and kernel.release.endswith(f"-{flavour}")
    assert [package.role for package in kernel.packages] == [
        PackageRole.HEADERS,
        PackageRole.HEADERS_COMMON,
        PackageRole.KBUILD,
        PackageRole.IMAGE,
    ]
    assert kernel.compiler.startswith("gcc-") and kernel.libc
    assert all(package.size_bytes > 1_000_000 and len(package.sha256) == 64 for package in kernel.packages)


def test_a_second_update_reads_a_few_kilobytes(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDRIVER_INDEX", str(index))
    monkeypatch.delenv("KDRIVER_DISTROS", raising=False)
    capsys.readouterr()
    assert run(["index", "update", "--distro", "debian12", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["bytes"] < 20_000 and row["kernels"] > 60


def test_a_package_of_the_index_is_downloaded_and_is_what_it_says(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path))
    (kernel,) = select_kernels(load_kernels(index), distro="debian12", kernel="newest")
    package = kernel.package(PackageRole.HEADERS)
    assert package is not None
    deb = cached(package_urls(kernel, package), package.sha256, package.size_bytes, package.file_name)
    assert read_control(deb)["Version"] == kernel.package_version
    folder = f"usr/src/linux-headers-{kernel.release}"
    names = unpack_deb(deb, tmp_path / "tree", members=lambda name: name == f"{folder}/Module.symvers")
    assert names == (f"{folder}/Module.symvers",)


def test_the_build_is_what_the_kernel_says_of_itself(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path))
    (kernel,) = select_kernels(load_kernels(index), distro="debian12", kernel="newest:6.12:cloud-amd64")
    package = kernel.package(PackageRole.IMAGE)
    assert package is not None
    deb = cached(package_urls(kernel, package), package.sha256, package.size_bytes, package.file_name)
    unpack_deb(deb, tmp_path / "tree", members=lambda name: name in kernel_image_names(kernel.release), count=1)
    image = find_kernel_image(tmp_path / "tree", kernel.release).read_bytes()
    # Documentation/arch/x86/boot.rst, kernel_version: where the version string stands, less 0x200.
    start = struct.unpack_from("<H", image, 0x20E)[0] + 0x200
    version = image[start:].split(b"\0", 1)[0].decode()
    assert version.startswith(f"{kernel.release} ") and f" Debian {kernel.build} (" in version


@pytest.mark.slow
def test_all_of_debian_is_indexed_and_little_is_read_when_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path))
    monkeypatch.delenv("KDRIVER_DISTROS", raising=False)
    assert run(["index", "update", "--distro", "debian", "--json"]) == 0
    cold = {row["distro_release"]: row for row in json.loads(capsys.readouterr().out)}
    assert not any(row["partial"] for row in cold.values())
    # Ended releases lie on a server of their own, which not every machine reaches; then they are named.
    for ended in ("debian9", "debian10"):
        assert {suite["outcome"] for suite in cold[ended]["suites"]} <= {"fetched", "skipped"}
    for row in ("debian11", "debian12", "debian13", "debian14", "debiansid"):
        assert cold[row]["kernels"] > 0
    kernels = load_kernels(tmp_path)
    assert {kernel.arch for kernel in kernels} >= {"x86_64", "aarch64", "i686"}
    assert {kernel.release.split(".")[0] for kernel in kernels} >= {"5", "6", "7"}
    started = time.monotonic()
    assert run(["index", "update", "--distro", "debian", "--json"]) == 0
    assert time.monotonic() - started < 10, "2 s on an idle machine"
    warm = json.loads(capsys.readouterr().out)
    assert sum(row["bytes"] for row in warm) < 100_000
    assert {row["distro_release"]: row["kernels"] for row in warm} == {
        name: row["kernels"] for name, row in cold.items()
    }


def test_headers_that_left_the_lists_are_found_where_they_are_still_served(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KDRIVER_DISTROS", raising=False)
    lost = [one for one in load_kernels(index) if one.arch == "x86_64" and len(one.packages) == 1]
    assert lost, "Debian drops headers of older kernels before their images"
    asked = ask_states(lost[-6:])
    for one in asked:
        assert len(one.packages) in (1, 4)
        assert one.authenticated is (len(one.packages) == 1)
