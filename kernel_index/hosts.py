"""Whose kernel a host runs: from `uname`, os-release(5) and the marker files of /etc.

The kernel's own strings win over what user space says: a container has another distribution than its kernel, a host may
have been upgraded, and derivatives run their parents' kernels. Every contradiction is reported.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel_index.releases import DEBIAN_BUILD, UBUNTU_BUILD, Grammar, Release, build_of_version, parse_release

ENTERPRISE = ("rhel", "centos", "almalinux", "rocky", "ol", "scientific", "cloudlinux", "virtuozzo", "eurolinux")
"""Distributions that give their kernels RHEL's names: the name alone does not tell which of them built one."""

_OS_NAMES = {"redhat": "rhel", "redhatenterpriseserver": "rhel", "oracle": "ol", "amazon": "amzn", "raspbian": "debian"}
_GRAMMARS = {"debian": Grammar.DEBIAN, "ubuntu": Grammar.UBUNTU, **dict.fromkeys(ENTERPRISE, Grammar.RPM)}
_TAGGED = {"amzn": "amzn", "fc": "fedora", "azl": "azurelinux", "cm": "mariner"}
_STRANGERS = (
    (re.compile(r"microsoft", re.IGNORECASE), "wsl"),
    (re.compile(r"^#\d+~\d{10}~[0-9.]+~[0-9a-f]{7}"), "pop"),
    (re.compile(r"\.ph\d+"), "photon"),
    (re.compile(r"-arch\d+-\d+$"), "arch"),
    (re.compile(r"-flatcar$"), "flatcar"),
    (re.compile(r"-talos$"), "talos"),
    (re.compile(r"-pve$"), "proxmox"),
    (re.compile(r"\+rpt"), "raspberrypi"),
)
"""Kernels of distributions that kdriver has no rows for, by a mark in `uname -r` or `uname -v`."""
_GVISOR = ("4.4.0", "#1 SMP Sun Jan 10 15:06:54 PST 2016")
"""What gVisor answers whatever the host runs (gvisor.dev, pkg/sentry/kernel/version.go)."""
_MARKERS = (
    ("etc/almalinux-release", "almalinux"),
    ("etc/rocky-release", "rocky"),
    ("etc/oracle-release", "ol"),
    ("etc/centos-release", "centos"),
    ("etc/redhat-release", "rhel"),
    ("etc/system-release", "rhel"),
    ("etc/debian_version", "debian"),
)
"""What stands in for a missing os-release, in this order: a rebuild also has its parent's files."""


