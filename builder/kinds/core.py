"""The CO-RE probe: one object for every kernel with BTF, compiled once, without any kernel's headers.

Types of the kernel are declared in the driver source, only what is used, with preserve_access_index; the loader
moves each access to where the running kernel has the field.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from builder.kinds.bpf import strip_argv
from builder.kinds.step import Workplace, only_source
from builder.toolchain import Llvm

_WARNINGS = ("-Wall", "-Wno-address-of-packed-member", "-Wno-unused-function")
_LIBBPF = Path("/usr/include/bpf")


def clang_argv(llvm: Llvm, *, source: Path, out: Path, root: Path, name: str) -> list[str]:
    """clang from C to an eBPF object. libbpf's headers come from the system."""
    return [
        llvm.clang.path, "-target", "bpf", f"-mcpu={llvm.mcpu}", "-D__TARGET_ARCH_x86", f'-DKD_NAME="{name}"',
        f"-I{root}/common", f"-I{root}/gen", f"-I{source.parent}", "-std=gnu11", "-O2", "-g", *_WARNINGS,
        f"-ffile-prefix-map={root}/=", "-fdebug-compilation-dir=.", "-c", str(source), "-o", str(out),
    ]  # fmt: skip


def build_core(work: Workplace, llvm: Llvm, name: str) -> Path:
    """Compile and strip; the result's path. Raises StepError (compile)."""
    source = only_source(work.root / "core", "*.core.c")
    out = work.root / "kdriver.core.o"
    work.run(clang_argv(llvm, source=source, out=out, root=work.root, name=name))
    work.run(strip_argv(llvm, out))
    return out


def libbpf_digest(folder: Path = _LIBBPF) -> str:
    """SHA-256 over the BPF headers of libbpf that the object is compiled with, empty when it is not installed."""
    digest = hashlib.sha256()
    headers = sorted(folder.glob("bpf_*.h"))
    for header in headers:
        digest.update(f"{header.name}\0".encode() + header.read_bytes())
    return digest.hexdigest() if headers else ""
