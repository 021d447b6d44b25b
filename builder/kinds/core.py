"""The CO-RE probe: one object for every kernel with BTF, compiled once, without any kernel's headers.

Types of the kernel are declared in the driver source, only what is used, with preserve_access_index; the loader
moves each access to where the running kernel has the field.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from builder.kinds.bpf import slim
from builder.kinds.step import Workplace, only_source
from builder.toolchain import Llvm

_WARNINGS = ("-Wall", "-Wno-address-of-packed-member", "-Wno-unused-function")
_INCLUDE = Path("/usr/include")
_ASM = _INCLUDE / "x86_64-linux-gnu"
"""Where Debian keeps asm/types.h, which linux/bpf.h includes; clang looks there only for the host's own target."""


def clang_argv(llvm: Llvm, *, source: Path, out: Path, root: Path, name: str) -> list[str]:
    """clang from C to an eBPF object. libbpf's headers and linux/bpf.h are the system's."""
    return [
        llvm.clang.path, "-target", "bpf", f"-mcpu={llvm.mcpu}", "-D__TARGET_ARCH_x86", f'-DKD_NAME="{name}"',
        f"-I{root}/common", f"-I{root}/gen", f"-I{source.parent}", "-std=gnu11", "-O2", "-g", *_WARNINGS,
        *(["-idirafter", str(_ASM)] if _ASM.is_dir() else []),
        f"-ffile-prefix-map={root}/=", "-fdebug-compilation-dir=.", "-c", str(source), "-o", str(out),
    ]  # fmt: skip


def build_core(work: Workplace, llvm: Llvm, name: str) -> Path:
    """Compile and strip; the result's path. Raises StepError (compile)."""
    source = only_source(work.root / "core")
    out = work.root / "kdriver.core.o"
    work.run(clang_argv(llvm, source=source, out=out, root=work.root, name=name))
    slim(work, llvm, out)
    return out


def headers_digest(include: Path = _INCLUDE) -> str:
    """SHA-256 over the system's headers that the object is compiled with: libbpf's and linux/bpf.h; empty when
    libbpf's are not installed."""
    headers = sorted((include / "bpf").glob("bpf_*.h"))
    if not headers:
        return ""
    digest = hashlib.sha256()
    for header in (*headers, include / "linux" / "bpf.h"):
        if header.is_file():
            digest.update(f"{header.name}\0".encode() + header.read_bytes())
    return digest.hexdigest()
