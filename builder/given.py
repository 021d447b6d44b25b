"""A kernel from outside the index: what it is, from the files that somebody names.

Such a kernel is a `Kernel` like any other, of distribution `file`; its packages are paths, and its key ends in a digest
of their content, so that two kernels of one release are never taken for each other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder.bench import fetch_package, unpack_package
from builder.header_folder import digest_tree
from builder.headers import prepare_headers
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ConfigError, NotFoundError
from kdriver.core.kernel import FILE, Kernel, Package, PackageRole
from kdriver.core.paths import cache_dir
from kdriver.packages.kernel_files import is_package

_NEEDS = {
    DriverKind.KMOD: ("CONFIG_MODULES", "CONFIG_TRACEPOINTS"),
    DriverKind.BPF: ("CONFIG_BPF_SYSCALL", "CONFIG_BPF_EVENTS"),
    DriverKind.CORE: ("CONFIG_BPF_SYSCALL", "CONFIG_BPF_EVENTS"),
}
"""Options without which a driver of that kind cannot work on any kernel."""
_BTF = "CONFIG_DEBUG_INFO_BTF"
_INSTRUCTIONS = re.compile(r"\bBPF_JLT\b")
"""In a kernel's bpf.h: the instructions that the per-kernel probe consists of (4.14, 3.10.0-957.el7)."""


@dataclass(frozen=True, slots=True)
class GivenKernel:
    """A kernel and, of driver kinds that cannot work on it, the reasons by what its headers say."""

    kernel: Kernel
    lacking: tuple[tuple[DriverKind, str], ...] = ()


def given_package(role: PackageRole, path: Path, option: str) -> Package:
    """A package of a kernel that is a path: of a file its digest, of a folder that of what a build can need.

    option: the one that named it. Raises NotFoundError, ConfigError for a folder without headers.
    """
    path = path.absolute()
    if path.is_dir():
        sha256, size_bytes = digest_tree(path) if role is PackageRole.HEADERS else ("", 0)
    elif path.is_file():
        sha256, size_bytes = _digest(path), path.stat().st_size
        if role is not PackageRole.IMAGE and not is_package(path):
            raise ConfigError(f"{path}: is no .deb and no .rpm", hint=f"Name a package or a folder with {option}.")
    else:
        raise NotFoundError(f"{path}: no such file or folder", hint=f"Name an existing one with {option}.")
    return Package(role, path.name, "", "x86_64", FILE, str(path), size_bytes, sha256, authenticated=False)


def given_kernel(
    headers: Sequence[Package],
    others: Sequence[Package] = (),
    *,
    release: str = "",
    version: str = "",
    has_btf: bool | None = None,
) -> GivenKernel:
    """The kernel of these header packages and of others (its image, its modules).

    release, version: its `uname -r` and `uname -v`, as far as they are known; without a release the headers say it.
    has_btf: whether type information is there for a CO-RE driver; None: by the headers' configuration.
    Raises StepError (headers) when the headers are not what a build needs, ConfigError when nothing says the release.
    """
    kernel = Kernel(FILE, FILE, "", version, "", "x86_64", "", tuple(headers), authenticated=False)
    config = bpf = ""
    if headers:
        tree = prepare_headers(kernel, cache_dir() / "headers", fetch_package, unpack_package)
        release = tree.evidence.release
        config = (tree.build_dir / ".config").read_text(errors="replace") if _has_config(tree.build_dir) else ""
        bpf = _read(tree.source_dir / "include/uapi/linux/bpf.h")
    if not release:
        raise ConfigError("the kernel image does not say its release", hint="Name it (`uname -r`) with --release.")
    content = sorted(one.sha256 for one in (*headers, *others) if one.role is not PackageRole.MODULES)
    named = replace(
        kernel,
        release=release,
        package_version=hashlib.sha256("\0".join(content).encode()).hexdigest()[:16],
        packages=(*headers, *others),
    )
    return GivenKernel(named, tuple(_lacking(config, bpf, has_btf)))


def _lacking(config: str, bpf: str, has_btf: bool | None) -> list[tuple[DriverKind, str]]:
    """config: the text of .config, bpf: that of the kernel's bpf.h; empty where it is unknown."""
    found = {}
    if config:
        for kind, options in _NEEDS.items():
            missing = [option for option in options if not re.search(rf"^{option}=y", config, re.M)]
            if missing:
                found[kind] = f"the kernel was built without {missing[0]}"
    if bpf and not _INSTRUCTIONS.search(bpf):
        found.setdefault(DriverKind.BPF, "the kernel's eBPF is older than the probe's (4.14, 3.10.0-957.el7)")
    if has_btf is None and config:
        has_btf = re.search(rf"^{_BTF}=y", config, re.M) is not None
    if has_btf is False:
        found.setdefault(DriverKind.CORE, "the kernel has no type information (BTF); --btf FILE names some")
    return list(found.items())


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def _has_config(build_dir: Path) -> bool:
    return (build_dir / ".config").is_file()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
