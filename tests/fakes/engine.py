"""A container engine for tests, started by ci/engine with everything in a folder of its own, and a tiny image."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = ("sh", "cat", "id", "ls", "mkdir", "rm", "sed", "sleep", "touch", "head", "tail", "env")


def run_script(*words: str) -> str:
    """ci/engine with those words; what it printed. A failure shows what it said."""
    done = subprocess.run([ROOT / "ci" / "engine", *words], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def private_engine(kind: str = "docker") -> Iterator[str]:
    """The address of an engine that lives as long as the block, with nothing in it. A short path: sockets have one."""
    with tempfile.TemporaryDirectory(prefix="kd-engine-") as folder:
        try:
            yield run_script("start", kind, "--dir", folder).strip().rpartition("=")[2]
        finally:
            run_script("stop", "--purge", "--dir", folder)
            Path(folder).mkdir(exist_ok=True)


def tiny_root(folder: Path) -> Path:
    """A tar archive of a root file system: a few programs of this machine with the libraries that they need. It takes
    a tenth of a second, where a real one takes a minute."""
    path = folder / "tiny.tar"
    files: dict[str, Path] = {}
    for name in PROGRAMS:
        program = shutil.which(name)
        if program is not None:
            files[f"bin/{name}"] = Path(program).resolve()
            files.update(_libraries(Path(program).resolve()))
    with tarfile.open(path, "w") as tar:
        for folder_name in ("bin", "usr", "usr/bin", "etc", "tmp", "proc", "sys", "dev", "lib64"):
            member = tarfile.TarInfo(folder_name)
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if folder_name == "tmp" else 0o755
            tar.addfile(member)
        for name, source in files.items():
            content = source.read_bytes()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return path


def _libraries(program: Path) -> dict[str, Path]:
    """The shared libraries of a program, at the paths where its loader looks."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    found = {}
    for line in said.splitlines():
        for word in line.split():
            if word.startswith("/") and Path(word).exists():
                found[word.lstrip("/")] = Path(word).resolve()
    return found


def may_run() -> str:
    """Why no engine can be started here; empty when one can."""
    if os.getuid() != 0:
        return "starting a container engine needs root"
    return "" if shutil.which("dockerd") else "dockerd (package docker.io) is not installed"
