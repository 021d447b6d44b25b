"""The eBPF probe of one kernel: compiled against its headers for the host, to LLVM code that llc then turns to eBPF.

`clang -target bpf` cannot parse kernel headers (their inline assembly is x86's), so the front end runs for x86 and
only the back end is eBPF. The front end, the optimiser and llc are processes with files between them: what the front
end wrote may show that the rest was done before (builder/code.py), and llc makes a valid, empty object of empty input,
so a pipe would hide a clang that failed. The result is the same as that of clang with all of its passes.

The code is compiled with a placeholder for the kernel's release, which is put into the finished object.
"""

from __future__ import annotations

import io
from pathlib import Path

from elftools.elf.elffile import ELFFile

from builder.code import stands_apart
from builder.failure import Failure, StepError
from builder.headers import HeaderTree
from builder.kinds.lines import without_lines
from builder.kinds.step import Workplace, only_source
from builder.probes import HEADER, ProbeResult
from builder.toolchain import Llvm

PLACEHOLDER = "@" * 64
"""In place of the release while code is compiled: as long as the longest that there is (__NEW_UTS_LEN)."""
_SECTION = "kd_release"
LIBBPF = Path("/usr/include/bpf")
"""The headers of libbpf that both eBPF kinds are compiled with (libbpf-dev)."""
DEFINES = ("-D__KERNEL__", "-D__BPF_TRACING__", "-D__TARGET_ARCH_x86", "-DCC_USING_FENTRY")
"""CC_USING_FENTRY: headers of 7.x refuse a compiler that does not say that it supports -mfentry."""
CODE = (
    "-std=gnu11", "-fms-extensions", "-fshort-wchar", "-O2", "-g", "-fno-stack-protector", "-fno-jump-tables",
    "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-strict-aliasing",
)  # fmt: skip
"""As kbuild compiles the kernel where it changes meaning; no jump tables, stack protector or unwinding in eBPF."""
_WARNINGS = (
    "-Wall",
    "-Wno-address-of-packed-member",
    "-Wno-gnu-variable-sized-type-not-at-end",
    "-Wno-unused-function",
)
"""The kernel's headers are system headers here (-isystem), so that clang judges only the driver's code. Its generated
functions are not all used by every object."""


def include_argv(tree: HeaderTree) -> list[str]:
    """The kernel's include folders in kbuild's order, and the headers that kbuild includes first.

    compiler-version.h exists from 5.15 on and compiler_types.h from 4.15 on; they are left out where they are missing.
    """
    source, build = tree.source_dir, tree.build_dir
    folders = [
        source / "arch/x86/include", build / "arch/x86/include/generated", source / "include", build / "include",
        source / "arch/x86/include/uapi", build / "arch/x86/include/generated/uapi", source / "include/uapi",
        build / "include/generated/uapi",
    ]  # fmt: skip
    firsts = [source / "include/linux" / name for name in ("compiler-version.h", "kconfig.h", "compiler_types.h")]
    argv = [part for folder in dict.fromkeys(folders) for part in ("-isystem", str(folder))]
    return argv + [part for first in firsts if first.is_file() for part in ("-include", str(first))]


def clang_argv(
    tree: HeaderTree, llvm: Llvm, *, source: Path, out: Path, root: Path, release: str, name: str
) -> list[str]:
    """clang from C to LLVM code. Paths of this machine do not show in the result's line information.

    libbpf's headers come last and from a folder that holds nothing else: a header that these kernel headers lack must
    not be found among the system's.
    """
    return [
        llvm.clang.path, "-nostdinc", "-isystem", f"{llvm.resources}/include", *include_argv(tree),
        "-idirafter", f"{root}/libbpf", f"-I{root}/common", f"-I{root}/gen", f"-I{source.parent}", *DEFINES,
        f'-DKD_RELEASE="{release}"', f'-DKD_NAME="{name}"', f'-DKBUILD_MODNAME="{name}"', *CODE, *_WARNINGS,
        f"-ffile-prefix-map={root}/=", f"-ffile-prefix-map={tree.root}/=", "-fdebug-compilation-dir=.",
        "-emit-llvm", "-c", str(source), "-o", str(out),
    ]  # fmt: skip


def front_argv(tree: HeaderTree, llvm: Llvm, *, source: Path, out: Path, root: Path, name: str) -> list[str]:
    """clang's front end alone, to LLVM code that nothing was optimised in yet but that allows for it."""
    argv = clang_argv(tree, llvm, source=source, out=out, root=root, release=PLACEHOLDER, name=name)
    return [*argv, "-Xclang", "-disable-llvm-passes"]


