"""Apt repositories made by the tests: the layout of a real archive, signed by a key that gpg makes."""

from __future__ import annotations

import datetime
import hashlib
import lzma
import subprocess
import tempfile
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path
from types import TracebackType

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
CODENAME = "clover"


class SigningKey:
    """A key pair of gpg. keyring: its public half as gpgv reads it."""

    def __init__(self, name: str, *, expires: str = "never", now: str = "") -> None:
        """expires: as gpg takes it. now: the time at which it is made, in seconds since 1970."""
        self._faked = ["--faked-system-time", now] if now else []
        # A short path: gpg's agent listens on a socket in its home.
        self._home = tempfile.TemporaryDirectory(prefix="kd-gpg-")
        self.keyring = Path(self._home.name) / "keyring.gpg"
        self._gpg("--quick-generate-key", f"{name} <{name}@example.org>", "ed25519", "sign", expires)
        self._gpg("--output", str(self.keyring), "--export")
        listing = self._gpg("--with-colons", "--list-keys").decode()
        self.fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))

    def sign(self, text: str) -> bytes:
        """The text, clear-signed."""
        return self._gpg("--clearsign", "--output", "-", text=text)

    def __enter__(self) -> SigningKey:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["gpgconf", "--homedir", self._home.name, "--kill", "gpg-agent"], check=False)
        self._home.cleanup()

    def _gpg(self, *arguments: str, text: str = "") -> bytes:
        argv = ["gpg", "--homedir", self._home.name, "--batch", "--quiet", "--passphrase", "", *self._faked, *arguments]
        return subprocess.run(argv, input=text.encode(), check=True, capture_output=True).stdout


