"""From a host to its kernel in the index."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.hosts import Uname, host_facts, parse_os_release
from kernel_index.package_names import kernel_part, split_file_name
from kernel_index.resolve import Resolution, resolve, resolve_in_index
from kernel_index.store import RowIndex, write_row
from tests.kernel_index.known import known_hosts, known_kernels

HEADERS = Package(PackageRole.HEADERS, "headers", "1", "amd64", "main", "pool/headers.deb", 1, "a" * 64)


def kernel(distro: str, release: str, build: str, *, row: str = "", arch: str = "x86_64", flavour: str = "") -> Kernel:
    return Kernel(distro, row or f"{distro}1", release, build, build, arch, flavour, (HEADERS,))


def known_index() -> tuple[Kernel, ...]:
    """Every kernel of the facts that has packages, and every host's own."""
    kernels = []
    for one in known_kernels():
        for url in one["urls"][:1]:
            part = kernel_part(split_file_name(url))
            assert part is not None
            kernels.append(kernel(one["distro"], part.release, part.build, arch=part.arch, flavour=part.flavour))
    return tuple(kernels)


INDEX = (
    kernel("debian", "6.1.0-55-amd64", "6.1.192-1", row="debian12"),
    kernel("debian", "6.1.0-56-amd64", "6.1.192-2", row="debian12"),
    kernel("debian", "6.1.0-56-cloud-amd64", "6.1.192-2", row="debian12"),
    kernel("debian", "5.10.0-23-amd64", "5.10.179-1", row="debian11"),
    kernel("debian", "5.10.0-23-amd64", "5.10.179-3", row="debian11"),
    kernel("ubuntu", "4.15.0-112-generic", "113", row="ubuntu18.04"),
    kernel("ubuntu", "4.15.0-112-generic", "113~16.04.1", row="ubuntu16.04"),
    kernel("centos", "3.10.0-1160.15.2.el7.x86_64", "1", row="centos7"),
    kernel("rocky", "4.18.0-372.9.1.el8.x86_64", "1", row="rocky8"),
)


def found(release: str, version: str, os_release: str = "", arch: str = "x86_64") -> Resolution:
    return resolve(host_facts(Uname(release, version, arch), parse_os_release(os_release)), INDEX)


@pytest.mark.parametrize("host", known_hosts(), ids=lambda host: host["id"])
def test_every_real_host_finds_its_kernel_or_a_reason(host: dict[str, Any]) -> None:
    facts = host_facts(Uname(host["release"], host["version"], host["arch"]), parse_os_release(host["os_release"]))
    others = known_index()
    without = resolve(facts, [one for one in others if one.release != host["release"]])
    assert without.kernel is None
    assert without.reasons
    if facts.distro not in {one.distro for one in others} or not facts.release:
        assert without.nearest is None
        return
    assert without.nearest is not None
    assert without.nearest.arch == host["arch"]
    own = kernel(facts.distro, host["release"], facts.build, arch=host["arch"])
    assert resolve(facts, (*others, own)).kernel == next(
        one for one in (*others, own) if (one.distro, one.release, one.build, one.arch)
        == (facts.distro, own.release, own.build, own.arch)
    )  # fmt: skip


def test_two_builds_of_one_name_are_told_apart_by_uname_v() -> None:
    for version, build in (("#113-Ubuntu SMP", "113"), ("#113~16.04.1-Ubuntu SMP", "113~16.04.1")):
        exact = found("4.15.0-112-generic", version)
        assert exact.kernel is not None
        assert (exact.kernel.build, exact.nearest) == (build, None)


def test_without_uname_v_several_builds_are_no_answer() -> None:
    answer = found("5.10.0-23-amd64", "", "ID=debian\nVERSION_ID=11\n")
    assert answer.kernel is None
    assert answer.nearest is not None
    assert answer.reasons == (
        "2 builds are named 5.10.0-23-amd64 (5.10.179-1, 5.10.179-3), and `uname -v` does not tell which one runs",
    )


def test_without_uname_v_the_only_build_is_the_answer() -> None:
    answer = found("6.1.0-56-amd64", "", "ID=debian\nVERSION_ID=12\n")
    assert answer.kernel == INDEX[1]


