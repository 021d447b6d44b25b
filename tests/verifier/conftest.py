"""A real kernel for the guests of these tests, and programs compiled for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kdriver.core.download import cached
from kdriver.core.kernel import PackageRole
from kdriver.verifier.image import GuestKernel, kernel_from_package
from kernel_index.query import select_kernels
from kernel_index.sources import package_urls
from kernel_index.store import load_kernels

GUEST_FAKES = Path(__file__).resolve().parent.parent / "fakes" / "guest"
GUEST_SOURCE = Path(__file__).resolve().parent.parent.parent / "driver_src" / "guest"


@pytest.fixture(scope="session")
def cloud_package(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The newest kernel of Debian 12's cloud flavour, the smallest package, and its release. Downloads stay in the
    usual cache."""
    index = tmp_path_factory.mktemp("index")
    argv = [sys.executable, "-m", "kdriver", "index", "update", "--distro", "debian12"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDRIVER_INDEX", str(index))
        subprocess.run(argv, check=True, capture_output=True, timeout=120)
        (kernel,) = select_kernels(load_kernels(), distro="debian12", kernel="newest:cloud-amd64")
    package = kernel.package(PackageRole.IMAGE)
    assert package is not None
    path = cached(package_urls(kernel, package), package.sha256, package.size_bytes, package.file_name)
    return path, kernel.release


@pytest.fixture(scope="session")
def cloud_kernel(cloud_package: tuple[Path, str]) -> GuestKernel:
    """That kernel as a guest boots it."""
    return kernel_from_package(*cloud_package)


@pytest.fixture(scope="session")
def guest_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real kd-guest, and the made-up fake_capture, fake_cases, hang_init and panic_init."""
    out = tmp_path_factory.mktemp("guest")
    subprocess.run(["make", "-C", str(GUEST_SOURCE), f"OUT={out}"], check=True, capture_output=True, timeout=120)
    programs = {
        "fake_capture": ("fake_capture.c",),
        "fake_cases": ("fake_cases.c",),
        "hang_init": ("hang_init.c",),
        "panic_init": ("hang_init.c", "-DPANIC"),
    }
    for name, (source, *options) in programs.items():
        argv = ["gcc", "-static", "-O2", "-s", *options, "-o", str(out / name), str(GUEST_FAKES / source), "-lz"]
        subprocess.run(argv, check=True, capture_output=True, timeout=120)
    return out
