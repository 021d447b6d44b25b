"""Rules that let the shared captures compile in all three drivers, on kernels that this machine has no headers of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DRIVER_SRC = Path(__file__).resolve().parents[2] / "driver_src"
COMMON = DRIVER_SRC / "common"
CAPTURES = (
    "kd_capture.h", "kd_flags.h", "kd_memory.h", "kd_file.h", "kd_path.h", "kd_task.h", "kd_exec.h", "kd_net.h",
    "kd_sockopt.h", "kd_call_flags.h", "kd_structs.h", "kd_quota.h", "kd_keys.h", "kd_traps.h",
    "kd_snaplen.h", "kd_transfer.h",
)  # fmt: skip
PROVIDERS = {
    "kmod": ("kmod/kd_prims.h", "kmod/compat/kd_barrier.h", "common/kd_kernel.h"),
    "bpf": ("common/kd_bpf.h", "common/kd_kernel.h", "bpf/kd_probe.c"),
    "core": ("common/kd_bpf.h", "core/kd_flavors.h", "core/kd_core.c"),
}
CALL = re.compile(r"\b(kd_\w+)\s*\(")
DEFINITION = re.compile(r"^static [\w ]+?[ *](kd_\w+)\(", re.MULTILINE)
MACRO_FUNCTION = re.compile(r"^#define (kd_\w+)\(", re.MULTILINE)
GENERATED_FUNCTION = re.compile(r"^KD_(?:PUT|PUSH|CGROUP)\((\w+)", re.MULTILINE)
NEWER_THAN_3_10 = {
    "linux/sched/signal.h": "4.11",
    "linux/sched/task.h": "4.11",
    "linux/sched/mm.h": "4.11",
    "linux/sched/cputime.h": "4.11",
    "linux/kernfs.h": "3.14",
    "linux/sched/coredump.h": "4.11",
    "linux/psi_types.h": "4.20",
    "linux/tracepoint-defs.h": "4.3",
}
"""Headers and the release that brought each."""


def _code(path: Path) -> str:
    """The file without comments and strings."""
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', path.read_text())
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)


def defined_functions(code: str) -> set[str]:
    """Functions, and macros that stand for functions, which a header defines."""
    found = set(DEFINITION.findall(code)) | set(MACRO_FUNCTION.findall(code))
    for name in GENERATED_FUNCTION.findall(code):
        found |= {f"kd_put_u{name}", f"kd_push_u{name}"} if name.isdigit() else {name}
    return found


def _capture_code() -> str:
    return "\n".join(_code(COMMON / name) for name in CAPTURES)


def _needed() -> set[str]:
    code = _capture_code()
    return {name for name in CALL.findall(code) if not name.endswith("_")} - defined_functions(code)


def test_a_function_that_is_only_called_is_no_definition() -> None:
    code = "static KD_INLINE u32 kd_a(void)\n{\n\treturn kd_b(1);\n}\n#define kd_c() 1\nKD_PUT(8)\n"
    assert defined_functions(code) == {"kd_a", "kd_c", "kd_put_u8", "kd_push_u8"}


def test_the_captures_are_all_of_the_shared_headers() -> None:
    included = re.findall(r'#include "(kd_\w+\.h)"', (COMMON / "kd_capture.h").read_text())
    assert sorted(["kd_capture.h", *included]) == sorted(CAPTURES)


@pytest.mark.parametrize("kind", sorted(PROVIDERS))
def test_every_primitive_and_accessor_of_the_captures_is_in_each_driver(kind: str) -> None:
    provided = {name for file in PROVIDERS[kind] for name in defined_functions(_code(DRIVER_SRC / file))}
    assert len(_needed()) > 30
    assert not _needed() - provided


def test_captures_use_no_kernel_interface_of_their_own() -> None:
    """What differs by kernel is behind an accessor, so neither a probe nor a version is asked here."""
    conditions = re.findall(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b(.*)$", _capture_code(), re.MULTILINE)
    assert [one.strip() for one in conditions if not re.fullmatch(r"\s*KD_\w+_H\s*", one)] == []


@pytest.mark.parametrize("file", ["kmod/kd_record.c", "kmod/kd_module.h", "kmod/kd_prims.h", "bpf/kd_probe.c"])
def test_headers_that_old_kernels_lack_are_included_on_a_condition(file: str) -> None:
    depth = 0
    unconditional = []
    for line in (DRIVER_SRC / file).read_text().split("\n"):
        if re.match(r"#\s*if", line):
            depth += "_H" not in line
        elif re.match(r"#\s*endif", line):
            depth -= depth > 0
        found = re.match(r"#\s*include <([^>]+)>", line)
        if found and found[1] in NEWER_THAN_3_10 and not depth:
            unconditional.append(found[1])
    assert unconditional == []


def test_what_is_published_is_not_smaller_than_an_int() -> None:
    """smp_store_release refuses char and short on kernels before 4.0, 3.10.0-514.el7 among them."""
    kmod = DRIVER_SRC / "kmod"
    code = "\n".join(_code(path) for path in sorted(kmod.glob("*.c")))
    fields = set(re.findall(r"kd_(?:store_release|load_acquire)\(&?[^,;]*?(\w+)[,)]", code)) - {"p"}
    small = re.findall(r"^\t(?:u8|u16|s8|s16|bool|char|short) (\w+);", _code(kmod / "kd_module.h"), re.MULTILINE)
    assert {"open", "dropping", "head"} <= fields
    assert not fields & set(small)