def test_another_build_of_the_name_is_the_nearest() -> None:
    answer = found("5.10.0-23-amd64", "#1 SMP Debian 5.10.179-2 (2023-07-14)", "ID=debian\nVERSION_ID=11\n")
    assert answer.kernel is None
    assert answer.nearest is not None
    assert answer.nearest.release == "5.10.0-23-amd64"
    assert answer.reasons == ("the index has 5.10.0-23-amd64, but not of build 5.10.179-2: of 5.10.179-1, 5.10.179-3",)


def test_the_nearest_is_of_the_same_flavour() -> None:
    answer = found("6.1.0-57-cloud-amd64", "#1 SMP Debian 6.1.194-1 (2026-11-20)")
    assert answer.nearest == INDEX[2]
    assert answer.reasons == (
        "debian 6.1.0-57-cloud-amd64 is not in the index",
        "the nearest is 6.1.0-56-cloud-amd64, 1 apart",
    )


def test_a_rebuild_serves_but_is_not_passed_off() -> None:
    answer = found("3.10.0-1160.15.2.el7.x86_64", "#1 SMP", 'ID="rhel"\nVERSION_ID="7.9"\n')
    assert (answer.kernel, answer.nearest) == (None, INDEX[7])
    assert answer.reasons[0] == (
        "rhel 3.10.0-1160.15.2.el7.x86_64 is not in the index; centos built a kernel of the same release: its headers "
        "can serve (a rebuild alias), but it is not rhel's"
    )


def test_the_nearest_of_a_rhel_host_is_what_would_be_built_for_it(tmp_path: Path) -> None:
    write_row(RowIndex("centos7", "", (), (INDEX[7],)), tmp_path)
    host = host_facts(Uname("3.10.0-1160.15.2.el7.x86_64", "#1 SMP", "x86_64"), {"ID": "rhel", "VERSION_ID": "7.9"})
    answer = resolve_in_index(host, tmp_path)
    assert answer.kernel is None
    assert answer.nearest is not None
    assert (answer.nearest.distro, answer.nearest.distro_release) == ("rhel", "rhel7")
    assert answer.nearest.twin_of == INDEX[7].key
    assert "it is not rhel's" in answer.reasons[0]


def test_the_index_is_asked_for_no_more_than_is_needed(tmp_path: Path) -> None:
    for row in ("debian11", "debian12", "centos7"):
        write_row(RowIndex(row, "", (), tuple(one for one in INDEX if one.distro_release == row)), tmp_path)
    host = host_facts(Uname("6.1.0-57-amd64", "#1 SMP Debian 6.1.194-1", "x86_64"), {})
    assert resolve_in_index(host, tmp_path) == resolve(host, INDEX)


def test_a_conflict_is_among_the_reasons_of_an_exact_answer() -> None:
    answer = found("6.1.0-56-amd64", "#1 SMP Debian 6.1.192-2 (2026-10-01)", "ID=ubuntu\nVERSION_ID=22.04\n")
    assert answer.kernel == INDEX[1]
    assert answer.reasons == ("os-release says ubuntu, the kernel was built by debian: the kernel decides",)
    assert answer.host.distro_version == "12"


def test_no_kernel_of_the_distribution() -> None:
    answer = found("6.7.2-arch1-2", "#1 SMP PREEMPT_DYNAMIC")
    assert (answer.kernel, answer.nearest) == (None, None)
    assert answer.reasons == ("the index has no x86_64 kernels of arch",)


def test_a_kernel_of_another_architecture_is_never_near() -> None:
    answer = found("6.1.0-56-arm64", "#1 SMP Debian 6.1.192-2", arch="aarch64")
    assert (answer.kernel, answer.nearest) == (None, None)


def test_what_a_kernel_lacks_is_a_reason() -> None:
    bare = dataclasses.replace(INDEX[1], packages=(), authenticated=False)
    host = host_facts(Uname("6.1.0-56-amd64", "#1 SMP Debian 6.1.192-2", "x86_64"), {})
    assert resolve(host, [bare]).reasons == (
        f"{bare.key}: its headers were never seen, nothing can be built for it",
        f"{bare.key} is not authenticated: nothing built from it is published by default",
    )


def test_the_document() -> None:
    document = found("6.1.0-56-amd64", "#1 SMP Debian 6.1.192-2", "ID=debian\nVERSION_ID=12\n").to_json()
    assert list(document) == ["kernel", "nearest", "reasons", "host"]
    assert document["kernel"]["key"] == "debian/x86_64/6.1.0-56-amd64/6.1.192-2"
    assert list(document["host"]) == ["distro", "distro_version", "release", "version", "arch"]
