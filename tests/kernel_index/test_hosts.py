"""Whose kernel a host runs: every host of the facts, and the ways in which names lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernel_index.hosts import HostFacts, Uname, host_facts, kernel_distro, read_host_facts, read_os_release
from tests.kernel_index.known import known_hosts

EL8 = "4.18.0-348.7.1.el8_5.x86_64"


def below(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize("host", known_hosts(), ids=lambda host: host["id"])
def test_a_real_host(tmp_path: Path, host: dict[str, Any]) -> None:
    files = dict(host["files"])
    if host["os_release"]:
        files["/etc/os-release"] = host["os_release"]
    facts = read_host_facts(below(tmp_path, files), Uname(host["release"], host["version"], host["arch"]))
    found = {"distro": facts.distro, "distro_version": facts.distro_version, "build": facts.build}
    assert {**found, "conflict": bool(facts.conflicts)} == host["expected"]
    assert facts.to_json() == {
        "distro": facts.distro,
        "distro_version": facts.distro_version,
        "release": host["release"],
        "version": host["version"],
        "arch": host["arch"],
    }


def test_all_hosts_of_the_facts_are_tested() -> None:
    assert len(known_hosts()) == 50


def facts(release: str, version: str, os_release: str) -> HostFacts:
    pairs = dict(line.split("=", 1) for line in os_release.split(";") if line)
    return host_facts(Uname(release, version, "x86_64"), pairs)


@pytest.mark.parametrize(
    ("release", "version", "os_release", "distro", "distro_version", "conflict"),
    [
        pytest.param(
            "3.10.0-1160.el7.x86_64",
            "#1 SMP",
            "ID=debian;VERSION_ID=10",
            "rhel",
            "7",
            "os-release says debian, the kernel was built by rhel (or one of centos, almalinux, rocky: their kernels "
            "have the same names): the kernel decides",
            id="a buster container on an el7 host",
        ),
        pytest.param(
            "6.1.0-56-amd64",
            "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-10-01)",
            "ID=centos;VERSION_ID=7;ID_LIKE=rhel fedora",
            "debian",
            "",
            "os-release says centos, the kernel was built by debian: the kernel decides",
            id="a centos container on a debian host",
        ),
        pytest.param(
            "5.4.0-128-generic",
            "#144~18.04.1-Ubuntu SMP",
            "ID=ubuntu;VERSION_ID=20.04;ID_LIKE=debian",
            "ubuntu",
            "18.04",
            "os-release says ubuntu 20.04, the kernel is one of ubuntu 18.04: the kernel decides",
            id="a focal container on a bionic HWE kernel",
        ),
        pytest.param(
            "6.8.0-41-generic", "#41-Ubuntu SMP", "ID=linuxmint;VERSION_ID=22;ID_LIKE=ubuntu debian", "ubuntu", "", "",
            id="mint runs Ubuntu's kernel",
        ),
        pytest.param(
            "6.12.57+deb13-amd64", "#1 SMP Debian 6.12.57-1~deb12u1", "ID=kali;ID_LIKE=debian", "debian", "12", "",
            id="kali runs a Debian kernel",
        ),
        pytest.param(EL8, "#1 SMP", "ID=scientific;VERSION_ID=8.5;ID_LIKE=rhel centos", "scientific", "8.5", "",
                     id="scientific linux"),
        pytest.param(EL8, "#1 SMP", "ID=cloudlinux;VERSION_ID=8.5;ID_LIKE=rhel", "cloudlinux", "8.5", "",
                     id="cloudlinux"),
        pytest.param("5.15.0-102.110.5.1.el8uek.x86_64", "#2 SMP", "ID=ol;VERSION_ID=8.9", "ol", "8.9", "", id="uek"),
        pytest.param("3.10.0-862.14.4.el7.centos.plus.x86_64", "#1 SMP", "", "centos", "7", "", id="no os-release"),
        pytest.param("5.4.0-128-generic", "", "", "ubuntu", "", "", id="only the form of the name speaks"),
        pytest.param("6.1.0-56-amd64", "", "", "debian", "", "", id="likewise"),
        pytest.param("5.15.0", "#476-Microsoft Fri", "ID=ubuntu;VERSION_ID=22.04", "wsl", "",
                     "os-release says ubuntu, the kernel was built by wsl: the kernel decides", id="wsl"),
        pytest.param("6.1.102", "#1 SMP", "ID=debian;VERSION_ID=12", "debian", "12",
                     "'6.1.102' is no name that debian gives its kernels, and it has no other mark", id="firecracker"),
        pytest.param("4.4.0", "#1 SMP Sun Jan 10 15:06:54 PST 2016", "ID=alpine", "gvisor", "",
                     "os-release says alpine, the kernel was built by gvisor: the kernel decides", id="gvisor"),
    ],
)  # fmt: skip
def test_the_kernels_own_strings_win_and_conflicts_are_told(
    release: str, version: str, os_release: str, distro: str, distro_version: str, conflict: str
) -> None:
    found = facts(release, version, os_release)
    assert (found.distro, found.distro_version) == (distro, distro_version)
    assert found.conflicts == ((conflict,) if conflict else ())


@pytest.mark.parametrize(
    ("files", "os_release"),
    [
        pytest.param({"usr/lib/os-release": "ID=debian\n"}, {"ID": "debian"}, id="the other place"),
        pytest.param(
            {"etc/lsb-release": "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=14.04\n", "etc/debian_version": "jessie/sid\n"},
            {"ID": "ubuntu", "VERSION_ID": "14.04"},
            id="lsb-release before a marker",
        ),
        pytest.param(
            {"etc/centos-release": "CentOS Linux release 7.6.1810 (Core)\n", "etc/redhat-release": "x"},
            {"ID": "centos", "VERSION_ID": "7.6"},
            id="a rebuild's own file before its parent's",
        ),
        pytest.param({"etc/redhat-release": ""}, {"ID": "rhel", "VERSION_ID": ""}, id="an empty marker"),
        pytest.param({}, {}, id="nothing at all"),
    ],
)
def test_a_missing_os_release_is_stood_in_for(
    tmp_path: Path, files: dict[str, str], os_release: dict[str, str]
) -> None:
    assert read_os_release(below(tmp_path, files)) == os_release


def test_a_name_that_was_cut_short_is_told() -> None:
    found = facts("4.18.0-348.2.1.el8_5.x86", "", "ID=centos;VERSION_ID=8")
    assert found.distro == "centos"
    assert found.notes == ("no distribution names a kernel '4.18.0-348.2.1.el8_5.x86': its architecture is cut short",)


def test_only_sure_marks_name_the_builder() -> None:
    assert kernel_distro(Uname("5.4.0-128-generic", "#144-Ubuntu SMP", "x86_64")) == "ubuntu"
    assert kernel_distro(Uname("5.4.0-128-generic", "", "x86_64")) == ""
    assert kernel_distro(Uname(EL8, "#1 SMP", "x86_64")) == ""


def test_a_container_is_told(tmp_path: Path) -> None:
    root = below(tmp_path, {".dockerenv": "", "etc/os-release": "ID=debian\n"})
    found = read_host_facts(root, Uname("6.1.0-56-amd64", "#1 SMP Debian 6.1.192-2", "x86_64"))
    assert found.notes == ("this is a container (docker): the kernel is the host's, os-release is the container's",)


def test_a_huge_os_release_is_read_within_bounds(tmp_path: Path) -> None:
    root = below(tmp_path, {"etc/os-release": "ID=debian\n" + "X" * (8 << 20)})
    assert read_os_release(root) == {"ID": "debian"}