def optimise_argv(llvm: Llvm, *, source: Path, out: Path) -> list[str]:
    """The passes that the front end left out."""
    return [llvm.clang.path, *CODE, "-x", "ir", "-emit-llvm", "-c", str(source), "-o", str(out)]


def text_argv(llvm: Llvm, *, source: Path, out: Path) -> list[str]:
    """LLVM code as text, without debugging information."""
    return [llvm.opt, "-strip-debug", "-S", "-o", str(out), str(source)]


def llc_argv(llvm: Llvm, *, source: Path, out: Path) -> list[str]:
    """llc from LLVM code to an eBPF object."""
    return [llvm.llc, "-march=bpf", f"-mcpu={llvm.mcpu}", "-filetype=obj", "-o", str(out), str(source)]


def strip_argv(llvm: Llvm, path: Path) -> list[str]:
    """Take DWARF out; .BTF and .BTF.ext stay."""
    return [llvm.strip, "-g", str(path)]


def slim_argv(llvm: Llvm, path: Path) -> list[str]:
    """The same, and without what libbpf passes over: relocations of .BTF and .BTF.ext, names of local labels."""
    return [llvm.strip, "-g", "-R", ".rel.BTF", "-R", ".rel.BTF.ext", "--discard-all", str(path)]


def back_words(llvm: Llvm) -> tuple[str, ...]:
    """All that the commands behind the front end are told, whatever their files are called."""
    code, out = Path("code"), Path("out")
    commands = (
        optimise_argv(llvm, source=code, out=out),
        llc_argv(llvm, source=code, out=out),
        slim_argv(llvm, out),
    )
    return tuple(word for command in commands for word in command[1:])


def slim(work: Workplace, llvm: Llvm, path: Path) -> None:
    """Leave in an object of ours what its loader needs. Raises StepError (compile)."""
    path.write_bytes(without_lines(path.read_bytes()))
    work.run(slim_argv(llvm, path))


def run_front(work: Workplace, tree: HeaderTree, probes: ProbeResult, llvm: Llvm, name: str) -> Path:
    """The front end's code; the file's path. Raises StepError (compile)."""
    (work.root / "gen" / HEADER).write_text(probes.header())
    source = only_source(work.root / "bpf")
    code = work.root / "kdriver.front.bc"
    (work.root / "libbpf").mkdir()
    (work.root / "libbpf" / "bpf").symlink_to(LIBBPF)
    work.run(front_argv(tree, llvm, source=source, out=code, root=work.root, name=name), reads=(tree.root,))
    return code


def front_text(work: Workplace, llvm: Llvm, code: Path) -> str:
    """The front end's code as text. Raises StepError (compile) where code reads the release: it is not there yet."""
    out = work.root / "kdriver.front.ll"
    work.run(text_argv(llvm, source=code, out=out))
    text = out.read_text()
    if not stands_apart(text, PLACEHOLDER):
        raise StepError(
            Failure.COMPILE,
            "KD_RELEASE stands elsewhere than in one variable that no code reads",
            hint=f"Use it once, for the variable in section {_SECTION}.",
            log=work.log,
        )
    return text


def run_back(work: Workplace, llvm: Llvm, code: Path, release: str) -> Path:
    """Optimise, generate, strip and name the release; the object's path. Raises StepError (compile)."""
    optimised, out = work.root / "kdriver.bc", work.root / "kdriver.bpf.o"
    work.run(optimise_argv(llvm, source=code, out=optimised))
    work.run(llc_argv(llvm, source=optimised, out=out))
    slim(work, llvm, out)
    out.write_bytes(with_release(out.read_bytes(), PLACEHOLDER, release))
    return out


def with_release(content: bytes, old: str, new: str) -> bytes:
    """An object for another release, which is all that changes. One without the section stays as it is; raises
    StepError (compile) where the section holds anything else than the old release."""
    section = ELFFile(io.BytesIO(content)).get_section_by_name(_SECTION)
    if section is None:
        return content
    start, size = section["sh_offset"], section["sh_size"]
    if content[start : start + size] != old.encode().ljust(size, b"\0") or len(new) >= size:
        raise StepError(Failure.COMPILE, f"section {_SECTION} is not the text KD_RELEASE alone")
    return content[:start] + new.encode().ljust(size, b"\0") + content[start + size :]


def build_bpf(work: Workplace, tree: HeaderTree, probes: ProbeResult, llvm: Llvm, name: str) -> Path:
    """Compile and strip; the result's path. Raises StepError (compile)."""
    code = run_front(work, tree, probes, llvm, name)
    return run_back(work, llvm, code, tree.evidence.release)
