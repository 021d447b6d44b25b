"""The guest's root file system, in layers that are cpio archives: each is made once and kept by what it was made of.

The kernel unpacks several archives in a row into one tree, so layers are joined by writing one after the other. No
loop mount, no disk driver and no root partition are needed, and only the last, small layer differs from run to run.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdriver.core.errors import DownloadError, KdriverError
from kdriver.core.paths import cache_dir
from kdriver.core.process import run_logged
from kdriver.packages.deb import unpack_deb
from kdriver.packages.kernel_files import find_modules_dir
from kdriver.verifier.initramfs import Entry, write_initramfs

SUITE = "bookworm"
PYTHON = "3.11"
"""What that suite's python3 is: the wheels are chosen for it, whatever Python runs here."""
PACKAGES = ("python3", "kmod", "iproute2")
SITE = f"usr/local/lib/python{PYTHON}/dist-packages"
_RECIPE = "2"
"""Raise it when a layer's making changes: older archives are then not taken from the cache."""
_LEFT_OUT = (
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/info/",
    "usr/share/locale/",
    "usr/share/zoneinfo/",
    "usr/share/perl/",
    "usr/lib/x86_64-linux-gnu/perl/",
    "usr/share/lintian/",
    "usr/share/bash-completion/",
    "var/cache/",
    "var/lib/apt/lists/",
    "dev/",
)
"""Nothing that runs in the guest reads these, and emulated time is spent on every file."""
_MODULE_FOLDERS = ("drivers/virtio/", "drivers/char/", "fs/", "lib/", "virt/", "net/core/")
_MODULE_NAMES = (
    "drivers/net/virtio_net.",
    "drivers/net/net_failover.",
    "drivers/net/tun.",
    "drivers/block/virtio_blk.",
)
_WHEEL_FOLDERS = ("kdriver", "kernel_index", "builder", "driver_src", "templates")
_MAX_MODULE_BYTES = 400_000
_PLATFORMS = ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


@dataclass(frozen=True, slots=True)
class Layer:
    """One archive. name: for a person. path: of the cpio file. made: whether it was not in the cache."""

    name: str
    path: Path
    made: bool


def layers_dir() -> Path:
    """Where layers are kept."""
    return cache_dir() / "guests"


def plan_root(tar: Path, mirror: str) -> list[str]:
    """The command line that makes the Debian root file system as a tar archive, as root and without any mount."""
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(PACKAGES)}",
        '--aptopt=Apt::Install-Recommends "false"',
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        SUITE,
        str(tar),
        f"deb {mirror} {SUITE} main",
    ]


def plan_wheel(source: Path, into: Path) -> list[str]:
    """The command line that builds kdriver's wheel."""
    return [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--disable-pip-version-check",
        "--no-deps",
        "-w",
        str(into),
        str(source),
    ]


def plan_install(requirements: Iterable[str], into: Path, *, with_dependencies: bool) -> list[str]:
    """The command line that puts wheels for the guest's Python into a folder."""
    argv = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(into)]
    argv += ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
    for abi in (f"cp{PYTHON.replace('.', '')}", "abi3", "none"):
        argv += ["--abi", abi]
    for platform in _PLATFORMS:
        argv += ["--platform", platform]
    return [*argv, *([] if with_dependencies else ["--no-deps"]), *requirements]


def root_layer(mirror: str, log: Path) -> Layer:
    """The Debian root file system."""

    def make(scratch: Path) -> Iterable[Entry]:
        tar = scratch / "root.tar"
        _run(plan_root(tar, mirror), log, 900)
        return tar_entries(tar)

    return keep_layer("root", (SUITE, *PACKAGES, *_LEFT_OUT), make)


