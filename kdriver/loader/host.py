"""What runs on this host: its kernel, its distribution, and what its kernel allows."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel_index.hosts import Uname, container, host_facts, read_os_release, running_uname

CAP_SYS_MODULE = 16
CAP_SYS_ADMIN = 21
CAP_PERFMON = 38
CAP_BPF = 39


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
    uname = uname or running_uname()
    os_release = read_os_release(root)
    facts = host_facts(uname, os_release)
    notes = [*facts.conflicts, *facts.notes]
    contained = container(root)
    if contained:
        notes.append(f"this is a container ({contained}): the kernel is the host's, os-release is the container's")
    config = next((one for one in _configs(root, uname.release) if one.is_file()), None)
    return Host(
        release=uname.release,
        build=facts.build,
        version=uname.version,
        machine=uname.machine,
        distro=facts.distro,
        os_id=facts.os_id,
        os_version_id=os_release.get("VERSION_ID", ""),
        os_name=os_release.get("PRETTY_NAME") or os_release.get("NAME", ""),
        btf=(root / "sys/kernel/btf/vmlinux").is_file(),
        lockdown=_lockdown(_text(root / "sys/kernel/security/lockdown")),
        enforces_signatures=_enforces(root, config),
        has_modules=(root / "proc/modules").is_file() if (root / "proc").is_dir() else None,
        config=str(config) if config else "",
        container=contained,
        capabilities=_capabilities(_text(root / "proc/self/status")),
        notes=tuple(notes),
    )


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


def _capabilities(status: str) -> int:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    return int(found.group(1), 16) if found else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