@dataclass(frozen=True, slots=True)
class Uname:
    """`uname -r`, `uname -v` and `uname -m`."""

    release: str
    version: str
    machine: str


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Whose kernel runs.

    distro: who built the kernel: a family (`debian`), or the ID of another distribution. distro_version: `12`, `22.04`,
    `8.5`; empty where nothing tells it. build: as Kernel.build. os_id: what os-release says. conflicts: what
    contradicts, as sentences. notes: what should be known besides.
    """

    distro: str
    distro_version: str
    release: str
    version: str
    arch: str
    build: str
    os_id: str
    conflicts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def candidates(self) -> tuple[str, ...]:
        """The families that may have built the kernel, likeliest first."""
        if self.distro in ENTERPRISE:
            return (self.distro, *(other for other in ENTERPRISE if other != self.distro))
        return (self.distro,)

    def to_json(self) -> dict[str, Any]:
        """`host` of what `index resolve --json` prints."""
        return {
            "distro": self.distro,
            "distro_version": self.distro_version,
            "release": self.release,
            "version": self.version,
            "arch": self.arch,
        }


@dataclass(frozen=True, slots=True)
class _Origin:
    """What the kernel's strings say. distros: who may have built it, empty where they do not tell. sure: whether more
    than the form of the name says so. version: for which release of the distribution, empty where untold."""

    distros: tuple[str, ...] = ()
    version: str = ""
    sure: bool = True
    note: str = ""


def host_facts(uname: Uname, os_release: Mapping[str, str]) -> HostFacts:
    """Whose kernel runs. os_release: its keys; empty where there is none."""
    os_id = _os_name(os_release.get("ID", ""))
    like = tuple(map(_os_name, os_release.get("ID_LIKE", "").split()))
    os_version = os_release.get("VERSION_ID", "")
    origin = _origin(uname)
    conflicts: list[str] = []
    notes = [origin.note] if origin.note else []
    if not origin.distros:
        distro, version = _unmarked(os_id, like), os_version
        notes += _malformed(uname.release)
        if distro in _GRAMMARS and uname.release:
            conflicts.append(f"{uname.release!r} is no name that {distro} gives its kernels, and it has no other mark")
    else:
        distro = _builder(origin, os_id, like)
        version = _version(distro, origin, os_id, os_version)
        conflicts += _contradictions(distro, origin, os_id, like, os_version)
    return HostFacts(
        distro=distro,
        distro_version=version,
        release=uname.release,
        version=uname.version,
        arch=uname.machine,
        build=build_of_version(uname.version),
        os_id=os_release.get("ID", "").lower(),
        conflicts=tuple(conflicts),
        notes=tuple(notes),
    )


def read_host_facts(root: Path = Path("/"), uname: Uname | None = None) -> HostFacts:
    """Whose kernel runs on the host below `root`. uname: of another kernel than the running one."""
    facts = host_facts(uname or running_uname(), read_os_release(root))
    kind = container(root)
    if not kind:
        return facts
    note = f"this is a container ({kind}): the kernel is the host's, os-release is the container's"
    return dataclasses.replace(facts, notes=(*facts.notes, note))


def running_uname() -> Uname:
    """This host's."""
    here = os.uname()
    return Uname(here.release, here.version, here.machine)


def kernel_distro(uname: Uname) -> str:
    """The family that built the kernel, where its own strings tell it for sure; empty otherwise (RHEL and its rebuilds
    use one grammar, so `.el8` alone does not tell)."""
    origin = _origin(uname)
    return origin.distros[0] if origin.sure and len(origin.distros) == 1 else ""


def read_os_release(root: Path = Path("/")) -> dict[str, str]:
    """The host's os-release(5), below `root`; where there is none what lsb-release or a marker file says. Empty where
    nothing is there."""
    found = parse_os_release(_text(root / "etc/os-release") or _text(root / "usr/lib/os-release"))
    if found:
        return found
    lsb = parse_os_release(_text(root / "etc/lsb-release"))
    if lsb.get("DISTRIB_ID"):
        return {"ID": lsb["DISTRIB_ID"].lower(), "VERSION_ID": lsb.get("DISTRIB_RELEASE", "")}
    for name, os_id in _MARKERS:
        if (root / name).is_file():
            version = re.search(r"\d+(?:\.\d+)?", _text(root / name))
            return {"ID": os_id, "VERSION_ID": version[0] if version else ""}
    return {}


