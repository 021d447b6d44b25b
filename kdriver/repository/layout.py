"""Where things lie in a repository: names of targets, and the file names that other loaders ask for."""

from __future__ import annotations

import re
from urllib.parse import quote

from kdriver.core.artifact import CORE_KERNEL, DriverKind, DriverVersion

METADATA = "metadata"
TARGETS = "targets"
CAPTURE_TOOL = "kd-capture"

_PEER_SUFFIX = {DriverKind.KMOD: "ko", DriverKind.BPF: "o"}
_DEBIAN_VERSION = re.compile(r"\d+\.\d+\.\d+-\d+")
_DEBIAN_FLAVOUR = re.compile(r"-(?:[a-z]+[a-z0-9]*-)*(?:amd64|arm64)$")


def artifact_target(sha256: str, file_name: str) -> str:
    """A driver file, by content."""
    return f"artifacts/{sha256}/{file_name}"


def record_target(sha256: str) -> str:
    """An artifact's record (what it was built from), by the record's digest."""
    return f"records/{sha256}.json"


def provenance_target(sha256: str) -> str:
    """An artifact's provenance, signed, by the digest of its document."""
    return f"provenance/{sha256}.json"


def verdict_target(sha256: str) -> str:
    """A verdict's record, by the record's digest."""
    return f"verdicts/{sha256}.json"


def tool_target(sha256: str) -> str:
    """The static capture tool, by content: an artifact's entry names the one that understands it."""
    return f"tools/{sha256}/{CAPTURE_TOOL}"


def kernel_target(key: str) -> str:
    """A kernel's entry. key: `debian/x86_64/6.1.0-56-amd64/6.1.192-2`, or CORE_KERNEL."""
    return f"kernels/{key}.json"


def release_target(arch: str, release: str) -> str:
    """Which kernels have that `uname -r`: what a host, which does not know its package version, asks for first."""
    return f"releases/{arch}/{release}.json"


def names_target(arch: str) -> str:
    """The keys of all kernels of an architecture, sorted: read only to name the nearest ones."""
    return f"names/{arch}.json"


CORE_TARGET = kernel_target(CORE_KERNEL)


def stored_path(target: str, sha256: str) -> str:
    """Where a target lies below the repository: its file name is prefixed with its digest (TUF's consistent
    snapshots), so that a new version never replaces a file that a client is about to read."""
    folder, slash, name = target.rpartition("/")
    return f"{TARGETS}/{folder}{slash}{sha256}.{name}"


def metadata_path(role: str, version: int | None) -> str:
    """Where a role's metadata lies; only the timestamp has no version in its name."""
    return f"{METADATA}/{role}.json" if version is None else f"{METADATA}/{version}.{role}.json"


def url_path(path: str) -> str:
    """A path as it stands in a URL: `+` becomes `%2B` (some object stores read a bare one as a space), `~` stays."""
    return quote(path, safe="/~")


def peer_aliases(
    *, distro: str, arch: str, release: str, build: str, kind: DriverKind, name: str, driver: DriverVersion
) -> tuple[str, ...]:
    """The addresses under which loaders of Falco's naming ask for a driver, most exact first; empty for core.

    `<version>/<arch>/<name>_<target>_<release>_<build>.ko`. A Debian kernel has two: with its real `uname -r` and
    package version, and as falcoctl asks (the version from `uname -v` without its suffix, with the flavour, and `1`).
    Ubuntu's target carries the first part of the flavour.
    Source: observed names, expected values of which stand in tests/fixtures/hosts.json.
    """
    suffix = _PEER_SUFFIX.get(kind)
    if suffix is None:
        return ()
    folder = f"{driver.version}/{arch}"
    parts = release.split("-")
    target = f"{distro}-{parts[2]}" if distro == "ubuntu" and len(parts) > 2 else distro
    pairs = [(release, build)]
    if distro == "debian":
        version = _DEBIAN_VERSION.search(build)
        flavour = _DEBIAN_FLAVOUR.search(release)
        if version and flavour:
            pairs.append((version.group() + flavour.group(), "1"))
    return tuple(f"{folder}/{name}_{target}_{one}_{other}.{suffix}" for one, other in pairs)