@dataclass(frozen=True)
class Entry:
    """A package as a Packages file lists it; its file's bytes are made up from its name and version."""

    name: str
    version: str
    depends: str = ""
    arch: str = "amd64"
    component: str = "main"
    folder: str = "linux"
    digest: str = "SHA256"

    @property
    def content(self) -> bytes:
        """The bytes of the package file."""
        return f"{self.name} {self.version}\n".encode() * 100

    @property
    def path(self) -> str:
        """Where it lies in the archive."""
        return f"pool/{self.component}/l/{self.folder}/{self.name}_{self.version}_{self.arch}.deb"

    def stanza(self) -> str:
        """Its entry."""
        fields = {
            "Package": self.name,
            "Source": "linux",
            "Version": self.version,
            "Architecture": self.arch,
            "Depends": self.depends,
            "Filename": self.path,
            "Size": str(len(self.content)),
            self.digest: hashlib.new(self.digest.lower(), self.content).hexdigest(),
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def kernel(
    abi: str = "6.1.0-56",
    version: str = "6.1.192-2",
    flavours: tuple[str, ...] = ("amd64", "cloud-amd64"),
    *,
    headers: bool = True,
    metapackage: str = "linux-image-{flavour}",
) -> list[Entry]:
    """The packages of one ABI as Debian 12 has them (seen 2026-11): Depends copied in form."""
    entries = [Entry("linux-kbuild-6.1", version, "libc6 (>= 2.34), libelf1 (>= 0.142), libssl3 (>= 3.0.0)")]
    entries += [Entry("linux-compiler-gcc-12-x86", version, "gcc-12")]
    entries += [Entry(f"linux-headers-{abi}-common", version, arch="all")] if headers else []
    for flavour in flavours:
        release = f"{abi}-{flavour}"
        needs = "kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool"
        entries.append(Entry(f"linux-image-{release}", version, needs))
        if metapackage:
            name = metapackage.format(flavour=flavour)
            entries.append(Entry(name, version, f"linux-image-{release} (= {version})"))
        if headers:
            depends = f"linux-headers-{abi}-common (= {version}), linux-kbuild-6.1 (>= {version})"
            entries.append(Entry(f"linux-headers-{release}", version, f"{depends}, linux-compiler-gcc-12-x86"))
    return entries


class AptRepository:
    """An archive in a folder: `pool`, and `dists` with what `publish` signed last."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.folder = folder
        self.key = key

    def inrelease(self, suite: str) -> Path:
        """The signed Release of a suite."""
        return self.folder / "dists" / suite / "InRelease"

    def publish(
        self,
        suite: str,
        entries: list[Entry],
        *,
        date: datetime.datetime = NOW,
        valid_until: datetime.datetime | None = None,
        codename: str | None = None,
        not_automatic: bool = False,
        key: SigningKey | None = None,
        architectures: tuple[str, ...] = ("amd64",),
        missing: tuple[str, ...] = (),
        digest: str = "SHA256",
    ) -> None:
        """Write the suite anew: package files, lists by hash, and the signed Release.

        architectures: those that it names and, but for `missing`, carries. digest: SHA256 or SHA512.
        """
        for entry in entries:
            file = self.folder / entry.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(entry.content)
        listed: list[str] = []
        components = sorted({entry.component for entry in entries} | {"main"})
        for component in components:
            for arch in architectures:
                chosen = [one for one in entries if one.component == component and one.arch in (arch, "all")]
                folder = self.folder / "dists" / suite / component / f"binary-{arch}"
                listed += self._list(folder, chosen, digest, written=arch not in missing)
        fields = [
            "Origin: Test",
            f"Suite: {suite}",
            f"Codename: {codename or suite}",
            f"Date: {format_datetime(date)}",
            *([f"Valid-Until: {format_datetime(valid_until)}"] if valid_until else []),
            *(["NotAutomatic: yes"] if not_automatic else []),
            "Acquire-By-Hash: yes",
            f"Architectures: all {' '.join(architectures)}",
            "No-Support-for-Architecture-all: Packages",
            f"Components: {' '.join(components)}",
            f"{digest}:",
            # As many entries as a real Release has in front of ours, so that its head is not the whole of it.
            *(f" {'0' * 64} {number:8} main/binary-none/{number}" for number in range(200)),
            *listed,
        ]
        self.inrelease(suite).write_bytes((key or self.key).sign("\n".join(fields) + "\n"))

    def _list(self, folder: Path, entries: list[Entry], digest: str, *, written: bool) -> list[str]:
        """Write one list, and return its lines of the Release."""
        packages = "\n".join(entry.stanza() for entry in [Entry("hello", "1.0"), *entries]).encode()
        packed = lzma.compress(packages)
        name = hashlib.new(digest.lower(), packed).hexdigest()
        path = f"{folder.parent.name}/{folder.name}/Packages"
        if written:
            hashed = folder / "by-hash" / digest / name
            hashed.parent.mkdir(parents=True, exist_ok=True)
            hashed.write_bytes(packed)
            (folder / "Packages.xz").write_bytes(packed)
        plain = hashlib.new(digest.lower(), packages).hexdigest()
        return [f" {plain} {len(packages)} {path}", f" {name} {len(packed)} {path}.xz"]


def table_text(keyring: Path, fingerprint: str) -> str:
    """A table of distributions with one row, `debian99`, whose archives are `main` and `security`."""
    return f"""
[debian99]
family = "debian"
title = "Debian 99 (clover)"
version = "99"
codename = "{CODENAME}"
end_of_life = 2099-06-30
image = "debian:clover"
kinds = ["kmod", "bpf", "core"]
architectures = {{ x86_64 = "amd64" }}
generic_flavours = {{ x86_64 = "amd64" }}
keyring = "{keyring}"
keyring_package = "test-keyring"

[debian99.archives.main]
folder = "debian"
mirrors = ["http://mirror.invalid/debian"]
suites = ["{CODENAME}", "{CODENAME}-backports"]
components = ["main"]
signed_by = ["{fingerprint}"]

[debian99.archives.security]
folder = "debian-security"
mirrors = ["http://mirror.invalid/debian-security"]
suites = ["{CODENAME}-security"]
components = ["main"]
signed_by = ["{fingerprint}"]
"""
