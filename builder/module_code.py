"""What a kernel module is made of, as one digest for each header set: the LLVM code of its sources before optimising.

The module itself is compiled by gcc, and its code is not looked at here. But where clang makes the same code of all its
sources against two header sets, then what they take from the headers is the same: layouts, constants, macros and inline
functions. What headers say to gcc alone stands in three of them, which are compared as text, as are the lines of the
Makefiles that give the compiler its flags. Not compared is what only serves to name things or to say where they stand:
counters in names, and the line of a header that a warning prints.

clang may not compile a module, or its files may not stand in one; then nothing is known here (an empty digest), and
nothing is shared.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from pathlib import Path

from builder.choice import Choice
from builder.code import normal_form
from builder.failure import Failure, StepError
from builder.headers import HeaderTree
from builder.keep import touch
from builder.kinds.bpf import include_argv
from builder.kinds.step import Workplace
from builder.probes import HEADER, ProbeResult
from builder.source import DriverSource, copy_source, digest_source
from builder.toolchain import Llvm
from kdriver.core.artifact import DriverKind

_LAYOUT = "2"
"""Part of a digest's key: raised when other code counts as the same, or an empty digest means something else."""
_FOR_GCC = tuple(f"include/linux/{name}.h" for name in ("compiler-gcc", "compiler_types", "compiler_attributes"))
_REFUSED = 1
"""clang's exit status when it does not compile a file; others are of crashes and signals."""
_MAKEFILES = ("Makefile", "arch/x86/Makefile")
_FLAGS = re.compile(r"^(?!.*RUST).*(?:C_?FLAGS|cc-option|cc-disable|\s-[mfW]\w).*$", re.M)
_COUNTED = re.compile(r"\b(__UNIQUE_ID_\w*?|__compiletime_assert_)(\d+)\b")
_LABELS = re.compile(r'^(.* asm sideeffect "[^"]*\.discard\.[^"]*", "[^"]*"\()([^)]*)(\).*)$', re.M)
_BUGS = re.compile(r'^(.* asm sideeffect "[^"]*__bug_table[^"]*", "[^"]*"\((?:ptr @[\w.]+, )+i32 )\d+(, .*)$', re.M)
_NUMBER = re.compile(r"\bi32 (\d+)")


def plain_code(text: str) -> str:
    """LLVM code of a module without what counts or names places: counters are numbered as they come."""
    numbers: dict[str, int] = {}
    labels: dict[str, int] = {}

    def label(found: re.Match[str]) -> str:
        if "__bug_table" in found[1]:  # its numbers are line and flags; a label in it has a fixed name
            return found[0]
        operands = _NUMBER.sub(lambda one: f"i32 #{labels.setdefault(one[1], len(labels))}", found[2])
        return f"{found[1]}{operands}{found[3]}"

    text = _COUNTED.sub(lambda found: f"{found[1]}#{numbers.setdefault(found[0], len(numbers))}", normal_form(text))
    return _BUGS.sub(r"\1line\2", _LABELS.sub(label, text))


def clang_argv(tree: HeaderTree, llvm: Llvm, *, source: Path, out: Path, root: Path, name: str) -> list[str]:
    """clang's front end for one file that includes all of a module's, silent: gcc judges the code."""
    return [
        llvm.clang.path, "-nostdinc", "-isystem", f"{llvm.resources}/include", *include_argv(tree),
        f"-I{root}/kmod", f"-I{root}/gen", f"-I{root}/common", "-D__KERNEL__", "-DMODULE", "-DCC_USING_FENTRY",
        f'-DKD_NAME="{name}"', f'-DKBUILD_MODNAME="{name}"', f'-DKBUILD_BASENAME="{name}"',
        f"-D__KBUILD_MODNAME=kmod_{name}", "-std=gnu11", "-fms-extensions", "-fshort-wchar", "-fno-strict-aliasing",
        "-mcmodel=kernel", "-mno-red-zone", "-mno-sse", "-O2", "-w", "-Xclang", "-disable-llvm-passes",
        f"-ffile-prefix-map={tree.source_dir}/=", f"-ffile-prefix-map={tree.build_dir}/=",
        f"-ffile-prefix-map={root}/=", "-emit-llvm", "-S", str(source), "-o", str(out),
    ]  # fmt: skip


def find_module_code(
    tree: HeaderTree,
    source: DriverSource,
    generated: Path,
    probes: ProbeResult,
    choice: Choice,
    *,
    name: str,
    cache: Path,
    log: Path,
) -> str:
    """The digest of a module's code against a header set, compiled now where it is not in the cache; empty where clang
    does not compile it. Raises StepError: class headers where the header set is not there any more, class compile where
    clang was killed or did not end, so that another time may know more."""
    assert isinstance(choice.compiler, Llvm)
    llvm = choice.compiler
    parts = [_LAYOUT, tree.digest, digest_source(source, DriverKind.KMOD, generated), llvm.clang.text, name]
    key = hashlib.sha256("\0".join([*parts, *probes.variants]).encode()).hexdigest()[:32]
    kept = cache / f"code-{key}.json"
    if kept.is_file():
        touch(kept)
        return str(json.loads(kept.read_text())["digest"])
    _require(tree)
    cache.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=".code-", dir=cache))
    try:
        gen = copy_source(source, DriverKind.KMOD, generated, root)
        (gen / HEADER).write_text(probes.header())
        files = sorted(path.name for path in (root / "kmod").glob("*.c"))
        joint, out = root / "kmod/kd_all_files.c", root / "all.ll"
        joint.write_text("".join(f'#include "{file}"\n' for file in files))
        work = Workplace(root, log, choice.place.executor, llvm.clang.text)
        try:
            work.run(clang_argv(tree, llvm, source=joint, out=out, root=root, name=name), reads=(tree.root,))
            digest = hashlib.sha256(f"{_texts(tree)}\0{plain_code(out.read_text())}".encode()).hexdigest()
        except StepError as error:
            if error.status != _REFUSED:
                raise  # clang did not get to its end, which says nothing of the code
            digest = ""
        _require(tree)  # it may have left the cache meanwhile
        fresh = root / "fresh.json"
        fresh.write_text(json.dumps({"digest": digest}) + "\n")
        fresh.replace(kept)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return digest


def _require(tree: HeaderTree) -> None:
    if not (tree.build_dir / "include/generated/autoconf.h").is_file():
        raise StepError(Failure.HEADERS, f"{tree.build_dir.name} has no include/generated/autoconf.h")


def _texts(tree: HeaderTree) -> str:
    """What the headers say to gcc alone, and its flags."""
    digest = hashlib.sha256()
    for name in (*_FOR_GCC, *_MAKEFILES):
        path = tree.source_dir / name
        text = path.read_text(errors="replace") if path.is_file() else ""
        said = text if name in _FOR_GCC else "\n".join(_FLAGS.findall(text))
        digest.update(f"{name}\0{said}\0".encode())
    return digest.hexdigest()
