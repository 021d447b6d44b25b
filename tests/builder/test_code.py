"""eBPF code that serves another kernel: what counts as the same, and what does not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from builder import one
from builder.choice import ExecutorName, make_toolchains
from builder.code import code_digest, has_own_types_only, normal_form, stands_apart
from builder.failure import StepError
from builder.kinds.bpf import with_release
from builder.toolchain import Llvm
from kdriver.inspect.elf import read_object

CLANG, LLC = (shutil.which(name) or "" for name in ("clang-16", "llc-16"))
CODE = """\
; ModuleID = '/tmp/a.bc'
source_filename = "bpf/kd.c"
target triple = "x86_64-pc-linux-gnu"

%struct.task = type { i32, %union.anon.7, %struct.anon.9 }
%union.anon.7 = type { ptr }
%struct.anon.9 = type { i64 }

define i32 @f(ptr %0) {
  %1 = call i32 asm sideeffect "nop", "=r"() #2, !srcloc !3
  %2 = getelementptr inbounds %struct.task, ptr %0, i32 0, i32 1
  ret i32 7, !range !4
}

!llvm.ident = !{!0}
!0 = !{!"Debian clang version 16.0.6"}
!3 = !{i64 1234}
!4 = !{i32 0, i32 9}
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        pytest.param("/tmp/a.bc", "/tmp/b.bc", True, id="the file's name"),
        pytest.param("!3 = !{i64 1234}", "!3 = !{i64 99}", True, id="where assembly stands in the headers"),
        pytest.param(".anon.7", ".anon.8", True, id="the number of a structure without a name"),
        pytest.param("%union.anon.7 = type { ptr }", "%union.anon.7 = type { i64 }", False, id="what is in it"),
        pytest.param("%struct.task = type { i32,", "%struct.task = type { i64,", False, id="a layout"),
        pytest.param("ret i32 7", "ret i32 8", False, id="a constant of a macro"),
        pytest.param('"nop"', '"ret"', False, id="assembly of an inline function"),
        pytest.param("!4 = !{i32 0, i32 9}", "!4 = !{i32 0, i32 8}", False, id="what the optimiser is told"),
        pytest.param("!range !4", "!range !3", False, id="a place that is something else as well"),
        pytest.param("%struct.anon.9 }", "%union.anon.7 }", False, id="which structure without a name"),
    ],
)
def test_code_is_the_same_when_nothing_that_runs_differs(old: str, new: str, same: bool) -> None:
    assert old in CODE
    assert (normal_form(CODE) == normal_form(CODE.replace(old, new))) is same


def test_number_that_is_a_place_and_more_is_compared() -> None:
    both = CODE.replace("!range !4", "!range !3")
    assert normal_form(both) != normal_form(both.replace("!3 = !{i64 1234}", "!3 = !{i64 99}"))


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        pytest.param('@a = constant [3 x i8] c"RR\\00"\n@llvm.used = appending global [1 x ptr] [ptr @a]\n', True,
                     id="a variable"),
        pytest.param('@a = constant [3 x i8] c"XX\\00"\n', True, id="not there at all"),
        pytest.param('@a = constant [3 x i8] c"RR\\00"\n  %1 = load i8, ptr @a\n', False, id="code reads it"),
        pytest.param('@a = constant [3 x i8] c"RR\\00"\n  %1 = load i8, ptr @ab\n', True, id="code reads another one"),
        pytest.param('@a = constant [3 x i8] c"RR\\00"\n@b = constant [3 x i8] c"RR\\00"\n', False, id="two variables"),
        pytest.param('@a = constant [5 x i8] c"RRRR\\00"\n', False, id="twice in one"),
        pytest.param('  call void asm "RR"\n', False, id="in code"),
    ],
)  # fmt: skip
def test_release_may_only_be_what_no_code_reads(text: str, apart: bool) -> None:
    assert stands_apart(text, "RR") is apart


def compiled(folder: Path, text: str) -> Path:
    (folder / "a.c").write_text(text)
    out = folder / "a.o"
    subprocess.run([CLANG, "-target", "bpf", "-O2", "-g", "-c", str(folder / "a.c"), "-o", str(out)], check=True)
    return out


RELEASE = 'char a[] __attribute__((section("kd_release"), used)) = "@@@@@@";\n'


def test_release_is_put_into_its_section_and_nowhere_else(tmp_path: Path) -> None:
    before = compiled(tmp_path, RELEASE).read_bytes()
    after = with_release(before, "@@@@@@", "1.2.3")
    assert len(after) == len(before)
    assert [number for number, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]] == list(
        range(before.index(b"@@@@@@"), before.index(b"@@@@@@") + 6)
    )
    (tmp_path / "b.o").write_bytes(after)
    assert read_object(tmp_path / "b.o").text("kd_release") == "1.2.3"
    assert with_release(after, "1.2.3", "@@@@@@") == before


def test_section_that_holds_more_than_the_release_is_refused(tmp_path: Path) -> None:
    content = compiled(tmp_path, RELEASE).read_bytes()
    for old, new in (("@@@@@", "1"), ("@@@@@@", "1.2.3-too-long"), ("other", "1.2")):
        with pytest.raises(StepError, match="section kd_release is not the text KD_RELEASE alone"):
            with_release(content, old, new)


def test_object_without_the_section_stays_as_it_is(tmp_path: Path) -> None:
    content = compiled(tmp_path, "int a = 1;\n").read_bytes()
    assert with_release(content, "@", "1.2.3") == content


@pytest.mark.parametrize(
    ("text", "own"),
    [
        pytest.param("struct kd_a { int b; } a;\n", True, id="ours"),
        pytest.param("struct task_struct { int b; } a;\n", False, id="the kernel's"),
        pytest.param("typedef struct { int b; } atomic_t;\natomic_t a;\n", False, id="behind another name"),
        pytest.param("typedef unsigned int u32;\nu32 a;\n", True, id="a number's name"),
    ],
)
def test_object_with_types_of_the_kernel_is_offered_to_nobody(text: str, own: bool, tmp_path: Path) -> None:
    assert has_own_types_only(compiled(tmp_path, text)) is own


def test_code_is_another_where_another_kdriver_would_make_another_object_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llvm = make_toolchains(ExecutorName.LOCAL, tmp_path).llvm(None).compiler
    assert isinstance(llvm, Llvm)
    words = one.made_with(llvm)
    assert {"-filetype=obj", "--discard-all", "-fno-jump-tables", llvm.clang.text} <= set(words)
    before = code_digest(CODE, *words)
    assert code_digest(CODE, *one.made_with(llvm)) == before
    monkeypatch.setattr(one, "LAYOUT", "next")
    assert code_digest(CODE, *one.made_with(llvm)) != before