def dependencies_layer(source: Path, log: Path) -> Layer:
    """The Python packages that kdriver needs."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    needed = tuple(str(one) for one in project["dependencies"])

    def make(scratch: Path) -> Iterable[Entry]:
        _run(plan_install(needed, scratch / "site", with_dependencies=True), log, 600)
        return _folder_entries(scratch / "site", SITE)

    return keep_layer("dependencies", (PYTHON, *needed), make)


def kdriver_layer(source: Path, log: Path) -> Layer:
    """kdriver itself, from a wheel that is built here, and the command that starts it."""

    def make(scratch: Path) -> Iterable[Entry]:
        _run(plan_wheel(source, scratch / "wheel"), log, 300)
        wheel = next((scratch / "wheel").glob("kdriver-*.whl"))
        _run(plan_install([str(wheel)], scratch / "site", with_dependencies=False), log, 300)
        script = b'#!/bin/sh\nexec python3 -m kdriver "$@"\n'
        yield Entry("usr/local/bin/kdriver", stat.S_IFREG | 0o755, script)
        yield from _folder_entries(scratch / "site", SITE)

    return keep_layer("kdriver", (PYTHON, _source_digest(source)), make)


def modules_layer(package: Path, sha256: str, release: str, log: Path) -> Layer:
    """Modules of the kernel's own image package: the network card's, and enough others to compare symbol CRCs with."""

    def wanted(name: str) -> bool:
        _, found, inner = name.partition(f"lib/modules/{release}/")
        if not found:
            return False
        module = inner.removeprefix("kernel/")
        return inner.startswith("modules.") or module.startswith((*_MODULE_FOLDERS, *_MODULE_NAMES))

    def make(scratch: Path) -> Iterable[Entry]:
        unpacked = scratch / "unpacked"
        unpack_deb(package, unpacked, members=wanted)
        modules = find_modules_dir(unpacked, release)
        for path in sorted(modules.rglob("*.ko*")):
            if path.stat().st_size > _MAX_MODULE_BYTES:
                path.unlink()
        base = modules.parent.parent.parent
        _run(["depmod", "-b", str(base), release], log, 60)
        return _folder_entries(modules, f"usr/lib/modules/{release}")

    return keep_layer(f"modules-{release}", (sha256, release, *_MODULE_FOLDERS, *_MODULE_NAMES), make)


def session_entries(session: dict[str, Any], root_json: bytes, here: Path) -> tuple[Entry, ...]:
    """What differs from run to run: what to do, and the root of trust that a fleet's hosts would be given."""
    init = (here / "guest_init.sh").read_bytes()
    return (
        Entry("init", stat.S_IFREG | 0o755, init),
        Entry("opt/session.json", stat.S_IFREG | 0o644, json.dumps(session).encode()),
        Entry("opt/guest_session.py", stat.S_IFREG | 0o644, (here / "guest_session.py").read_bytes()),
        Entry("etc/kdriver/root.json", stat.S_IFREG | 0o644, root_json),
        Entry("etc/hostname", stat.S_IFREG | 0o644, b"kdriver-guest\n"),
        Entry("root", stat.S_IFDIR | 0o700),
        Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
        Entry("dev/null", stat.S_IFCHR | 0o666, device=(1, 3)),
    )


def join_layers(layers: Iterable[Layer], last: Iterable[Entry], out: Path) -> Path:
    """Write the initramfs: every layer, then the last entries."""
    with out.open("wb") as file:
        for layer in layers:
            with layer.path.open("rb") as part:
                while block := part.read(1 << 22):
                    file.write(block)
        file.write(write_initramfs(last))
    return out


def keep_layer(name: str, made_of: Iterable[str], make: Callable[[Path], Iterable[Entry]]) -> Layer:
    """The archive from the cache, or made: `make` gets an empty folder for its work and returns the entries."""
    key = hashlib.sha256("\0".join((_RECIPE, name, *made_of)).encode()).hexdigest()[:24]
    path = layers_dir() / f"{name}-{key}.cpio"
    if path.is_file():
        return Layer(name, path, False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent) as folder:
        content = write_initramfs(make(Path(folder)))
        part = Path(folder) / "layer"
        part.write_bytes(content)
        part.replace(path)
    return Layer(name, path, True)


def tar_entries(tar: Path) -> Iterator[Entry]:
    """The members of a tar archive that the guest needs."""
    seen = set()
    with tarfile.open(tar) as archive:
        for member in archive:
            name = member.name.removeprefix("./").strip("/")
            if name in ("", ".") or name in seen or f"{name}/".startswith(_LEFT_OUT):
                continue
            seen.add(name)
            if member.isdir():
                yield Entry(name, stat.S_IFDIR | member.mode)
            elif member.issym():
                yield Entry(name, stat.S_IFLNK | 0o777, member.linkname.encode())
            elif member.isreg() or member.islnk():
                file = archive.extractfile(member)
                yield _file(name, member.mode, file.read() if file else b"")


def _folder_entries(folder: Path, below: str) -> Iterator[Entry]:
    for path in sorted(folder.rglob("*")):
        name = f"{below}/{path.relative_to(folder)}"
        if path.is_symlink():
            yield Entry(name, stat.S_IFLNK | 0o777, os.fsencode(path.readlink()))
        elif path.is_file():
            yield _file(name, 0o755 if os.access(path, os.X_OK) else 0o644, path.read_bytes())


def _file(name: str, mode: int, content: bytes) -> Entry:
    """A regular file. Compiled Python is marked as not to be compared with its source: the archive keeps no times, and
    an emulated guest would compile all that it imports anew (10 s). Source: PEP 552, flag 1 without flag 2."""
    if name.endswith(".pyc"):
        content = content[:4] + b"\1\0\0\0" + bytes(8) + content[16:]
    return Entry(name, stat.S_IFREG | mode, content)


def _source_digest(source: Path) -> str:
    """Of everything that goes into the wheel."""
    digest = hashlib.sha256((source / "pyproject.toml").read_bytes())
    for name in _WHEEL_FOLDERS:
        for path in sorted((source / name).rglob("*")):
            if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest.update(f"{path.relative_to(source)}\0{content}\0".encode())
    return digest.hexdigest()


def _run(argv: list[str], log: Path, timeout_s: float) -> None:
    try:
        done = run_logged(argv, log=log, timeout_s=timeout_s)
    except FileNotFoundError as error:
        raise KdriverError(f"{argv[0]}: is not installed", hint="Run ci/setup.") from error
    if not done.ok:
        raise DownloadError(
            f"{argv[0]}: ended with status {done.status}: {done.tail(1)}", hint=f"Read {log}; check the network."
        )
