"""The content key changes with everything that changes an artifact, and with nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from builder.evidence import Evidence
from builder.headers import HeaderTree
from builder.plan import BuildPlan, plan_builds
from builder.recipe import make_recipe
from builder.source import DriverSource, load_source, render_headers
from builder.toolchain import Compiler, Llvm
from kdriver.core.artifact import DriverKind, Input
from kdriver.core.kernel import Kernel, Package, PackageRole
from tests.fakes.tiny_kernel import TOY_DRIVER

GCC = Compiler("/usr/bin/gcc-12", (12, 2), "gcc-12 (Tiny 12.2.0-1) 12.2.0")
LLVM = Llvm(Compiler("/usr/bin/clang-16", (16, 0), "clang 16.0.6"), "/llc", "/strip", "/clang", "v2")
PACKAGE = Package(PackageRole.HEADERS, "linux-headers", "1", "amd64", "main", "pool/a.deb", 1, "a" * 64)
KERNEL = Kernel("debian", "debian12", "1.2.3-tiny", "1", "1", "x86_64", "amd64", (PACKAGE,))
COMPILERS: dict[DriverKind, Compiler | Llvm] = {DriverKind.KMOD: GCC, DriverKind.BPF: LLVM, DriverKind.CORE: LLVM}


def tree(root: Path, digest: str = "headers") -> HeaderTree:
    evidence = Evidence("1.2.3-tiny", "gcc-12", (12, 2), True, (0, 0), "")
    source = root / "usr/src/common"
    return HeaderTree(digest, root, root / "usr/src/arch", source, evidence, (Input("a.deb", "a" * 64),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TOY_DRIVER, tmp_path / "toy_driver"))


def plan(kind: DriverKind, source: DriverSource, name: str = "kdriver", kernel: Kernel = KERNEL) -> BuildPlan:
    return plan_builds([kernel], [kind], source, name=name)[0]


def key(
    folder: Path, kind: DriverKind, *, name: str = "kdriver", root: Path = Path("/somewhere"), **changed: object
) -> str:
    source = load_source(folder)
    generated = render_headers(source, folder.parent / "generated")
    compiler = changed.get("compiler", COMPILERS[kind])
    assert isinstance(compiler, Compiler | Llvm)
    headers = None if kind is DriverKind.CORE else tree(root, str(changed.get("headers", "headers")))
    return make_recipe(plan(kind, source, name), source, generated, tree=headers, compiler=compiler).key


@pytest.mark.parametrize("kind", list(DriverKind))
def test_same_inputs_have_the_same_key_wherever_they_stand(kind: DriverKind, folder: Path, tmp_path: Path) -> None:
    moved = replace(GCC, path="/opt/gcc-12") if kind is DriverKind.KMOD else COMPILERS[kind]
    copy = Path(shutil.copytree(folder, tmp_path / "deeper" / "copy"))
    assert key(copy, kind, root=Path("/elsewhere"), compiler=moved) == key(folder, kind)


@pytest.mark.parametrize("kind", list(DriverKind))
def test_other_name_is_another_artifact(kind: DriverKind, folder: Path) -> None:
    assert key(folder, kind, name="other") != key(folder, kind)


@pytest.mark.parametrize("kind", [DriverKind.KMOD, DriverKind.BPF])
def test_other_headers_are_another_artifact(kind: DriverKind, folder: Path) -> None:
    assert key(folder, kind, headers="others") != key(folder, kind)


def test_other_compiler_is_another_artifact(folder: Path) -> None:
    assert key(folder, DriverKind.KMOD, compiler=replace(GCC, text="gcc-12 (Tiny 12.2.0-2) 12.2.0")) != key(
        folder, DriverKind.KMOD
    )
    clang = replace(LLVM, clang=replace(LLVM.clang, text="clang 16.0.7"))
    assert key(folder, DriverKind.CORE, compiler=clang) != key(folder, DriverKind.CORE)


def test_other_instruction_set_is_another_artifact(folder: Path) -> None:
    assert key(folder, DriverKind.CORE, compiler=replace(LLVM, mcpu="v3")) != key(folder, DriverKind.CORE)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        pytest.param("common/kd_toy.h", {"kmod", "bpf", "core"}, id="common"),
        pytest.param("driver.toml", {"kmod", "bpf", "core"}, id="versions"),
        pytest.param("kmod/toy.c", {"kmod"}, id="module"),
        pytest.param("kmod/probes/choice__there.c", {"kmod", "bpf"}, id="compile probe"),
        pytest.param("bpf/toy.bpf.c", {"bpf"}, id="probe"),
        pytest.param("core/toy.core.c", {"core"}, id="core"),
        pytest.param("capture/main.c", set(), id="a tool"),
        pytest.param("kmod/.toy.o.cmd", set(), id="hidden file of make"),
        pytest.param("kmod/toy.o", set(), id="object of a build by hand"),
        pytest.param("kmod/kdriver.mod.c", set(), id="written by modpost"),
    ],
)
def test_changed_source_changes_the_kinds_that_are_built_from_it(file: str, changes: set[str], folder: Path) -> None:
    before = {str(kind): key(folder, kind) for kind in DriverKind}
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "\n# more\n")
    after = {str(kind): key(folder, kind) for kind in DriverKind}
    assert {kind for kind in before if before[kind] != after[kind]} == changes


def test_rendered_headers_count_by_their_content(folder: Path) -> None:
    source = load_source(folder)
    for text, name in (("one", "a"), ("two", "b")):
        generated = folder.parent / name
        generated.mkdir()
        (generated / "kd_fill.h").write_text(text)
    keys = {
        make_recipe(plan(DriverKind.CORE, source), source, folder.parent / name, tree=None, compiler=LLVM).key
        for name in ("a", "b")
    }
    assert len(keys) == 2


def test_flags_of_the_record_name_no_folder_of_this_machine(folder: Path) -> None:
    source = load_source(folder)
    generated = render_headers(source, folder.parent / "generated")
    for kind in DriverKind:
        headers = None if kind is DriverKind.CORE else tree(folder.parent / "cache")
        recipe = make_recipe(plan(kind, source), source, generated, tree=headers, compiler=COMPILERS[kind])
        assert not [flag for flag in recipe.flags if str(folder.parent) in flag]
        assert recipe.inputs[0].name == "driver source"