def parse_os_release(text: str) -> dict[str, str]:
    """The keys of an os-release file (freedesktop's grammar); lines of another shape are left out."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            values[name] = _unquote(value)
    return values


def container(root: Path) -> str:
    """What kind of container this is; empty outside of one."""
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    named = re.search(r"(?:^|\0)container=([^\0]+)", _text(root / "proc/1/environ"))
    if named:
        return named.group(1)
    groups = re.search(r"docker|kubepods|containerd|lxc|libpod", _text(root / "proc/1/cgroup"))
    return groups.group() if groups else ""


def _origin(uname: Uname) -> _Origin:
    for pattern, name in _STRANGERS:
        if pattern.search(uname.release) or pattern.search(uname.version):
            return _Origin((name,))
    if (uname.release, uname.version) == _GVISOR:
        return _Origin(("gvisor",), note="gVisor answers so whatever the host runs: ask on the host itself")
    debian = DEBIAN_BUILD.search(uname.version)
    if debian:
        return _Origin(("debian",), _last(r"(?:deb|bpo)(\d+)", debian[1]))
    ubuntu = UBUNTU_BUILD.search(uname.version)
    if ubuntu:
        return _Origin(("ubuntu",), _last(r"[~+](\d\d\.\d\d)", ubuntu[1]))
    try:
        release = parse_release(uname.release)
    except ValueError:
        return _Origin()
    if release.grammar is Grammar.RPM:
        return _rpm_origin(release)
    return _Origin((str(release.grammar),), sure=False)


def _rpm_origin(release: Release) -> _Origin:
    prefix = re.match(r"[a-z]*", release.tag)
    if prefix and prefix[0] in _TAGGED:
        return _Origin((_TAGGED[prefix[0]],), release.tag.removeprefix(prefix[0]))
    if release.enterprise is None:
        return _Origin()
    major, minor = release.enterprise
    version = f"{major}.{minor}" if minor is not None else str(major)
    if release.flavour == "plus":
        return _Origin(("centos",), version)
    if release.flavour == "uek":
        return _Origin(("ol",), version)
    third = {"elrepo": "ELRepo", "lve": "CloudLinux"}.get(release.flavour, "")
    note = f"{third} built this kernel, it is in no repository of the distribution" if third else ""
    return _Origin(ENTERPRISE, version, note=note)


def _malformed(release: str) -> list[str]:
    """What is wrong with a name, where that can be told."""
    try:
        parse_release(release)
    except ValueError as error:
        what, colon, why = str(error).rpartition("form: ")
        return [f"no distribution names a kernel {release!r}: {why}"] if what and colon else []
    return []


def _unmarked(os_id: str, like: tuple[str, ...]) -> str:
    """For a kernel without any mark: what os-release says, a derivative counting as its parent."""
    return os_id if os_id in _GRAMMARS else next((one for one in like if one in _GRAMMARS), os_id)


def _builder(origin: _Origin, os_id: str, like: tuple[str, ...]) -> str:
    if len(origin.distros) > 1:
        said = [one for one in (os_id, *like) if one in origin.distros]
        return said[0] if said else origin.distros[0]
    if not origin.sure:
        # Only the form of the name speaks: every Ubuntu-like host may have it.
        said = [one for one in (os_id, *like) if _GRAMMARS.get(one) is _GRAMMARS.get(origin.distros[0])]
        return said[0] if said else origin.distros[0]
    return origin.distros[0]


def _version(distro: str, origin: _Origin, os_id: str, os_version: str) -> str:
    """Of RHEL-like kernels os-release says the minor better, as long as it speaks of the same major."""
    if distro in ENTERPRISE:
        same = _major(os_version) == _major(origin.version) and os_id in ENTERPRISE
        return os_version if same else origin.version
    return origin.version or (os_version if os_id == distro else "")


def _contradictions(
    distro: str, origin: _Origin, os_id: str, like: tuple[str, ...], os_version: str
) -> tuple[str, ...]:
    if os_id and os_id != distro and distro not in like and not (os_id in ENTERPRISE and distro in ENTERPRISE):
        shared = f" (or one of {', '.join(origin.distros[1:4])}: their kernels have the same names)"
        several = shared if len(origin.distros) > 1 else ""
        return (f"os-release says {os_id}, the kernel was built by {distro}{several}: the kernel decides",)
    told, said = origin.version, os_version
    if distro in ENTERPRISE:
        told, said = _major(told), _major(said)
    if told and said and told != said and (os_id == distro or os_id in ENTERPRISE):
        what = f"of {distro} {origin.version}"
        return (f"os-release says {os_id} {os_version}, the kernel is one {what}: the kernel decides",)
    return ()


def _major(version: str) -> str:
    return version.partition(".")[0]


def _os_name(text: str) -> str:
    name = text.lower()
    return _OS_NAMES.get(name, name)


def _last(pattern: str, text: str) -> str:
    """The last one counts: `4.19.118-2+deb10u1~bpo9+1` was built for 9."""
    found = re.findall(pattern, text)
    return str(found[-1]) if found else ""


def _unquote(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return re.sub(r"\\([\\\"'$`])", r"\1", value)


def _text(path: Path) -> str:
    """At most 64 kB of a file; empty where it cannot be read."""
    try:
        with path.open("rb") as source:
            return source.read(1 << 16).decode("utf-8", "replace")
    except OSError:
        return ""
