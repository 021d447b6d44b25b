"""What an artifact must be before it counts as built."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from builder.checks import check_bpf, check_core, check_module, check_symbols, find_warnings, rendered_programs
from builder.toolchain import load_table
from kdriver.core.artifact import DriverKind, DriverVersion
from kdriver.inspect.elf import ModuleFacts

DRIVER = DriverVersion("9.8.7", "1.2.3", "4.5.6", "10.1.0", "4.5.1")
EXPORTED = {"module_layout": 1, "kmalloc": 2}
GOOD = ModuleFacts(
    modinfo=(
        ("license", "Dual MIT/GPL"),
        ("version", "9.8.7"),
        ("kd_api", "1.2.3"),
        ("kd_schema", "4.5.6"),
        ("api_version", "10.1.0"),
        ("schema_version", "4.5.1"),
        ("name", "kdriver"),
        ("vermagic", "1.2.3-tiny SMP mod_unload modversions "),
    ),
    versions={"module_layout": 1, "kmalloc": 2},
    undefined=("kmalloc",),
    sections=(),
)


def with_value(key: str, value: str) -> ModuleFacts:
    return replace(GOOD, modinfo=tuple((name, value if name == key else old) for name, old in GOOD.modinfo))


def check(module: ModuleFacts, exported: dict[str, int] | None = None) -> list[str]:
    of_itself = check_module(module, release="1.2.3-tiny", modversions=True, driver=DRIVER, name="kdriver")
    return of_itself + check_symbols(module, EXPORTED if exported is None else exported)


def test_right_module_has_no_problem() -> None:
    assert check(GOOD) == []


@pytest.mark.parametrize(
    ("module", "says"),
    [
        pytest.param(
            with_value("vermagic", "1.2.4-tiny SMP "),
            "vermagic is of 1.2.4-tiny, 1.2.3-tiny was asked for",
            id="release",
        ),
        pytest.param(with_value("license", "Proprietary"), "the license 'Proprietary' is not compatible", id="license"),
        pytest.param(with_value("version", "9.8.6"), "modinfo version is 9.8.6, 9.8.7 was expected", id="version"),
        pytest.param(with_value("kd_schema", ""), "modinfo kd_schema is missing, 4.5.6 was expected", id="schema"),
        pytest.param(
            with_value("api_version", "9.0.0"), "modinfo api_version is 9.0.0, 10.1.0 was expected", id="libscap"
        ),
        pytest.param(with_value("name", "other"), "the module is called other, kdriver was asked for", id="name"),
        pytest.param(
            replace(GOOD, versions={}, undefined=()), "the kernel wants symbol CRCs, the module has none", id="no crcs"
        ),
    ],
)
def test_wrong_module_is_told_what_is_wrong(module: ModuleFacts, says: str) -> None:
    (problem,) = check(module)
    assert says in problem


def test_doctored_symvers_is_caught() -> None:
    assert check(GOOD, {**EXPORTED, "kmalloc": 3}) == [
        "kmalloc has CRC 0x00000002 in the module and 0x00000003 in the kernel"
    ]
    assert check(GOOD, {"module_layout": 1}) == ["kmalloc is not exported"]


def test_many_wrong_symbols_are_counted_not_listed() -> None:
    many = replace(GOOD, undefined=(), versions={f"symbol_{number:02}": 1 for number in range(20)})
    problems = check(many)
    assert problems[0] == "symbol_00 is not exported"
    assert problems[-1] == "and 15 more symbols"


@pytest.mark.parametrize(
    "line",
    [
        "kmod/kd_main.c:12:3: warning: unused variable 'x' [-Wunused-variable]",
        "WARNING: modpost: kdriver: section mismatch in reference",
        "kdriver.o: warning: objtool: kd_exit()+0x10: unreachable instruction",
    ],
)
def test_warnings_of_every_tool_count(line: str) -> None:
    log = f"$ make W=1 warning: \n  CC [M]  a.o\n{line}\n"
    assert find_warnings(log, DriverKind.KMOD, load_table().harmless) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "warning: the compiler differs from the one used to build the kernel",
        "make[2]: warning:  Clock skew detected.  Your build may be incomplete.",
        "include/linux/init.h:306:7: warning: 'cleanup_module' specifies less restrictive attribute than its target "
        "'kd_unload': 'cold' [-Wmissing-attributes]",
        "include/linux/log2.h:22:1: warning: ignoring attribute ‘noreturn’ because it conflicts with attribute ‘const’ "
        "[-Wattributes]",
    ],
)
def test_only_what_the_table_names_for_the_kind_is_harmless(line: str) -> None:
    assert find_warnings(line, DriverKind.KMOD, load_table().harmless) == []
    assert find_warnings(line, DriverKind.BPF, load_table().harmless) == [line]


HEAD = '#define SEC(name) __attribute__((section(name), used))\nchar licence[] SEC("license") = "GPL";\n'
RELEASE = 'char release_text[] SEC("kd_release") = "1.2.3-tiny";\n'
PROGRAM = 'SEC("raw_tp/sys_exit") int on_exit(void *context) { return 0; }\n'
CORE = (
    "struct task_struct { int pid; } __attribute__((preserve_access_index));\n"
    'SEC("raw_tp/sys_exit") int on_exit(struct task_struct *task) { return task->pid; }\n'
)


def compiled(folder: Path, text: str, *flags: str) -> Path:
    (folder / "a.c").write_text(text)
    argv = ["clang-16", "-target", "bpf", "-O2", *flags, "-c", "a.c", "-o", "a.o"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return folder / "a.o"


def test_right_objects_have_no_problem(tmp_path: Path) -> None:
    assert check_bpf(compiled(tmp_path, HEAD + RELEASE + PROGRAM, "-g"), "1.2.3-tiny") == []
    assert check_core(compiled(tmp_path, HEAD + CORE, "-g")) == []


def test_program_of_the_catalogue_that_is_missing_is_named(tmp_path: Path) -> None:
    rendered = 'SEC("raw_tp/kd_fill")\nint kd_f_open_0(void *ctx)\n{\n}\n\nint kd_f_read_0(void *ctx)\n{\n}\n'
    programs = rendered_programs(rendered)
    assert programs == ("kd_f_open_0", "kd_f_read_0")
    path = compiled(tmp_path, HEAD + CORE.replace("on_exit", "kd_f_open_0"), "-g")
    assert check_core(path, programs) == ["1 programs are missing, kd_f_read_0 first"]


@pytest.mark.parametrize(
    ("text", "flags", "says"),
    [
        pytest.param(HEAD + RELEASE, ["-g"], "the object holds no programs", id="no programs"),
        pytest.param(RELEASE + PROGRAM, ["-g"], "section license says nothing", id="no license"),
        pytest.param(
            HEAD + PROGRAM, ["-g"], "section kd_release says nothing, 1.2.3-tiny was asked for", id="no release"
        ),
        pytest.param(HEAD + RELEASE + PROGRAM, [], "BTF: the type table is damaged", id="no types"),
        pytest.param(
            HEAD + RELEASE + PROGRAM.replace("raw_tp/sys_exit", "socket"),
            ["-g"],
            "section socket is of no kind",
            id="kind",
        ),
    ],
)
def test_wrong_object_is_told_what_is_wrong(text: str, flags: list[str], says: str, tmp_path: Path) -> None:
    prefix = "#define SEC(name) __attribute__((section(name), used))\n" if not text.startswith("#define") else ""
    problems = check_bpf(compiled(tmp_path, prefix + text, *flags), "1.2.3-tiny")
    assert len(problems) == 1
    assert says in problems[0]


def test_empty_object_of_a_hidden_failure_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "empty.o"
    argv = ["llc-16", "-march=bpf", "-filetype=obj", "-o", str(out), "-"]
    subprocess.run(argv, input=b"", check=True)
    problems = check_bpf(out, "1.2.3-tiny")
    assert "the object holds no programs" in problems


def test_core_object_without_relocations_is_refused(tmp_path: Path) -> None:
    (problem,) = check_core(compiled(tmp_path, HEAD + PROGRAM, "-g"))
    assert problem == "section .BTF.ext holds no CO-RE relocations: accesses would not fit any other kernel"


def test_object_of_another_machine_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int x(void) { return 0; }\n")
    subprocess.run(["gcc", "-c", "a.c"], cwd=tmp_path, check=True)
    assert "the object is for EM_X86_64, not for eBPF" in check_core(tmp_path / "a.o")
