"""What is read of a host, on texts of real hosts (tests/fixtures/hosts.json)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from kdriver.loader.host import CAP_SYS_ADMIN, CAP_SYS_MODULE, read_host
from kernel_index.hosts import Uname, parse_os_release
from kernel_index.releases import build_of_version

HOSTS: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "fixtures/hosts.json").read_text())
DEBIAN = Uname("6.1.0-53-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.187-1 (2026-09-07)", "x86_64")


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host["id"])
def test_a_real_host_is_read(tmp_path: Path, host: dict[str, Any]) -> None:
    write(tmp_path, {"etc/os-release": host["os_release"]})
    found = read_host(tmp_path, Uname(host["release"], host["version"], "x86_64"))
    assert (found.os_id, found.os_version_id) == (host["os_id"], host["os_version_id"] or "")
    assert found.release == host["release"]


@pytest.mark.parametrize(
    ("version", "build"),
    [
        pytest.param("#1 SMP Debian 4.19.37-5+deb10u1 (2019-07-19)", "4.19.37-5+deb10u1", id="debian suffix"),
        pytest.param("#1 SMP Debian 5.10.120-1~bpo10+1", "5.10.120-1~bpo10+1", id="debian backport"),
        pytest.param("#1 SMP PREEMPT_DYNAMIC Debian 6.6.9-1+b1 (2024-01-01)", "6.6.9-1+b1", id="debian binNMU"),
        pytest.param("#113~16.04.1-Ubuntu SMP Fri Jul 10", "113~16.04.1", id="ubuntu backport"),
        pytest.param("#66+cvm3-Ubuntu SMP", "66+cvm3", id="ubuntu upload with a plus sign"),
        pytest.param("#1 SMP Mon Sep 30 14:19:46 UTC 2019", "1", id="rhel"),
        pytest.param("#202306141047~1686751823~22.04~4e7ee8d SMP", "202306141047", id="pop"),
        pytest.param("something else", "", id="nothing to read"),
    ],
)
def test_the_build_is_read_from_uname_v(version: str, build: str) -> None:
    assert build_of_version(version) == build


def test_the_kernel_tells_its_distribution_against_os_release(tmp_path: Path) -> None:
    write(tmp_path, {"etc/os-release": 'ID=ubuntu\nVERSION_ID="22.04"\nID_LIKE=debian2\n'})
    host = read_host(tmp_path, DEBIAN)
    assert host.distro == "debian"
    assert host.notes == ("os-release says ubuntu, the kernel was built by debian: the kernel decides",)


def test_a_derivative_that_says_what_it_is_like_is_no_contradiction(tmp_path: Path) -> None:
    write(tmp_path, {"etc/os-release": "ID=kali\nID_LIKE=debian\n"})
    assert read_host(tmp_path, DEBIAN).notes == ()


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        pytest.param({".dockerenv": ""}, "docker", id="docker"),
        pytest.param({"run/.containerenv": ""}, "podman", id="podman"),
        pytest.param({"proc/1/environ": "PATH=/bin\0container=lxc\0TERM=x"}, "lxc", id="environment"),
        pytest.param({"proc/1/cgroup": "0::/kubepods/besteffort/pod1/x\n"}, "kubepods", id="cgroup"),
        pytest.param({"proc/1/cgroup": "0::/init.scope\n"}, "", id="none"),
    ],
)
def test_a_container_is_noticed(tmp_path: Path, files: dict[str, str], kind: str) -> None:
    host = read_host(write(tmp_path, files), DEBIAN)
    assert host.container == kind
    assert bool(host.notes) == bool(kind)


@pytest.mark.parametrize(
    ("text", "state"),
    [("none [integrity] confidentiality\n", "integrity"), ("[none] integrity confidentiality\n", "none"), ("", "")],
)
def test_lockdown(tmp_path: Path, text: str, state: str) -> None:
    write(tmp_path, {"sys/kernel/security/lockdown": text})
    assert read_host(tmp_path, DEBIAN).lockdown == state


def test_signature_enforcement_is_the_kernels_switch_before_its_configuration(tmp_path: Path) -> None:
    assert read_host(tmp_path, DEBIAN).enforces_signatures is None
    write(tmp_path, {f"boot/config-{DEBIAN.release}": "# Linux\nCONFIG_MODULE_SIG_FORCE=y\n"})
    assert read_host(tmp_path, DEBIAN).enforces_signatures is True
    write(tmp_path, {"sys/module/module/parameters/sig_enforce": "N\n"})
    assert read_host(tmp_path, DEBIAN).enforces_signatures is False


def test_a_compressed_configuration_is_read(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(b"# Linux\nCONFIG_MODULE_SIG_FORCE=y\n"))
    host = read_host(tmp_path, DEBIAN)
    assert host.enforces_signatures is True
    assert host.config == str(tmp_path / "proc/config.gz")


def test_capabilities_tell_what_this_process_may_load(tmp_path: Path) -> None:
    assert not read_host(tmp_path, DEBIAN).may_load_modules
    write(tmp_path, {"proc/self/status": f"Name:\tx\nCapEff:\t{1 << CAP_SYS_MODULE | 1 << CAP_SYS_ADMIN:016x}\n"})
    host = read_host(tmp_path, DEBIAN)
    assert host.may_load_modules
    assert host.may_load_programs


def test_a_kernel_without_modules_is_told_from_a_proc_that_is_not_there(tmp_path: Path) -> None:
    assert read_host(tmp_path, DEBIAN).has_modules is None
    (tmp_path / "proc").mkdir()
    assert read_host(tmp_path, DEBIAN).has_modules is False
    write(tmp_path, {"proc/modules": ""})
    assert read_host(tmp_path, DEBIAN).has_modules is True


def test_os_release_values_are_unquoted() -> None:
    text = '# comment\nNAME="A \\"b\\""\nID=\'debian\'\nnot a line\nVERSION_ID=12\n'
    assert parse_os_release(text) == {"NAME": 'A "b"', "ID": "debian", "VERSION_ID": "12"}


def test_this_host_can_be_read() -> None:
    host = read_host()
    assert host.release == Path("/proc/sys/kernel/osrelease").read_text().strip()
    assert json.loads(json.dumps(host.to_json()))["machine"] == host.machine
