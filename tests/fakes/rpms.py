"""RPM packages and yum repositories made by the real tools: rpmbuild, rpmsign, createrepo_c."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

PAYLOADS = {"gz": "w6.gzdio", "bz2": "w9.bzdio", "xz": "w2.xzdio", "zst": "w3.zstdio"}


class RpmKey:
    """An RSA key pair of gpg, as distributions sign with. keyring: its public half, armoured as they publish it."""

    def __init__(self, name: str) -> None:
        # A short path: gpg's agent listens on a socket in its home.
        self._home = tempfile.TemporaryDirectory(prefix="kd-gpg-")
        self.keyring = Path(self._home.name) / f"RPM-GPG-KEY-{name}"
        self._gpg("--quick-generate-key", f"{name} <{name}@example.org>", "rsa2048", "sign", "never")
        self.keyring.write_bytes(self._gpg("--armor", "--export"))
        listing = self._gpg("--with-colons", "--list-keys").decode()
        self.fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))

    @property
    def home(self) -> Path:
        """gpg's folder."""
        return Path(self._home.name)

    def detached(self, content: bytes, *, armor: bool = True) -> bytes:
        """A signature of the content, armoured as repomd.xml.asc is, or as in a package."""
        return self._gpg(*(["--armor"] if armor else []), "--detach-sign", "--output", "-", content=content)

    def sign_rpms(self, rpms: Sequence[Path], *, whole: bool = True) -> None:
        """Sign packages in place. whole: also header and payload together, as packages up to el8 are."""
        defines = {"__gpg": shutil.which("gpg"), "_gpg_path": self.home, "_gpg_name": self.fingerprint}
        words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
        argv = ["rpmsign", "--addsign", *(["--rpmv3"] if whole else []), *words]
        subprocess.run([*argv, *map(str, rpms)], check=True, capture_output=True)

    def __enter__(self) -> RpmKey:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["gpgconf", "--homedir", self._home.name, "--kill", "gpg-agent"], check=False)
        self._home.cleanup()

    def _gpg(self, *arguments: str, content: bytes = b"") -> bytes:
        argv = ["gpg", "--homedir", self._home.name, "--batch", "--quiet", "--passphrase", "", *arguments]
        return subprocess.run(argv, input=content, check=True, capture_output=True).stdout


@dataclass(frozen=True)
class Built:
    """A package to be built. files: path to content; a link is `-> target`. release: without the architecture.
    tree: a folder that it installs as it is, and where."""

    name: str
    version: str
    release: str
    arch: str = "x86_64"
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    tree: tuple[str, Path] | None = None

    @property
    def file_name(self) -> str:
        """`kernel-devel-3.10.0-957.el7.x86_64.rpm`."""
        return f"{self.name}-{self.version}-{self.release}.{self.arch}.rpm"


def build_rpms(
    packages: Sequence[Built], into: Path, *, payload: str = "gz", source_name: str = "kernel"
) -> list[Path]:
    """One rpmbuild for each version; all packages of it are subpackages of one source, as a kernel's are."""
    into.mkdir(parents=True, exist_ok=True)
    made = []
    groups: dict[tuple[str, str, str], list[Built]] = {}
    for package in packages:
        groups.setdefault((package.version, package.release, package.arch), []).append(package)
    for group in groups.values():
        with tempfile.TemporaryDirectory(prefix="kd-rpm-") as folder:
            top = Path(folder)
            spec = top / "kernel.spec"
            spec.write_text(_spec(group, source_name))
            subprocess.run(_rpmbuild_argv(top, spec, group[0].arch, payload), check=True, capture_output=True)
            for package in group:
                (built,) = top.rglob(package.file_name)
                made.append(Path(shutil.move(built, into / package.file_name)))
    return made


def _rpmbuild_argv(top: Path, spec: Path, arch: str, payload: str) -> list[str]:
    defines = {
        "_topdir": str(top),
        "_binary_payload": PAYLOADS[payload],
        "__os_install_post": "%{nil}",
        "_build_id_links": "none",
        "debug_package": "%{nil}",
        "_binary_filedigest_algorithm": "8",
    }
    words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    return ["rpmbuild", "-bb", "--quiet", "--target", f"{arch}-linux", *words, str(spec)]


def _spec(group: Sequence[Built], source_name: str) -> str:
    first = group[0]
    lines = [
        f"Name: {source_name}",
        f"Version: {first.version}",
        f"Release: {first.release}",
        "Summary: made",
        "License: none",
        "AutoReqProv: no",
        "%description",
        "made",
    ]
    install, files = ["%install"], []
    for package in group:
        main = package.name == source_name
        if not main:
            lines += [f"%package -n {package.name}", "Summary: made", "AutoReqProv: no"]
            lines += [f"Requires: {one}" for one in package.requires]
            lines += [f"Provides: {one}" for one in package.provides]
            lines += [f"%description -n {package.name}", "made"]
        else:
            at = lines.index("%description")
            lines[at:at] = [f"Requires: {one}" for one in package.requires]
            lines[at:at] = [f"Provides: {one}" for one in package.provides]
        files.append("%files" if main else f"%files -n {package.name}")
        if package.tree is not None:
            where, folder = package.tree
            install += [f"mkdir -p '%{{buildroot}}{where}'", f"cp -a '{folder}/.' '%{{buildroot}}{where}'"]
            files.append(where)
        for path, content in package.files.items():
            install.append(f"mkdir -p %{{buildroot}}{os.path.dirname(path)}")  # noqa: PTH120
            if content.startswith("-> "):
                install.append(f"ln -s '{content[3:]}' '%{{buildroot}}{path}'")
            else:
                install.append(f"cat > '%{{buildroot}}{path}' <<'KD_END'\n{content.replace('%', '%%')}\nKD_END")
            files.append(path)
    return "\n".join([*lines, *install, *files, ""])


def make_repository(root: Path, *, compression: str = "gz", key: RpmKey | None = None, tool: str | None = None) -> None:
    """repodata of all packages below `root`, signed where a key is given. compression: gz, bz2, xz or zst."""
    shutil.rmtree(root / "repodata", ignore_errors=True)
    argv = [
        tool or createrepo_c(),
        "--quiet",
        "--no-database",
        f"--general-compress-type={_compress_word(compression)}",
    ]
    subprocess.run([*argv, str(root)], check=True, capture_output=True)
    if key is not None:
        repomd = root / "repodata" / "repomd.xml"
        repomd.with_suffix(".xml.asc").write_bytes(key.detached(repomd.read_bytes()))


def _compress_word(compression: str) -> str:
    return {"zst": "zstd"}.get(compression, compression)


def createrepo_c() -> str:
    """The tool of the PyPI package, which writes zstd too; that of the system comes second."""
    beside = Path(sys.executable).with_name("createrepo_c")
    return str(beside) if beside.exists() else "createrepo_c"
