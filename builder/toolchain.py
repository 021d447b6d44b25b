"""The compilers: chosen by evidence from those that are installed, each recorded by what it says of itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from builder.failure import Failure, StepError
from kdriver.core.artifact import DriverKind

CLANG_VARIABLE = "KDRIVER_CLANG"
_TABLE = Path(__file__).with_name("toolchain.toml")


@dataclass(frozen=True, slots=True)
class Compiler:
    """An installed compiler. path: absolute. version: (major, minor). text: first line of `--version`."""

    path: str
    version: tuple[int, int]
    text: str


@dataclass(frozen=True, slots=True)
class Llvm:
    """clang with llc and llvm-strip of the same release. resources: the folder of clang's own headers. mcpu: the eBPF
    instruction set that objects are built for."""

    clang: Compiler
    llc: str
    strip: str
    resources: str
    mcpu: str

    @property
    def opt(self) -> str:
        """LLVM's optimiser, of the same package as llc."""
        place, _, name = self.llc.rpartition("/")
        return f"{place}/{name.replace('llc', 'opt', 1)}"


@dataclass(frozen=True, slots=True)
class Harmless:
    """A warning that does not fail a build, with the reason why."""

    pattern: re.Pattern[str]
    kinds: tuple[DriverKind, ...]
    why: str


@dataclass(frozen=True, slots=True)
class ClangPin:
    """Kernels, by the beginning of their release, whose verifier needs another clang than the default."""

    release: str
    clang: str
    why: str


@dataclass(frozen=True, slots=True)
class Table:
    """What toolchain.toml says. clangs: best first. refused: of kernels, a clang whose objects their verifier does not
    take."""

    clangs: tuple[str, ...]
    mcpu: str
    pins: tuple[ClangPin, ...]
    harmless: tuple[Harmless, ...]
    refused: tuple[ClangPin, ...] = ()


@lru_cache(maxsize=1)
def load_table() -> Table:
    """Read toolchain.toml, which ships with the builder. Raises KeyError or ValueError when it is of another shape."""
    table = tomllib.loads(_TABLE.read_text())
    return Table(
        tuple(table["clang"]["order"]),
        table["clang"]["mcpu"],
        tuple(ClangPin(row["release"], row["clang"], row["why"]) for row in table["clang"].get("pin", ())),
        tuple(
            Harmless(re.compile(row["pattern"]), tuple(DriverKind(kind) for kind in row["kinds"]), row["why"])
            for row in table["harmless"]
        ),
        tuple(ClangPin(row["release"], row["clang"], row["why"]) for row in table["clang"].get("refused", ())),
    )


def gcc_name(version: tuple[int, int]) -> str:
    """What the compiler of that version is called: `gcc-12`; before gcc 5 the minor number counts: `gcc-4.8`."""
    return f"gcc-{version[0]}.{version[1]}" if version[0] < 5 else f"gcc-{version[0]}"


def fitting_gccs(wanted: tuple[int, int], installed: Iterable[Compiler]) -> tuple[Compiler, ...]:
    """The compilers that can build for a kernel that was built with gcc `wanted`, best first: the same major version,
    then the nearest newer ones. An older one lacks flags that the kernel uses (facts: gcc 10 on a gcc 12 kernel), so it
    is never taken."""

    def rank(compiler: Compiler) -> tuple[int, ...]:
        # Before gcc 5, 4.8 and 4.9 are as far apart as 5 and 6; the exact minor number, then the newest, wins.
        return (compiler.version[0], abs(compiler.version[1] - wanted[1]) if wanted[0] < 5 else -compiler.version[1])

    fitting = [one for one in installed if one.version[0] >= wanted[0] and (wanted[0] >= 5 or one.version >= wanted)]
    return tuple(sorted(fitting, key=rank))


def is_own(wanted: tuple[int, int], compiler: Compiler) -> bool:
    """Whether a compiler is of the release that built the kernel: the same major, before gcc 5 the same minor too."""
    return compiler.version[0] == wanted[0] and (wanted[0] >= 5 or compiler.version == wanted)


