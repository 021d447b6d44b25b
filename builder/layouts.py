"""The layouts of the kernel's structures that a module reads, as one digest for each header set.

A C file that includes what the driver source includes and names every structure that the driver source names is
compiled against the headers, and its type table (BTF) has the size, the members and the offsets of each, and of all
that they hold. LLVM leaves out what is only pointed to; those structures are named as well, round after round, until
nothing that the headers define is missing. Two header sets with the same bytes have the same layouts, whatever their
versions. The same file tells the kernel's vermagic, which otherwise only a built module has.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builder.choice import Choice
from builder.failure import Failure, StepError
from builder.headers import HeaderTree
from builder.keep import touch
from builder.kinds.bpf import CODE, DEFINES, include_argv, llc_argv
from builder.kinds.step import Workplace
from builder.source import DriverSource, digest_folder, is_source
from builder.toolchain import Llvm
from kdriver.inspect.btf import BtfKind, parse_btf
from kdriver.inspect.elf import read_object

_LAYOUT = "1"
_FOLDERS = ("kmod", "common")
_MOST_ROUNDS = 20
_FIRST = ("linux/kernel.h", "linux/module.h")
_INCLUDE = re.compile(r"^\s*#\s*include\s*<([^>]+)>", re.M)
_NAMED = re.compile(r"\b(struct|union)\s+([a-zA-Z_]\w*)")
_UNSET = re.compile(r"CONFIG_(BUILD_SALT|CC_VERSION_TEXT|LOCALVERSION|SYSTEM_TRUSTED_KEYS|MODULE_SIG_KEY)\b")
"""Settings that are texts for people or for signing, which differ between builds of one kernel."""

Tag = tuple[str, str]
"""`struct` or `union`, and its name."""


@dataclass(frozen=True, slots=True)
class Layouts:
    """What a header set's structures are like. digest: of the type table. config: of the kernel's configuration.
    vermagic: what its modules say, release included. types: how many types the table holds."""

    digest: str
    config: str
    vermagic: str
    types: int


def find_layouts(tree: HeaderTree, source: DriverSource, choice: Choice, cache: Path, log: Path) -> Layouts:
    """The layouts of a header set, compiled now where they are not in the cache. Raises StepError."""
    assert isinstance(choice.compiler, Llvm)
    of_source = "\0".join(digest_folder(source.folder / name) for name in _FOLDERS)
    parts = [_LAYOUT, tree.digest, of_source, choice.compiler.clang.text]
    kept = cache / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}.json"
    if kept.is_file():
        touch(kept)
        return Layouts(**json.loads(kept.read_text()))
    cache.mkdir(parents=True, exist_ok=True)
    series = re.match(r"\d+\.\d+", tree.evidence.release)
    lists = f"{series[0] if series else ''}\0{of_source}"
    names = cache / f"names-{hashlib.sha256(lists.encode()).hexdigest()[:32]}.json"
    known = [(kind, name) for kind, name in json.loads(names.read_text())] if names.is_file() else []
    texts = [path.read_text(errors="replace") for path in _sources(source)]
    tags = sorted({*known, *(tag for text in texts for tag in _NAMED.findall(text))})
    includes = tuple(dict.fromkeys(name for text in texts for name in _INCLUDE.findall(text)))
    root = Path(tempfile.mkdtemp(prefix=".layouts-", dir=cache))
    try:
        work = Workplace(root, log, choice.place.executor, choice.compiler.clang.text)
        found, tags = _until_closed(work, tree, choice.compiler, includes, tags)
        for path, value in ((kept, _to_json(found)), (names, tags)):
            fresh = root / "fresh.json"
            fresh.write_text(json.dumps(value))
            if path == kept or not path.is_file():
                fresh.replace(path)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return found


def probe_source(includes: Iterable[str], tags: Iterable[Tag]) -> str:
    """The C file. Headers that these do not have are left out; a name that they do not define stays a declaration."""
    lines = ["/* What the structures of these headers are like. */"]
    for name in dict.fromkeys((*_FIRST, *includes)):
        lines += [f"#if __has_include(<{name}>)", f"#include <{name}>", "#endif"]
    lines += ["#define INCLUDE_VERMAGIC", "#include <linux/vermagic.h>"]
    lines += ['const char kd_vermagic_text[] __attribute__((section("kd_vermagic"), used)) = VERMAGIC_STRING;']
    lines += [f"{kind} {name} *kd_layout_{number};" for number, (kind, name) in enumerate(tags)]
    return "\n".join([*lines, ""])


def clang_argv(tree: HeaderTree, llvm: Llvm, *, source: Path, out: Path) -> list[str]:
    """clang from C to LLVM code with types; as a module is compiled, and silent: nobody's code is judged here."""
    return [
        llvm.clang.path, "-nostdinc", "-isystem", f"{llvm.resources}/include", *include_argv(tree), *DEFINES,
        "-DMODULE", '-DKBUILD_MODNAME="kd_layouts"', *CODE, "-w", "-emit-llvm", "-c", str(source), "-o", str(out),
    ]  # fmt: skip


def config_digest(header: str) -> str:
    """SHA-256 of include/generated/autoconf.h without what only names the build."""
    lines = sorted(line for line in header.splitlines() if line.startswith("#define") and not _UNSET.search(line))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _until_closed(
    work: Workplace, tree: HeaderTree, llvm: Llvm, includes: tuple[str, ...], tags: list[Tag]
) -> tuple[Layouts, list[Tag]]:
    settings = tree.build_dir / "include/generated/autoconf.h"
    if not settings.is_file():
        raise StepError(Failure.HEADERS, f"{tree.build_dir.name} has no include/generated/autoconf.h")
    config = config_digest(settings.read_text(errors="replace"))
    source, code, out = (work.root / f"layouts{suffix}" for suffix in (".c", ".bc", ".o"))
    for _ in range(_MOST_ROUNDS):
        source.write_text(probe_source(includes, _one_kind_each(tags)))
        work.run(clang_argv(tree, llvm, source=source, out=code), reads=(tree.root,))
        work.run(llc_argv(llvm, source=code, out=out))
        made = read_object(out)
        table = made.sections.get(".BTF", b"")
        types = parse_btf(table).types
        pointed = {("union" if one.flag else "struct", one.name) for one in types if one.kind is BtfKind.FWD}
        if pointed <= set(tags):
            break
        tags = sorted({*tags, *pointed})
    return Layouts(hashlib.sha256(table).hexdigest(), config, made.text("kd_vermagic").strip(), len(types)), tags


def _one_kind_each(tags: Iterable[Tag]) -> list[Tag]:
    """Of a name that stands for a struct and for a union (in other scopes of the driver source) only the struct."""
    kinds: dict[str, str] = {}
    for kind, name in sorted(tags, reverse=True):
        kinds[name] = kind
    return sorted((kind, name) for name, kind in kinds.items())


def _sources(source: DriverSource) -> list[Path]:
    folders = [source.folder / name for name in _FOLDERS]
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*.[ch]"))
        if is_source(path) and source.probes not in path.parents
    ]


def _to_json(found: Layouts) -> dict[str, str | int]:
    return {"digest": found.digest, "config": found.config, "vermagic": found.vermagic, "types": found.types}


def same_layouts(one: Layouts, other: Layouts) -> str:
    """What keeps a module of one header set from serving the other; empty when nothing does."""
    if one.vermagic.partition(" ")[2] != other.vermagic.partition(" ")[2]:
        return "vermagic flags differ"
    if one.config != other.config:
        return "configurations differ"
    return "" if one.digest == other.digest else "layouts differ"
