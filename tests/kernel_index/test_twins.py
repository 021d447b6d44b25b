"""Rebuild aliases: a kernel of RHEL with a twin's packages, marked, and only where RHEL's own is not in the index."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode, NotFoundError
from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.query import find_kernels, find_keys
from kernel_index.sources import package_urls
from kernel_index.store import RowIndex, write_row

RELEASE = "4.18.0-348.7.1.el8_5.x86_64"
VERSION = "4.18.0-348.7.1.el8_5"


def kernel(family: str, *, release: str = RELEASE, headers: bool = True) -> Kernel:
    """A kernel of el8 in the row `<family>8`."""
    role = PackageRole.HEADERS if headers else PackageRole.IMAGE
    path = f"8/Packages/kernel-devel-{VERSION}.x86_64.rpm"
    package = Package(
        role, "kernel-devel", VERSION, "x86_64", "cdn" if family == "rhel" else "vault", path, 1, "a" * 64
    )
    return Kernel(
        family, f"{family}8", release, "1", VERSION, "x86_64", "generic", (package,), last_seen="2026-11-22",
        named_by=("kernel",),
    )  # fmt: skip


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with the twins of two rebuilds."""
    monkeypatch.delenv("KDRIVER_DISTROS", raising=False)
    monkeypatch.delenv("KDRIVER_MIRROR", raising=False)
    for family in ("rocky", "centos"):
        write_row(RowIndex(f"{family}8", "2026-11-22T00:00:00+00:00", (), (kernel(family),)), tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("distro", "name"),
    [
        pytest.param("rhel8", RELEASE, id="row"),
        pytest.param("rhel", RELEASE, id="family"),
        pytest.param(None, f"rhel/x86_64/{RELEASE}/{VERSION}", id="key"),
    ],
)
def test_a_kernel_of_rhel_is_given_its_twins_packages_and_says_so(index: Path, distro: str | None, name: str) -> None:
    (found,) = find_kernels(index, distro=distro, kernel=name)
    assert (found.distro, found.distro_release, found.release) == ("rhel", "rhel8", RELEASE)
    assert found.twin_of == f"centos/x86_64/{RELEASE}/{VERSION}"
    assert found.to_json()["twin_of"] == found.twin_of and Kernel.from_json(found.to_json()) == found
    assert not found.named_by
    urls = package_urls(found, found.packages[0])
    assert urls[0] == f"https://vault.centos.org/centos/8/Packages/kernel-devel-{VERSION}.x86_64.rpm"


def test_rhels_own_kernel_comes_first(index: Path) -> None:
    write_row(RowIndex("rhel8", "2026-11-22T00:00:00+00:00", (), (kernel("rhel"),)), index)
    (found,) = find_kernels(index, distro="rhel8", kernel=RELEASE)
    assert not found.twin_of and found.packages[0].archive == "cdn"


def test_a_twin_without_headers_does_not_serve(index: Path) -> None:
    write_row(RowIndex("centos8", "2026-11-22T00:00:00+00:00", (), (kernel("centos", headers=False),)), index)
    (found,) = find_kernels(index, distro="rhel8", kernel=RELEASE)
    assert found.twin_of == f"rocky/x86_64/{RELEASE}/{VERSION}"


@pytest.mark.parametrize(
    ("distro", "name"),
    [
        pytest.param("rhel8", "4.18.0-348.7.2.el8_5.x86_64", id="no-twin"),
        pytest.param("rhel9", RELEASE, id="another-release"),
        pytest.param("rhel8", "6.1.0-56-amd64", id="no-enterprise-kernel"),
        pytest.param("almalinux8", RELEASE, id="not-a-family-with-twins"),
        pytest.param("rhel8", f"rhel/x86_64/{RELEASE}/{VERSION}.1", id="another-version"),
    ],
)
def test_anything_else_has_no_twin(index: Path, distro: str, name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        find_kernels(index, distro=distro, kernel=name)
    assert caught.value.hint and caught.value.exit_code == ExitCode.NOT_FOUND


def test_the_twin_of_a_twin_is_not_taken() -> None:
    from kernel_index.twins import find_twin

    alias = dataclasses.replace(kernel("centos"), twin_of="x")
    assert find_twin([alias], RELEASE, "x86_64", "rhel") is None


def test_keys_give_the_kernels_of_the_index_and_twins_in_the_indexs_order(index: Path) -> None:
    held = find_kernels(index)
    (twin,) = find_kernels(index, distro="rhel8", kernel=RELEASE)
    keys = [twin.key, *(one.key for one in reversed(held)), f"centos/x86_64/{RELEASE}/1-1", "any/x86_64", "nothing"]
    keys.append(f"rhel/x86_64/{RELEASE}/1-1")
    assert find_keys(keys, index) == (held[0], twin, held[1])


def test_commands_take_a_twin_for_a_kernel_of_rhel(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDRIVER_INDEX", str(index))
    words = ["--distro", "rhel8", "--kernel", RELEASE, "--kind", "kmod", "--dry-run", "--json"]
    assert run(["build", *words]) == ExitCode.DONE
    (planned,) = json.loads(capsys.readouterr().out)
    assert (planned["kernel"], planned["action"]) == (f"rhel/x86_64/{RELEASE}/{VERSION}", "build")
    assert run(["verify", *words]) == ExitCode.DONE
    (planned,) = json.loads(capsys.readouterr().out)
    assert planned["kernel"] == f"rhel/x86_64/{RELEASE}/{VERSION}"
    assert planned["image"] == "nothing: the index knows no image of it"
