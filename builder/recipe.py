"""What an artifact is built from, before it is built: its compiler, flags and inputs, and the key that names them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from builder.headers import HeaderTree
from builder.kinds import bpf, core, kmod
from builder.kinds.foreign import Places, part_commands
from builder.kinds.step import only_source
from builder.plan import BuildPlan
from builder.source import DriverSource, digest_source
from builder.store import content_key
from builder.toolchain import Compiler, Llvm, kbuild_cc
from kdriver.core.artifact import DriverKind, Input

LAYOUT = "4"
"""Part of every content key: raised when the builder makes other bytes of the same inputs."""
_WORK = Path("/build")
_TREE = Path("/headers")


@dataclass(frozen=True, slots=True)
class Recipe:
    """compiler: what it says of itself. flags: of the compiling command, with /build for the workplace and /headers
    for the header tree, so that they are the same on every machine. inputs: everything with a digest."""

    compiler: str
    flags: tuple[str, ...]
    inputs: tuple[Input, ...]
    key: str


def make_recipe(
    plan: BuildPlan,
    source: DriverSource,
    generated: Path,
    *,
    tree: HeaderTree | None,
    compiler: Compiler | Llvm,
    headers: str | None = None,
    source_digest: str | None = None,
) -> Recipe:
    """The recipe of a plan. tree: of kmod and bpf. compiler: gcc for kmod, else LLVM. headers: digest of the system
    headers where it compiles (None: this machine's). source_digest: of the driver source, where it is known. Raises
    StepError (compile) when the driver source does not hold the kind's file."""
    kind = plan.kind
    inputs = [Input("driver source", source_digest or digest_source(source, kind, generated))]
    text = compiler.clang.text if isinstance(compiler, Llvm) else compiler.text
    if tree is not None:
        inputs += tree.inputs
    headers = core.headers_digest() if headers is None else headers
    if kind is not DriverKind.KMOD and headers:
        inputs.append(Input("system headers (libbpf, linux/bpf.h)", headers))
    flags = tuple(_argv(plan, source, tree, compiler)[1:])
    parts: dict[str, object] = {
        "layout": LAYOUT,
        "kind": str(kind),
        "kernel": plan.built_for,
        "name": plan.name,
        "headers": tree.digest if tree is not None else "",
        "compiler": text,
        "flags": flags,
        "inputs": [one.to_json() for one in inputs],
    }
    if plan.twin_of:
        parts["twin of"] = plan.twin_of
    return Recipe(text, flags, tuple(inputs), content_key(parts))


def _argv(plan: BuildPlan, source: DriverSource, tree: HeaderTree | None, compiler: Compiler | Llvm) -> list[str]:
    """The compiling command as it would be in a workplace at /build with headers at /headers."""
    name = plan.name
    if source.foreign is not None:
        return _foreign_argv(plan, source, tree, compiler)
    if tree is not None:
        standing = tree.root
        moved = replace(
            tree,
            root=_TREE,
            build_dir=_TREE / tree.build_dir.relative_to(standing),
            source_dir=_TREE / tree.source_dir.relative_to(standing),
        )
        if isinstance(compiler, Compiler):
            plain = replace(compiler, path=Path(compiler.path).name)
            cc = kbuild_cc(plain, tree.source_dir)
            return kmod.make_argv(build_dir=moved.build_dir, root=_WORK, name=name, compiler=plain, cc=cc)
        file = _WORK / "bpf" / only_source(source.folder / "bpf").name
        argv = bpf.front_argv(tree, compiler, source=file, out=_WORK / "kdriver.front.bc", root=_WORK, name=name)
        return [part.replace(str(standing), str(_TREE)).replace(compiler.resources, "/clang") for part in argv]
    assert isinstance(compiler, Llvm)
    file = _WORK / "core" / only_source(source.folder / "core").name
    return core.clang_argv(compiler, source=file, out=_WORK / "kdriver.core.o", root=_WORK, name=name)


def _foreign_argv(
    plan: BuildPlan, source: DriverSource, tree: HeaderTree | None, compiler: Compiler | Llvm
) -> list[str]:
    """All words of a foreign driver's commands, with the same names for this machine's folders."""
    assert source.foreign is not None
    part = source.foreign.part(plan.kind)
    assert part is not None
    commands = part_commands(source.foreign, part, Places(_WORK, tree, compiler))
    moved = [(str(tree.root), str(_TREE))] if tree is not None else []
    moved += (
        [(compiler.resources, "/clang")] if isinstance(compiler, Llvm) else [(compiler.path, Path(compiler.path).name)]
    )
    words = [word for command in commands for word in command]
    for here, there in moved:
        words = [word.replace(here, there) for word in words]
    return words
