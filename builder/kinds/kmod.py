"""The kernel module: built by the kernel's own kbuild, then stripped of debugging."""

from __future__ import annotations

from pathlib import Path

from builder.headers import HeaderTree
from builder.kinds.relocations import without_plt_calls
from builder.kinds.step import Workplace
from builder.probes import HEADER, ProbeResult
from builder.toolchain import Compiler, kbuild_cc


def compile_flags(compiler: Compiler, root: str) -> list[str]:
    """KCFLAGS. No debugging information (it is stripped anyway, and holds paths), and no path of this machine in
    what __FILE__ leaves in warnings: two machines then build the same bytes. gcc before 8 cannot map prefixes."""
    return ["-g0", *([f"-ffile-prefix-map={root}/="] if compiler.version[0] >= 8 else [])]


def make_argv(*, build_dir: Path, root: Path, name: str, compiler: Compiler, cc: str) -> list[str]:
    """The one make run of a module, its sources in `root`/kmod and the generated headers in `root`/gen. cc: the
    compiler's command, of kbuild_cc.

    The module needs no BTF; leaving it out keeps the result the same whichever pahole is installed (Debian 12's is
    too old for the BTF step of 6.12's headers)."""
    return [
        "make", "-C", str(build_dir), f"M={root}/kmod", f"CC={cc}", f"KD_GEN={root}/gen", f"KD_NAME={name}",
        f"KCFLAGS={' '.join(compile_flags(compiler, str(root)))}", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules",
    ]  # fmt: skip


def strip_argv(module: Path, out: Path) -> list[str]:
    """What is left without debugging is a twentieth."""
    return ["strip", "--strip-debug", "-o", str(out), str(module)]


def build_kmod(work: Workplace, tree: HeaderTree, probes: ProbeResult, compiler: Compiler, name: str) -> Path:
    """Compile, strip and make old loaders content; the result's path. Raises StepError (compile)."""
    (work.root / "gen" / HEADER).write_text(probes.header())
    cc = kbuild_cc(compiler, tree.source_dir)
    argv = make_argv(build_dir=tree.build_dir, root=work.root, name=name, compiler=compiler, cc=cc)
    work.run(argv, reads=(tree.root,))
    out = work.root / "kdriver.ko"
    work.run(strip_argv(work.root / "kmod" / f"{name}.ko", out))
    out.write_bytes(without_plt_calls(out.read_bytes()))
    return out
