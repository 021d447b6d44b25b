"""What kernel headers say of the kernel and of the compiler that built it: read from their files, never guessed.

Sources, in order of trust for the compiler: CONFIG_CC_VERSION_TEXT and CONFIG_GCC_VERSION of `.config` (Linux 4.18+),
Debian's `.kernelvariables`, and include/generated/compile.h (every kernel that ships it).
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builder.failure import Failure, StepError
from kdriver.inspect.elf import needed_glibc, needed_libraries

# The host programs that the build of an external module runs on x86_64. Since 6.12 Debian's modpost and objtool are
# wrappers that start the file with the suffix of the target.
_HOST_TOOLS = (
    "scripts/basic/fixdep",
    "scripts/mod/modpost",
    "scripts/mod/modpost.real-lsb-64",
    "scripts/recordmcount",
    "tools/objtool/objtool",
    "tools/objtool/objtool.real-x86",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts of one header tree.

    release: `uname -r` (UTS_RELEASE). compiler: the compiler's version text. gcc: its (major, minor), (0, 0) for clang.
    modversions: whether modules carry symbol CRCs. glibc: what the host tools need, (0, 0) for none; glibc_tool: which.
    """

    release: str
    compiler: str
    gcc: tuple[int, int]
    modversions: bool
    glibc: tuple[int, int]
    glibc_tool: str


@dataclass(frozen=True, slots=True)
class Needs:
    """What a build against a header tree needs besides a compiler.

    libraries: shared libraries of the host tools, glibc's own left out. objtool: whether the build runs it.
    btf: whether the headers would have pahole add BTF to a module, which kdriver leaves out. plugins: gcc plugins that
    the configuration names; they load into the very gcc that they were made for.
    """

    libraries: tuple[str, ...] = ()
    objtool: bool = False
    btf: bool = False
    plugins: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A document that from_json reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Needs:
        """The inverse of to_json. Raises KeyError or TypeError."""
        return cls(tuple(value["libraries"]), value["objtool"], value["btf"], tuple(value["plugins"]))


_GLIBC = ("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2")


def read_needs(build_dir: Path) -> Needs:
    """Read what the configuration and the host tools of a header tree need."""
    config = set(_text(build_dir / ".config").splitlines())
    tools = [build_dir / tool for tool in _HOST_TOOLS if (build_dir / tool).is_file()]
    libraries = {name for tool in tools for name in needed_libraries(tool) if name not in _GLIBC}
    plugins = sorted(line.removesuffix("=y") for line in config if re.fullmatch(r"CONFIG_GCC_PLUGIN_\w+=y", line))
    return Needs(
        tuple(sorted(libraries)),
        bool(config & {"CONFIG_OBJTOOL=y", "CONFIG_STACK_VALIDATION=y", "CONFIG_UNWINDER_ORC=y"}),
        "CONFIG_DEBUG_INFO_BTF_MODULES=y" in config,
        tuple(plugins) if "CONFIG_GCC_PLUGINS=y" in config else (),
    )


def read_evidence(build_dir: Path) -> Evidence:
    """Read the facts of a header tree. Raises StepError (headers) naming what is missing."""
    config = _text(build_dir / ".config")
    release = re.search(r'^#define UTS_RELEASE "([^"]+)"', _text(build_dir / "include/generated/utsrelease.h"), re.M)
    if release is None:
        raise StepError(Failure.HEADERS, f"{build_dir.name} has no UTS_RELEASE in include/generated/utsrelease.h")
    compiler, gcc, _ = _compiler(build_dir, config)
    needs = [(needed_glibc(build_dir / tool), tool) for tool in _HOST_TOOLS if (build_dir / tool).is_file()]
    glibc, tool = max(needs, default=((0, 0), ""))
    return Evidence(release[1], compiler, gcc, "CONFIG_MODVERSIONS=y" in config.splitlines(), glibc, tool)


def require_symvers(build_dir: Path) -> None:
    """Raise StepError (headers) where a header tree does not say what the kernel exports."""
    if not (build_dir / "Module.symvers").is_file():
        raise StepError(
            Failure.HEADERS,
            f"{build_dir.name} has no Module.symvers, by which the module's symbols are compared with the kernel's",
            hint="Take it from the build of the whole kernel: `make` writes it, `make modules_prepare` does not.",
        )


def compiler_source(build_dir: Path) -> str:
    """Which file of a header tree names the compiler. Raises StepError (headers) when none does."""
    return _compiler(build_dir, _text(build_dir / ".config"))[2]


def _compiler(build_dir: Path, config: str) -> tuple[str, tuple[int, int], str]:
    text = re.search(r'^CONFIG_CC_VERSION_TEXT="([^"]*)"', config, re.M)
    if re.search(r"^CONFIG_CC_IS_CLANG=y", config, re.M):
        return (text[1] if text else "clang", (0, 0), "CONFIG_CC_IS_CLANG of .config")
    number = re.search(r"^CONFIG_GCC_VERSION=(\d+)", config, re.M)
    if number is not None and int(number[1]):
        digits = (int(number[1]) // 10000, int(number[1]) // 100 % 100)
        return (text[1] if text else "gcc", digits, "CONFIG_GCC_VERSION of .config")
    header = re.search(r'^#define LINUX_COMPILER\s+"([^"]*)"', _text(build_dir / "include/generated/compile.h"), re.M)
    for found, source in ((text, "CONFIG_CC_VERSION_TEXT of .config"), (header, "include/generated/compile.h")):
        version = found and re.search(r"gcc\D.*?\b(\d+)\.(\d+)(?:\.\d+)?\b(?![\d+~-])", found[1])
        if found and version:
            return (found[1], (int(version[1]), int(version[2])), source)
    named = re.search(r"\bgcc-(\d+)(?:\.(\d+))?\s*$", _text(build_dir / ".kernelvariables"), re.M)
    if named is not None:
        return (f"gcc-{named[1]}", (int(named[1]), int(named[2] or 0)), ".kernelvariables")
    raise StepError(
        Failure.HEADERS,
        f"{build_dir.name} does not say which compiler built the kernel (.config, compile.h, .kernelvariables)",
    )


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""
