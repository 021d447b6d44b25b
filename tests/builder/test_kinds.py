"""What compilers are told, by kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.evidence import Evidence
from builder.headers import HeaderTree
from builder.kinds import bpf, core, kmod
from builder.toolchain import Compiler, Llvm, kbuild_cc

GCC = Compiler("/usr/bin/gcc-12", (12, 2), "gcc-12")
LLVM = Llvm(
    Compiler("/usr/bin/clang-16", (16, 0), "clang 16"), "/usr/bin/llc-16", "/usr/bin/llvm-strip-16", "/clang", "v2"
)


@pytest.fixture
def tree(tmp_path: Path) -> HeaderTree:
    source = tmp_path / "usr/src/common"
    (source / "include/linux").mkdir(parents=True)
    (source / "include/linux/kconfig.h").touch()
    evidence = Evidence("1.2.3-tiny", "gcc-12", (12, 2), True, (0, 0), "")
    return HeaderTree("digest", tmp_path, tmp_path / "usr/src/arch", source, evidence, ())


def test_module_is_built_by_kbuild_with_the_chosen_compiler_and_name() -> None:
    argv = kmod.make_argv(build_dir=Path("/h"), root=Path("/w"), name="other", compiler=GCC, cc=GCC.path)
    assert argv[:4] == ["make", "-C", "/h", "M=/w/kmod"]
    assert {"CC=/usr/bin/gcc-12", "KD_NAME=other", "KD_GEN=/w/gen", "CONFIG_DEBUG_INFO_BTF_MODULES="} <= set(argv)
    assert argv[-1] == "modules"


@pytest.mark.parametrize(
    ("makefile", "cc"),
    [
        ("KBUILD_CFLAGS += $(call cc-option,-fno-PIE)\n", "/usr/bin/gcc-12"),
        ("KBUILD_CFLAGS := -Wall\n", "/usr/bin/gcc-12 -fno-pie"),
        (None, "/usr/bin/gcc-12"),
    ],
)
def test_old_kernels_get_code_that_is_not_position_independent(tree: HeaderTree, makefile: str | None, cc: str) -> None:
    if makefile is not None:
        (tree.source_dir / "Makefile").write_text(makefile)
    assert kbuild_cc(GCC, tree.source_dir) == cc


def test_paths_of_this_machine_stay_out_of_the_module() -> None:
    assert kmod.compile_flags(GCC, "/w") == ["-g0", "-ffile-prefix-map=/w/="]


def test_old_gcc_is_not_told_what_it_does_not_know() -> None:
    assert kmod.compile_flags(Compiler("/gcc", (4, 8), ""), "/w") == ["-g0"]


def test_strip_takes_only_debugging() -> None:
    assert kmod.strip_argv(Path("/a.ko"), Path("/b.ko")) == ["strip", "--strip-debug", "-o", "/b.ko", "/a.ko"]
    assert bpf.strip_argv(LLVM, Path("/a.o")) == ["/usr/bin/llvm-strip-16", "-g", "/a.o"]


def test_objects_of_ours_lose_what_no_loader_reads() -> None:
    argv = bpf.slim_argv(LLVM, Path("/a.o"))
    assert argv[:2] == ["/usr/bin/llvm-strip-16", "-g"]
    assert {".rel.BTF", ".rel.BTF.ext", "--discard-all"} <= set(argv)


def test_kernel_headers_are_system_headers_and_ours_are_not(tree: HeaderTree) -> None:
    argv = clang(tree)
    kernel = [argv[number + 1] for number, word in enumerate(argv) if word == "-isystem"]
    assert kernel[0] == "/clang/include"
    assert f"{tree.source_dir}/include" in kernel
    assert {"-I/w/common", "-I/w/gen", "-I/w/bpf"} == {word for word in argv if word.startswith("-I")}
    assert "-Wall" in argv


def test_first_headers_are_named_only_where_they_exist(tree: HeaderTree) -> None:
    argv = clang(tree)
    firsts = [argv[number + 1] for number, word in enumerate(argv) if word == "-include"]
    assert firsts == [f"{tree.source_dir}/include/linux/kconfig.h"]


def test_release_is_compiled_into_the_object(tree: HeaderTree) -> None:
    assert '-DKD_RELEASE="1.2.3-tiny"' in clang(tree)


def test_front_end_runs_for_the_host_and_the_back_end_for_ebpf(tree: HeaderTree) -> None:
    argv = clang(tree)
    assert "-target" not in argv
    assert "-emit-llvm" in argv
    assert argv[-2:] == ["-o", "/w/kdriver.bc"]
    assert bpf.llc_argv(LLVM, source=Path("/w/a.bc"), out=Path("/w/a.o")) == [
        "/usr/bin/llc-16", "-march=bpf", "-mcpu=v2", "-filetype=obj", "-o", "/w/a.o", "/w/a.bc",
    ]  # fmt: skip


def test_core_needs_no_kernel_headers() -> None:
    argv = core.clang_argv(LLVM, source=Path("/w/core/a.c"), out=Path("/w/a.o"), root=Path("/w"), name="kdriver")
    assert argv[argv.index("-target") + 1] == "bpf"
    assert "-g" in argv, "without it there is no BTF"
    assert "-isystem" not in argv


def test_system_headers_count_by_their_content(tmp_path: Path) -> None:
    assert core.headers_digest(tmp_path) == ""
    (tmp_path / "bpf").mkdir()
    (tmp_path / "bpf/bpf_helpers.h").write_text("a")
    first = core.headers_digest(tmp_path)
    (tmp_path / "bpf/bpf_helpers.h").write_text("b")
    assert core.headers_digest(tmp_path) != first


def clang(tree: HeaderTree) -> list[str]:
    return bpf.clang_argv(
        tree,
        LLVM,
        source=Path("/w/bpf/kd.c"),
        out=Path("/w/kdriver.bc"),
        root=Path("/w"),
        release="1.2.3-tiny",
        name="kdriver",
    )