def kbuild_cc(compiler: Compiler, source_dir: Path) -> str:
    """What a kernel's make gets as CC. Kernels before 4.9 do not say -fno-pie, without which a gcc that makes
    position-independent code by default (Debian's since 6, Ubuntu's since 16.10) compiles none of their code."""
    makefile = source_dir / "Makefile"
    says_so = not makefile.is_file() or "-fno-pie" in makefile.read_text(errors="replace").lower()
    return compiler.path if says_so else f"{compiler.path} -fno-pie"


def clang_names(release: str, table: Table, override: str | None, refused: Iterable[str] = ()) -> tuple[str, ...]:
    """The clangs for a kernel's objects, best first: KDRIVER_CLANG alone, else the pin of that kernel, else the table's
    order without those that its verifier is known to refuse: by the table, or by verdicts (refused). Where all are
    refused, the fault is not the compiler's, and the order stands."""
    if override:
        return (override,)
    pinned = next((pin.clang for pin in table.pins if release.startswith(pin.release)), None)
    if pinned is not None:
        return (pinned,)
    bad = {one.clang for one in table.refused if release.startswith(one.release)} | set(refused)
    return tuple(name for name in table.clangs if name not in bad) or table.clangs


def find_gccs(path: str | None = None) -> tuple[Compiler, ...]:
    """All gcc's on PATH, by version. Of several of one version the one that says so in its name (`gcc-12`) counts."""
    found: dict[tuple[int, int], Compiler] = {}
    folders = [Path(one) for one in (os.environ.get("PATH", "") if path is None else path).split(os.pathsep) if one]
    programs = [program for folder in folders for program in sorted(folder.glob("gcc*"))]
    for program in sorted(programs, key=lambda one: one.name == "gcc"):
        if re.fullmatch(r"gcc(-\d+(\.\d+)?)?", program.name) and os.access(program, os.X_OK):
            compiler = identify(str(program))
            if compiler is not None:
                found.setdefault(compiler.version, compiler)
    return tuple(found[version] for version in sorted(found))


def find_llvm(name: str, path: str | None = None) -> Llvm:
    """clang of that name with llc and llvm-strip. Raises StepError (toolchain) naming what is missing."""
    program = shutil.which(name, path=path)
    clang = identify(program) if program else None
    suffix = Path(name).name.removeprefix("clang")
    if clang is None:
        raise StepError(
            Failure.TOOLCHAIN,
            f"compiler {name} is missing",
            hint=f"apt-get install clang{suffix} llvm{suffix}, or name another clang in {CLANG_VARIABLE}.",
        )
    folder = str(Path(clang.path).parent)
    beside = {tool: shutil.which(f"{tool}{suffix}", path=folder) for tool in ("llc", "llvm-strip")}
    for tool, found in beside.items():
        if found is None:
            raise StepError(
                Failure.TOOLCHAIN,
                f"{tool}{suffix} is missing beside {clang.path}",
                hint=f"apt-get install llvm{suffix}",
            )
    resources = _resources(clang.path)
    if not resources:
        raise StepError(Failure.TOOLCHAIN, f"{clang.path} does not say where its own headers are (-print-resource-dir)")
    return Llvm(clang, str(beside["llc"]), str(beside["llvm-strip"]), resources, load_table().mcpu)


@lru_cache(maxsize=64)
def identify(program: str) -> Compiler | None:
    """What a compiler says of itself, or None when it does not answer like gcc or clang."""
    text = _ask(program, "--version")
    # `gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0`, `Debian clang version 16.0.6 (15~deb12u1)`
    number = re.search(r"clang version (\d+)\.(\d+)", text) or re.search(r"\) (\d+)\.(\d+)", text)
    if number is None:
        return None
    return Compiler(str(Path(program).absolute()), (int(number[1]), int(number[2])), text)


@lru_cache(maxsize=64)
def _resources(program: str) -> str:
    """Where a clang's own headers are, empty when it does not say."""
    return _ask(program, "-print-resource-dir")


def _ask(program: str, question: str) -> str:
    """The first line of a compiler's answer, empty when it gives none."""
    try:
        answer = subprocess.run(
            [program, question], capture_output=True, text=True, timeout=30, env={"LC_ALL": "C", "PATH": os.defpath}
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.splitlines()[0] if answer.returncode == 0 and answer.stdout else ""
