"""The static programs that verification and capture need: built by the driver source's Makefiles, kept by content."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from builder.failure import Failure, StepError
from builder.kinds.core import headers_digest
from builder.kinds.step import Workplace
from builder.source import DriverSource, copy_folder, digest_folder, load_source, render_headers
from builder.toolchain import Compiler, find_gccs
from kdriver.core.paths import cache_dir
from kdriver.executors.local import LocalExecutor
from kdriver.executors.task import Executor

_LAYOUT = "1"
_LIBBPF = Path("/usr/lib/x86_64-linux-gnu/libbpf.a")
_PROGRAMS = {
    "capture": ("kd-capture",),
    "cases": ("kd-cases", "kd-cases32"),
    "guest": ("kd-guest",),
}
"""Folder of the driver source to the programs that its Makefile makes."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Static x86_64 programs. capture: opens a driver and prints its events. cases, cases32: make every call of the
    catalogue, native and i386. guest_init: the first program of a verification's guest."""

    capture: Path
    cases: Path
    cases32: Path
    guest_init: Path


def make_argv(folder: Path, *, out: Path, generated: Path, compiler: Compiler) -> list[str]:
    """Make all programs of one folder. out: where they go. generated: the rendered headers."""
    return ["make", "-C", str(folder), f"OUT={out}", f"GEN={generated}", f"CC={compiler.path}"]


def build_tools(
    log_dir: Path | None = None, *, source: DriverSource | None = None, executor: Executor | None = None
) -> Tools:
    """The tools of a driver source (None: the one that ships), built now when they are not in the cache.

    log_dir: where each folder's build is logged (None: the cache's logs). Raises StepError, a BuildError, when a
    program does not compile or no gcc is installed.
    """
    source = source or load_source()
    cache = cache_dir()
    log_dir = log_dir or cache / "logs" / "tools"
    generated = render_headers(source, cache / "generated")
    gccs = find_gccs()
    if not gccs:
        raise StepError(Failure.TOOLCHAIN, "no gcc is installed", hint="apt-get install gcc make")
    compiler = gccs[-1]
    return Tools(
        *(
            path
            for folder in _PROGRAMS
            for path in _build(folder, source, generated, compiler, log_dir, cache / "tools", executor)
        )
    )


def _build(
    folder: str,
    source: DriverSource,
    generated: Path,
    compiler: Compiler,
    log_dir: Path,
    store: Path,
    executor: Executor | None,
) -> list[Path]:
    names = _PROGRAMS[folder]
    home = store / f"{folder}-{_key(folder, source, generated, compiler)[:32]}"
    if not all((home / name).is_file() for name in names):
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder}-", dir=store) as scratch:
            root = Path(scratch)
            for part in ("common", folder):
                copy_folder(source.folder / part, root / part)
            copy_folder(generated, root / "gen")
            (root / "out").mkdir()
            log = log_dir / f"{folder}.log"
            log.unlink(missing_ok=True)
            work = Workplace(root, log, executor or LocalExecutor(), compiler.text)
            work.run(make_argv(root / folder, out=root / "out", generated=root / "gen", compiler=compiler))
            missing = [name for name in names if not (root / "out" / name).is_file()]
            if missing:
                raise StepError(Failure.COMPILE, f"the Makefile of {folder}/ made no {', '.join(missing)}", log=log)
            made = root / "made"
            made.mkdir(mode=0o755)
            for name in names:
                # Without symbols: they go into an initramfs, and debugging information holds paths of this machine.
                work.run(["strip", "-o", str(made / name), str(root / "out" / name)])
            if home.exists():  # an incomplete one of before
                shutil.rmtree(home)
            made.rename(home)
    return [home / name for name in names]


def _key(folder: str, source: DriverSource, generated: Path, compiler: Compiler) -> str:
    """All that a folder's programs are built from; libbpf is linked in, so its archive counts."""
    parts = [
        _LAYOUT,
        folder,
        digest_folder(source.folder / folder),
        digest_folder(source.folder / "common"),
        digest_folder(generated),
        compiler.text,
        headers_digest(),
        hashlib.sha256(_LIBBPF.read_bytes()).hexdigest() if _LIBBPF.is_file() else "",
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
