"""A container engine for tests, started by ci/engine with everything in a folder of its own, and a tiny image."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = ("sh", "cat", "id", "ls", "mkdir", "sleep", "touch", "head", "tail", "env")


def run_script(*words: str) -> str:
    """ci/engine with those words; what it printed. A failure shows what it said."""
    done = subprocess.run([ROOT / "ci" / "engine", *words], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def shared_engine(base: Path, kind: str = "docker") -> Iterator[str]:
    """The address of an engine that lives while anyone in the block needs it: the workers of one test run share it.

    base: pytest's base folder of this process, which with several workers is one of several in the run's. Started by
    the first, stopped with all that it holds by the last."""
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"engine-{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        users = _count(folder, +1)
        said = run_script("start", kind, "--dir", str(folder / kind)) if users else ""
    url = said.strip().rpartition("=")[2]
    try:
        yield url
    finally:
        with _locked(folder):
            if _count(folder, -1) == 0:
                run_script("stop", "--purge", "--dir", str(folder / kind))


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


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _count(folder: Path, change: int) -> int:
    """How many use the engine, after a change."""
    file = folder / ".users"
    users = (int(file.read_text()) if file.exists() else 0) + change
    file.write_text(str(users))
    return users


def may_run() -> str:
    """Why no engine can be started here; empty when one can."""
    if os.getuid() != 0:
        return "starting a container engine needs root"
    return "" if shutil.which("dockerd") else "dockerd (package docker.io) is not installed"
