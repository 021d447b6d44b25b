"""One plan for each kernel and kind; what cannot be built is planned with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.known_bad import load_known_bad
from builder.plan import BuildPlan, plan_builds
from builder.source import DriverSource, load_source
from kdriver.core.artifact import CORE_KERNEL, DriverKind
from kdriver.core.errors import ConfigError, ExitCode
from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.table import load_table
from tests.fakes.tiny_kernel import TOY_DRIVER

PACKAGE = Package(PackageRole.HEADERS, "linux-headers", "1", "amd64", "main", "pool/a.deb", 7, "a" * 64)
KERNEL = Kernel("debian", "debian12", "1.2.3-tiny", "1", "1", "x86_64", "amd64", (PACKAGE,), compiler="gcc-12")
OTHER = replace(KERNEL, release="1.2.4-tiny")


@pytest.fixture
def source() -> DriverSource:
    return load_source(TOY_DRIVER)


def words(plans: tuple[BuildPlan, ...]) -> list[tuple[str, str, str]]:
    return [(plan.kernel.release, str(plan.kind), str(plan.to_json()["action"])) for plan in plans]


def test_every_kernel_has_every_kind_and_core_is_built_once(source: DriverSource) -> None:
    assert words(plan_builds([KERNEL, OTHER], DriverKind, source)) == [
        ("1.2.3-tiny", "kmod", "build"),
        ("1.2.3-tiny", "bpf", "build"),
        ("1.2.3-tiny", "core", "build"),
        ("1.2.4-tiny", "kmod", "build"),
        ("1.2.4-tiny", "bpf", "build"),
        ("1.2.4-tiny", "core", "share"),
    ]


def test_core_is_built_by_the_first_kernel_that_is_not_skipped(source: DriverSource) -> None:
    arm = replace(KERNEL, arch="aarch64")
    plans = plan_builds([arm, OTHER], [DriverKind.CORE], source)
    assert words(plans) == [("1.2.3-tiny", "core", "skip"), ("1.2.4-tiny", "core", "build")]
    assert plans[0].skip == "no driver for aarch64 yet"
    assert plans[1].built_for == CORE_KERNEL


def test_kernel_without_headers_still_has_the_core_driver(source: DriverSource) -> None:
    plans = plan_builds([replace(KERNEL, packages=())], DriverKind, source)
    assert [plan.skip for plan in plans] == ["the index knows no header packages of this kernel"] * 2 + [""]


def test_kind_that_the_source_lacks_is_skipped(source: DriverSource) -> None:
    (plan,) = plan_builds([KERNEL], [DriverKind.BPF], replace(source, kinds=(DriverKind.KMOD,)))
    assert plan.skip == "the driver source has no bpf driver"


def test_plan_names_its_downloads(source: DriverSource) -> None:
    kmod, core = plan_builds([KERNEL], [DriverKind.KMOD, DriverKind.CORE], source)
    assert kmod.to_json()["packages"] == ["a.deb"]
    assert kmod.to_json()["size_bytes"] == 7
    assert core.to_json()["packages"] == []


@pytest.mark.parametrize("name", ["", "Driver", "my-driver", "1driver", "a" * 32, "a b", "../x"])
def test_name_that_no_module_can_have_is_refused(name: str, source: DriverSource) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_builds([KERNEL], [DriverKind.KMOD], source, name=name)
    assert caught.value.message.startswith(f"name {name!r}: a module's name is")
    assert caught.value.hint == "Choose a name such as kdriver_test."
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_kind_that_cannot_work_on_the_distributions_kernels_is_skipped(source: DriverSource) -> None:
    table = load_table(Path(__file__).parents[2] / "kernel_index" / "distros.toml")
    old = replace(KERNEL, distro="centos", distro_release="centos7", release="3.10.0-862.el7.x86_64")
    kernels = [old, replace(old, release="3.10.0-957.el7.x86_64")]
    plans = plan_builds(kernels, [DriverKind.BPF, DriverKind.CORE], source, known_bad=load_known_bad(table))
    assert [plan.skip for plan in plans] == [
        "on CentOS Linux 7 bpf drivers can work from 3.10.0-957.el7.x86_64 on",
        "core drivers cannot work on kernels of CentOS Linux 7",
        "",
        "core drivers cannot work on kernels of CentOS Linux 7",
    ]
