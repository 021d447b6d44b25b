"""A driver of another project: by kbuild, by clang as kdriver's own probes, or by its own commands."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.failure import Failure, StepError
from builder.foreign import ForeignDriver, Part, expand
from builder.headers import HeaderTree
from builder.kinds import bpf, core, kmod
from builder.kinds.relocations import without_plt_calls
from builder.kinds.step import Workplace
from builder.source import FOREIGN
from builder.toolchain import Compiler, Llvm, kbuild_cc
from kdriver.core.artifact import DriverKind

_CODE = "kdriver.bc"


@dataclass(frozen=True, slots=True)
class Places:
    """Where things stand while one kind is built. tree: of kmod and bpf. compiler: gcc for kmod, else LLVM."""

    root: Path
    tree: HeaderTree | None
    compiler: Compiler | Llvm

    @property
    def source(self) -> Path:
        """The copy of the driver's folder."""
        return self.root / FOREIGN


def part_commands(driver: ForeignDriver, part: Part, places: Places) -> tuple[tuple[str, ...], ...]:
    """The commands that make the part's file, in the driver's folder."""
    values = _values(driver, places)
    if part.commands:
        return tuple(expand(command, values) for command in part.commands)
    words = expand(part.words, values)
    if isinstance(places.compiler, Compiler):
        assert places.tree is not None
        return ((*_make_argv(part, places, places.compiler, places.tree), *words, "modules"),)
    return tuple(tuple(command) for command in _clang_commands(driver, part, places, places.compiler, words))


def build_foreign(work: Workplace, driver: ForeignDriver, part: Part, places: Places) -> Path:
    """Run the part's commands and take its file, without debugging information. Raises StepError (compile)."""
    reads = () if places.tree is None else (places.tree.root,)
    if places.tree is not None and part.kind is DriverKind.BPF and not part.commands:
        (work.root / "libbpf").mkdir()
        (work.root / "libbpf" / "bpf").symlink_to(bpf.LIBBPF)
    for command in part_commands(driver, part, places):
        work.run(list(command), reads=reads, cwd=places.source)
    made = places.source / part.file
    if not made.is_file():
        raise StepError(
            Failure.COMPILE,
            f"the commands made no {part.file}",
            hint=f"Say in driver.toml which file comes out: file in [{part.kind}].",
            log=work.log,
        )
    out = work.root / part.kind.file_name
    if isinstance(places.compiler, Compiler):
        work.run(kmod.strip_argv(made, out))
        out.write_bytes(without_plt_calls(out.read_bytes()))
    else:
        shutil.copyfile(made, out)
        work.run(bpf.strip_argv(places.compiler, out))
    return out


def _make_argv(part: Part, places: Places, compiler: Compiler, tree: HeaderTree) -> list[str]:
    """As kmod.make_argv, without what only kdriver's own Kbuild knows."""
    folder = Path(places.source, part.folder)
    return [
        "make", "-C", str(tree.build_dir), f"M={folder}", f"CC={kbuild_cc(compiler, tree.source_dir)}",
        f"KCFLAGS={' '.join(kmod.compile_flags(compiler, str(places.root)))}", "CONFIG_DEBUG_INFO_BTF_MODULES=",
    ]  # fmt: skip


def _clang_commands(
    driver: ForeignDriver, part: Part, places: Places, llvm: Llvm, words: tuple[str, ...]
) -> list[list[str]]:
    """clang as for kdriver's own probes; the driver's words come last, so that they win."""
    root, source, out = places.root, places.source / part.source, places.source / part.file
    if places.tree is None:
        argv = core.clang_argv(llvm, source=source, out=out, root=root, name=driver.module_name)
        return [[*argv, f"-I{places.source}", *words]]
    code = root / _CODE
    release = places.tree.evidence.release
    argv = bpf.clang_argv(
        places.tree, llvm, source=source, out=code, root=root, release=release, name=driver.module_name
    )
    return [[*argv, f"-I{places.source}", *words], bpf.llc_argv(llvm, source=code, out=out)]


def _values(driver: ForeignDriver, places: Places) -> Mapping[str, str]:
    values = {"name": driver.name, "version": driver.version, "source": str(places.source)}
    if places.tree is not None:
        values["release"] = places.tree.evidence.release
        values["headers"] = str(places.tree.build_dir)
        values["headers_source"] = str(places.tree.source_dir)
    if isinstance(places.compiler, Compiler):
        return values | {"cc": places.compiler.path}
    llvm = places.compiler
    return values | {"clang": llvm.clang.path, "llc": llvm.llc, "llvm_strip": llvm.strip, "cc": "gcc"}
