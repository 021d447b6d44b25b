"""A real kernel in RPM packages, split and named as CentOS's are, through the command that takes Debian's: built for,
booted, with a module of its own, and judged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from builder.bench import fetch_package, unpack_package
from kdriver.core.kernel import PackageRole
from kernel_index.query import find_kernels
from tests.e2e.conftest import Kdriver
from tests.fakes.rpms import Built, build_rpms

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.slow]
MODULE = "dummy"


def test_a_kernel_of_rpms_is_built_for_booted_and_judged(
    kdriver: Kdriver, user_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDRIVER_INDEX", user_environment["KDRIVER_INDEX"])
    (kernel,) = find_kernels(distro="debian12", kernel="newest:6.1:cloud-amd64")
    headers, image = tmp_path / "headers", tmp_path / "image"
    for package in kernel.packages:
        into = image if package.role is PackageRole.IMAGE else headers
        into.mkdir(exist_ok=True)
        unpack_package(fetch_package(kernel, package), into, lambda member: True)
    modules = f"/lib/modules/{kernel.release}"
    core = tmp_path / "core"
    core.mkdir()
    shutil.move(image / f"boot/vmlinuz-{kernel.release}", core / "vmlinuz")
    found = next(path for path in (image / "lib/modules").rglob(f"{MODULE}.ko*"))
    alone = tmp_path / "modules" / found.parent.relative_to(image / modules.lstrip("/"))
    alone.mkdir(parents=True)
    shutil.copy(found, alone)
    version, _, release = kernel.release.partition("-")
    release = f"{release.replace('-', '.')}.el8"
    packages = [
        Built("kernel-core", version, release, tree=(modules, core)),
        Built("kernel-modules", version, release, tree=(f"{modules}/kernel", tmp_path / "modules/kernel")),
        Built("kernel-devel", version, release, tree=("/usr/src", headers / "usr/src")),
        Built("kernel-devel-tools", version, release, tree=("/usr/lib", headers / "usr/lib")),
    ]
    rpms = build_rpms(packages, tmp_path / "rpms")
    named = {path.name.removesuffix(f"-{version}-{release}.x86_64.rpm"): path for path in rpms}
    done = kdriver(
        "verify", "--kind", "kmod", "--cases", "dup*", "--json", "--module", MODULE, "--kernel-image",
        named["kernel-core"], "--modules", named["kernel-modules"], "--headers", named["kernel-devel"], "--headers",
        named["kernel-devel-tools"],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (verdict,) = json.loads(done.stdout)
    assert verdict["kernel"].startswith(f"file/x86_64/{kernel.release}/")
    assert (verdict["kind"], verdict["outcome"]) == ("kmod", "passed")
    assert verdict["facts"]["modules"].startswith(f"{MODULE} of ")
    assert verdict["events"] > 0
