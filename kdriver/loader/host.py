"""What runs on this host: its kernel, its distribution, and what its kernel allows."""

from __future__ import annotations

import gzip
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CAP_SYS_MODULE = 16
CAP_SYS_ADMIN = 21
CAP_PERFMON = 38
CAP_BPF = 39

_DEBIAN_BUILD = re.compile(r"\bDebian ([0-9][^\s)]*)")
_UBUNTU_BUILD = re.compile(r"^#(\S+?)-Ubuntu\b")
_NUMBER_BUILD = re.compile(r"^#(\d+)")
_RPM_DISTROS = frozenset(("rhel", "centos", "almalinux", "rocky", "ol", "fedora"))


@dataclass(frozen=True, slots=True)
class Uname:
    """`uname -r`, `uname -v` and `uname -m`."""

    release: str
    version: str
    machine: str


@dataclass(frozen=True, slots=True)
class Host:
    """What was read of the host.

    build: what tells builds of one release apart (Debian: package version; Ubuntu: upload; else the number after #).
    distro: the family that built the kernel, from the kernel's own strings where they tell, else from os-release.
    lockdown: `none`, `integrity` or `confidentiality`; empty where the kernel has no lockdown. enforces_signatures,
    has_modules: None where it cannot be read. config: the readable kernel configuration, empty where there is none.
    container: what kind of container this is, empty outside of one. capabilities: the effective ones, as bits.
    notes: facts that contradict each other or may mislead.
    """

    release: str
    build: str
    version: str
    machine: str
    distro: str
    os_id: str
    os_version_id: str
    os_name: str
    btf: bool
    lockdown: str
    enforces_signatures: bool | None
    has_modules: bool | None
    config: str
    container: str
    capabilities: int
    notes: tuple[str, ...] = ()

    @property
    def may_load_modules(self) -> bool:
        """Whether this process holds CAP_SYS_MODULE."""
        return bool(self.capabilities >> CAP_SYS_MODULE & 1)

    @property
    def may_load_programs(self) -> bool:
        """Whether this process may load tracing eBPF programs: CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON."""
        has_admin = self.capabilities >> CAP_SYS_ADMIN & 1
        return bool(has_admin or (self.capabilities >> CAP_BPF & 1 and self.capabilities >> CAP_PERFMON & 1))

    def to_json(self) -> dict[str, Any]:
        """A flat object; keys are this class's fields, without `capabilities`."""
        return {
            "release": self.release,
            "build": self.build,
            "version": self.version,
            "machine": self.machine,
            "distro": self.distro,
            "os_id": self.os_id,
            "os_version_id": self.os_version_id,
            "os_name": self.os_name,
            "btf": self.btf,
            "lockdown": self.lockdown,
            "enforces_signatures": self.enforces_signatures,
            "has_modules": self.has_modules,
            "config": self.config,
            "container": self.container,
            "may_load_modules": self.may_load_modules,
            "may_load_programs": self.may_load_programs,
            "notes": list(self.notes),
        }


def read_host(root: Path = Path("/"), uname: Uname | None = None) -> Host:
    """Read the host below `root`. What cannot be read is empty or None; nothing is guessed from its absence."""
    if uname is None:
        here = os.uname()
        uname = Uname(here.release, here.version, here.machine)
    os_release = parse_os_release(_text(root / "etc/os-release") or _text(root / "usr/lib/os-release"))
    os_id = os_release.get("ID", "").lower()
    distro = kernel_distro(uname)
    notes = []
    if distro and os_id and not _same_family(distro, os_id, os_release.get("ID_LIKE", "")):
        notes.append(f"os-release says {os_id}, the kernel was built by {distro}: the kernel decides")
    container = _container(root)
    if container:
        notes.append(f"this is a container ({container}): the kernel is the host's, os-release is the container's")
    config = next((one for one in _configs(root, uname.release) if one.is_file()), None)
    return Host(
        release=uname.release,
        build=kernel_build(uname),
        version=uname.version,
        machine=uname.machine,
        distro=distro or os_id,
        os_id=os_id,
        os_version_id=os_release.get("VERSION_ID", ""),
        os_name=os_release.get("PRETTY_NAME") or os_release.get("NAME", ""),
        btf=(root / "sys/kernel/btf/vmlinux").is_file(),
        lockdown=_lockdown(_text(root / "sys/kernel/security/lockdown")),
        enforces_signatures=_enforces(root, config),
        has_modules=(root / "proc/modules").is_file() if (root / "proc").is_dir() else None,
        config=str(config) if config else "",
        container=container,
        capabilities=_capabilities(_text(root / "proc/self/status")),
        notes=tuple(notes),
    )


def kernel_build(uname: Uname) -> str:
    """What tells builds of one `uname -r` apart, from `uname -v`; suffixes such as `~bpo12+1` are kept."""
    debian = _DEBIAN_BUILD.search(uname.version)
    if debian:
        return debian.group(1)
    ubuntu = _UBUNTU_BUILD.search(uname.version)
    if ubuntu:
        return ubuntu.group(1)
    number = _NUMBER_BUILD.search(uname.version)
    return number.group(1) if number else ""


def kernel_distro(uname: Uname) -> str:
    """The family that built the kernel, from its own strings; empty where they do not tell (RHEL and its rebuilds
    use one grammar, so `.el8` alone does not)."""
    if _DEBIAN_BUILD.search(uname.version):
        return "debian"
    if _UBUNTU_BUILD.search(uname.version):
        return "ubuntu"
    return "amzn" if ".amzn" in uname.release else ""


def parse_os_release(text: str) -> dict[str, str]:
    """The keys of an os-release file (freedesktop's grammar); lines of another shape are left out."""
    if not text.strip():
        return {}
    values = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            values[name] = _unquote(value)
    return values


def _unquote(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return re.sub(r"\\([\\\"'$`])", r"\1", value)


def _same_family(distro: str, os_id: str, id_like: str) -> bool:
    if os_id == distro or distro in id_like.split():
        return True
    return distro in _RPM_DISTROS and os_id in _RPM_DISTROS


def _configs(root: Path, release: str) -> tuple[Path, ...]:
    return (root / f"boot/config-{release}", root / f"lib/modules/{release}/config", root / "proc/config.gz")


def _enforces(root: Path, config: Path | None) -> bool | None:
    """Whether unsigned modules are refused: the kernel's switch, else what it was configured with."""
    switch = _text(root / "sys/module/module/parameters/sig_enforce").strip()
    if switch:
        return switch == "Y"
    if config is None:
        return None
    try:
        content = gzip.decompress(config.read_bytes()) if config.suffix == ".gz" else config.read_bytes()
    except (OSError, EOFError):
        return None
    return b"\nCONFIG_MODULE_SIG_FORCE=y\n" in content


def _lockdown(text: str) -> str:
    """`none [integrity] confidentiality`: the one in brackets holds."""
    chosen = re.search(r"\[(\w+)\]", text)
    return chosen.group(1) if chosen else ""


def _container(root: Path) -> str:
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    named = re.search(r"(?:^|\0)container=([^\0]+)", _text(root / "proc/1/environ"))
    if named:
        return named.group(1)
    groups = re.search(r"docker|kubepods|containerd|lxc|libpod", _text(root / "proc/1/cgroup"))
    return groups.group() if groups else ""


def _capabilities(status: str) -> int:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    return int(found.group(1), 16) if found else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
