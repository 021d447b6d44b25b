"""The rules of compile probes: one variant of each group, sanity first."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.failure import Failure, StepError
from builder.probes import ProbeResult, alone_script, joint_argv, judge_probes, probe_argv, probe_kbuild, sanity_log
from kdriver.core.errors import ExitCode

STEMS = ("sanity", "access_ok__two_args", "access_ok__three_args", "folio__present")


def judge(*compiled: str) -> ProbeResult:
    return judge_probes(STEMS, frozenset(compiled))


def test_group_with_one_variant_and_absent_option_is_right() -> None:
    assert judge("sanity", "access_ok__two_args").variants == ("access_ok__two_args",)


def test_option_that_compiles_is_there() -> None:
    assert judge("sanity", "access_ok__two_args", "folio__present").variants == (
        "access_ok__two_args",
        "folio__present",
    )


@pytest.mark.parametrize(
    ("compiled", "says"),
    [
        pytest.param(
            ("sanity",), "access_ok: none of access_ok__three_args, access_ok__two_args compiles", id="no variant"
        ),
        pytest.param(
            ("sanity", "access_ok__two_args", "access_ok__three_args"),
            "access_ok: access_ok__three_args and access_ok__two_args compile",
            id="two variants",
        ),
    ],
)
def test_group_must_have_exactly_one_variant(compiled: tuple[str, ...], says: str) -> None:
    with pytest.raises(StepError) as caught:
        judge(*compiled)
    assert caught.value.failure is Failure.PROBE
    assert caught.value.message.startswith("compile probe: ")
    assert says in caught.value.message
    assert caught.value.hint == "Add the variant of this kernel to driver_src/kmod/probes, or tell the variants apart."
    assert caught.value.exit_code is ExitCode.BUILD


def test_all_broken_groups_are_named_at_once() -> None:
    with pytest.raises(StepError, match=r"a: none of a__1, a__2 compiles; b: none of b__1, b__2 compiles"):
        judge_probes(("sanity", "a__1", "a__2", "b__1", "b__2"), frozenset({"sanity"}))


def test_without_sanity_it_is_the_toolchain() -> None:
    with pytest.raises(StepError) as caught:
        judge("access_ok__two_args")
    assert caught.value.failure is Failure.TOOLCHAIN


def test_header_has_a_macro_for_each_variant() -> None:
    lines = ProbeResult(("access_ok__two_args", "folio__present")).header().splitlines()
    assert "#define KD_ACCESS_OK__TWO_ARGS 1" in lines
    assert "#define KD_FOLIO__PRESENT 1" in lines
    assert not [line for line in lines if "SANITY" in line]


def test_make_goes_on_after_the_rule_that_fails() -> None:
    argv = probe_argv(Path("/headers"), Path("/probes"), "/usr/bin/gcc-12")
    assert argv[:2] == ["make", "-k"]
    assert "M=/probes" in argv
    assert "CC=/usr/bin/gcc-12" in argv


def test_wrong_prototypes_are_errors_also_for_old_compilers() -> None:
    assert "-Werror=incompatible-pointer-types" in probe_kbuild(12)
    assert probe_kbuild(4).splitlines()[1] == "ccflags-y := -Werror"


def test_joint_file_is_compiled_by_the_command_of_a_module_file() -> None:
    assert joint_argv(Path("/p"))[:2] == ["sh", "/p/sanity.sh"]
    assert "-ftrack-macro-expansion=0" in joint_argv(Path("/p"))
    assert alone_script(Path("/p"), {"b__x", "a__x"}).startswith('for stem in a__x b__x; do sh "/p/sanity.sh" -c ')


def test_log_of_sanity_is_cut_out_of_the_whole() -> None:
    others = "  CC [M]  /p/other.o\n/p/other.c:1: error: x\n", "  CC [M]  /p/z.o\nz\n"
    log = "  CC [M]  /p/sanity.o\n/p/sanity.c:1: error: y\n".join(others)
    assert sanity_log(log) == "/p/sanity.c:1: error: y"
