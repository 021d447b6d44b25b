"""Apt repositories made by the real tool, apt-ftparchive: lists, by-hash copies and Release are its own."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tests.fakes.apt_repository import Entry, SigningKey
from tests.fakes.debs import write_deb

_CONFIGURATION = """
Dir {{ ArchiveDir "{root}"; CacheDir "{root}"; }};
Default {{ Packages::Compress "{compress}"; }};
TreeDefault {{ Directory "pool/$(SECTION)"; Contents " "; }};
Tree "dists/{suite}" {{ Sections "{components}"; Architectures "{architectures}"; }};
"""


def publish(
    root: Path,
    suite: str,
    entries: Sequence[Entry],
    key: SigningKey,
    *,
    codename: str = "",
    architectures: Sequence[str] = ("amd64",),
    compress: str = ". gzip xz",
) -> None:
    """A suite of these packages below `root`, signed, with the plain Release beside.

    compress: the forms of each list, in apt-ftparchive's words.
    """
    for entry in entries:
        _pack(entry, root)
    components = sorted({entry.component for entry in entries})
    for component in components:
        for arch in architectures:
            (root / "dists" / suite / component / f"binary-{arch}").mkdir(parents=True, exist_ok=True)
    words = {"components": " ".join(components), "architectures": " ".join(architectures)}
    configuration = root.with_name(f"{root.name}-{suite}.conf")
    configuration.write_text(_CONFIGURATION.format(root=root, suite=suite, compress=compress, **words))
    _run("generate", str(configuration))
    fields = {
        "Origin": "Made",
        "Suite": suite,
        "Codename": codename or suite,
        "Architectures": words["architectures"],
        "Components": words["components"],
        "Acquire-By-Hash": "yes",
    }
    options = [word for name, value in fields.items() for word in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
    options += ["-o", "APT::FTPArchive::DoByHash=true"]
    release = _run(*options, "release", str(root / "dists" / suite))
    (root / "dists" / suite / "Release").write_text(release)
    (root / "dists" / suite / "InRelease").write_bytes(key.sign(release))


def _pack(entry: Entry, root: Path) -> None:
    path = root / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {
        "Package": entry.name,
        "Source": entry.folder,
        "Version": entry.version,
        "Architecture": entry.arch,
        "Maintainer": "Nobody <nobody@example.org>",
        "Depends": entry.depends,
        "Description": "made by a test\n with a second line",
    }
    control = "".join(f"{name}: {value}\n" for name, value in fields.items() if value)
    write_deb(path, [(f"./usr/share/doc/{entry.name}", tarfile.REGTYPE, entry.content)], control=control)


def _run(*arguments: str) -> str:
    return subprocess.run(["apt-ftparchive", *arguments], check=True, capture_output=True, text=True).stdout
