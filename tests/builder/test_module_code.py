"""What counts as the same code of a module: not counters, and not where in a header a warning stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.choice import Choice, ExecutorName, make_toolchains
from builder.failure import StepError
from builder.headers import HeaderTree
from builder.module_code import find_module_code, plain_code
from builder.probes import ProbeResult
from builder.share import codes_differ
from builder.source import load_source
from builder.toolchain import Llvm
from tests.fakes.tiny_kernel import TOY_DRIVER, TinyKernel, tiny_tree

CODE = r"""
@__UNIQUE_ID_license250 = internal constant [4 x i8] c"GPL\00", section ".modinfo"
@__UNIQUE_ID_author251 = internal constant [4 x i8] c"nob\00", section ".modinfo"
define void @f(ptr %0) {
  call void @__compiletime_assert_242() #40, !srcloc !45
  call void asm sideeffect "${0:c}:\0A\09.pushsection .discard.unreachable\0A", "i,~{flags}"(i32 321) #2, !srcloc !46
  call void asm sideeffect "1: ud2\0A.pushsection __bug_table\0A", "i,i,i,i"(ptr @.str.3, i32 216, i32 2305, i64 12) #2
  store i32 321, ptr %0
}
"""
# As clang 16 writes WARN_ON against 6.1.0-56-cloud-amd64 and, shortened, 7.1.13+deb13-cloud-amd64; flags as a number.
BUG_6_1 = r"""
  call void asm sideeffect "1:\09.byte 0x0f, 0x0b\0A.pushsection __bug_table,\22aw\22\0A2:\09.long 1b - .\09# bug_entry\
::bug_addr\0A\09.long ${0:c} - .\09# bug_entry::file\0A\09.word ${1:c}\09# bug_entry::line\0A\09.word ${2:c}\09# bug_en\
try::flags\0A\09.org 2b+${3:c}\0A.popsection\0A998:\0A\09.pushsection .discard.reachable\0A\09.long 998b - .\0A\09.pops\
ection\0A\09", "i,i,i,i,~{dirflag},~{fpsr},~{flags}"(ptr @.str, i32 611, i32 2313, i64 12) #3, !srcloc !6
""".replace("\\\n", "")
BUG_7_1 = r"""
  call void asm sideeffect "1:\09 ud2 \0A.pushsection __bug_table,\22aw\22\0A\09912: .pushsection .discard.annotate_\
data, \22M\22, @progbits, 8; .long 912b - ., 1; .popsection\0A\092:\0A\09\09.long 1b - .\0A\09.word ${2:c}\0A.popsectio\
n\0A", "i,i,i,i,i,~{dirflag},~{fpsr},~{flags}"(ptr @.str, ptr @.str.1, i32 611, i32 2313, i64 16) #3, !srcloc !6
""".replace("\\\n", "")


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        pytest.param("license250", "license299", True, id="a counter in a name"),
        pytest.param("assert_242", "assert_245", True, id="of an assertion"),
        pytest.param("(i32 321)", "(i32 333)", True, id="of a label"),
        pytest.param("i32 216", "i32 219", True, id="the line of a warning"),
        pytest.param("i32 2305", "i32 2307", False, id="the flags of a warning"),
        pytest.param("@.str.3", "@.str.4", False, id="the file of a warning"),
        pytest.param("store i32 321", "store i32 333", False, id="the same number in code"),
        pytest.param("license250", "licence250", False, id="another name"),
        pytest.param("discard.unreachable", "discard.reachable", False, id="other assembly"),
    ],
)
def test_code_is_the_same_but_for_counters_and_lines(old: str, new: str, same: bool) -> None:
    assert CODE.count(old) == 1 or old in ("license250",)
    assert (plain_code(CODE) == plain_code(CODE.replace(old, new))) is same


@pytest.mark.parametrize("code", [BUG_6_1, BUG_7_1], ids=["6.1", "7.1"])
def test_of_a_warning_with_a_label_only_the_line_is_left_out(code: str) -> None:
    assert code.count("\n") == 2 and code.count("i32 611") == code.count("i32 2313") == 1
    assert plain_code(code) == plain_code(code.replace("i32 611", "i32 612"))
    assert plain_code(code) != plain_code(code.replace("i32 2313", "i32 2305"))
    assert plain_code(code) != plain_code(code.replace("@.str,", "@.str.9,"))


def digest(
    tree: HeaderTree, folder: Path, variants: tuple[str, ...] = ("choice__there",), choice: Choice | None = None
) -> str:
    (folder / "gen").mkdir(exist_ok=True)
    choice = choice or make_toolchains(ExecutorName.LOCAL, folder).llvm(None)
    assert isinstance(choice.compiler, Llvm)
    return find_module_code(
        tree,
        load_source(TOY_DRIVER),
        folder / "gen",
        ProbeResult(variants),
        choice,
        name="toy",
        cache=folder / "cache",
        log=folder / "log",
    )


def test_header_set_that_was_taken_out_says_nothing_and_nothing_is_kept(tmp_path: Path) -> None:
    tree = tiny_tree(tmp_path, TinyKernel())
    gone = tree.build_dir / "include/generated/autoconf.h"
    text = gone.read_text()
    gone.unlink()
    with pytest.raises(StepError, match=r"has no include/generated/autoconf\.h"):
        digest(tree, tmp_path)
    gone.write_text(text)
    assert len(digest(tree, tmp_path)) == 64


def test_module_that_clang_does_not_compile_has_no_digest(tmp_path: Path) -> None:
    assert digest(tiny_tree(tmp_path), tmp_path, variants=()) == ""
    assert codes_differ("", "") and codes_differ("", "a") and codes_differ("a", "b")
    assert not codes_differ("a", "a")


@pytest.mark.parametrize(("status", "known"), [(1, True), (254, False), (139, False)])
def test_compiler_that_was_killed_says_nothing_that_is_kept(status: int, known: bool, tmp_path: Path) -> None:
    tree = tiny_tree(tmp_path)
    real = make_toolchains(ExecutorName.LOCAL, tmp_path).llvm(None)
    assert isinstance(real.compiler, Llvm)
    clang = tmp_path / "clang"
    clang.write_text(f"#!/bin/sh\nexit {status}\n")
    clang.chmod(0o755)
    llvm = replace(real.compiler, clang=replace(real.compiler.clang, path=str(clang)))
    fake = replace(real, compiler=llvm)
    if known:
        assert digest(tree, tmp_path, choice=fake) == ""
    else:
        with pytest.raises(StepError):
            digest(tree, tmp_path, choice=fake)
    assert len(list((tmp_path / "cache").glob("code-*.json"))) == known
