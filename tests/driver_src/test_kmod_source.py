"""Rules of the kernel module's source that no compiler on this machine checks: it must build on kernels since 3.10."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER_SRC = ROOT / "driver_src"
KMOD = DRIVER_SRC / "kmod"
PROBES = sorted((KMOD / "probes").glob("*.c"))
COMPAT = sorted((KMOD / "compat").glob("*.h"))
CALL_SITES = sorted([*KMOD.glob("*.c"), *KMOD.glob("*.h")])
SHARED = sorted((DRIVER_SRC / "common").glob("*.h"))
UNISTD = Path("/usr/include/x86_64-linux-gnu/asm")

PROBE_MACRO = re.compile(r"\bKD_[A-Z0-9_]*[A-Z0-9]__[A-Z0-9_]+\b")
RELEASE = re.compile(r"\b(since|until|before|from|up to) \d+\.\d+|\b\d+\.\d+ to \d+\.\d+")
TYPE_WORD = (
    r"(?:const |static |volatile |unsigned |signed )*"
    r"(?:struct \w+|enum \w+|void|char|short|int|long|bool|size_t|[us](?:8|16|32|64)|unsigned)\b"
)
DECLARATION = re.compile(rf"^\t+{TYPE_WORD}(?: (?:long|int|__user))*[ *]+\w+(?:\[[^\]]*\])*(?: =|;|,)")


def _code(path: Path) -> str:
    """The file without comments and strings; lines keep their numbers."""
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', path.read_text())
    return re.sub(r"/\*.*?\*/", lambda found: re.sub(r"[^\n]", " ", found.group()), text, flags=re.DOTALL)


def late_declarations(code: str) -> list[int]:
    """Numbers of the lines that declare a variable after a statement of the same block, in code of kernel style."""
    late: list[int] = []
    statement_seen: dict[int, bool] = {}
    in_function = False
    for number, line in enumerate(code.split("\n"), 1):
        depth = len(line) - len(line.lstrip("\t"))
        text = line.strip()
        if line in ("{", "}"):
            in_function = line == "{"
        if re.match(r"#\s*(else|elif)\b", text) or not in_function:
            statement_seen.clear()
        if not text or text.startswith("#") or line.endswith("\\") or not in_function:
            continue
        for deeper in [level for level in statement_seen if level > depth]:
            del statement_seen[deeper]
        if DECLARATION.match(line):
            if statement_seen.get(depth):
                late.append(number)
        elif depth and not text.startswith(("}", ".", "[", "struct {", "union {")):
            statement_seen[depth] = True
    return late


def test_a_late_declaration_is_found() -> None:
    body = [
        "\tint a = 1;",
        "",
        "\tuse(a);",
        "\tstruct x *b = g();",
        "\tif (b) {",
        "\t\tu32 c;",
        "",
        "\t\tuse(c);",
        "\t}",
    ]
    assert late_declarations("\n".join(["int f(void)", "{", *body, "}", ""])) == [6]


@pytest.mark.parametrize("path", [*CALL_SITES, *COMPAT, *SHARED], ids=lambda path: path.name)
def test_source_is_gnu89(path: Path) -> None:
    code = _code(path)
    lines = code.split("\n")
    assert not late_declarations(code)
    assert not [line for line in lines if re.search(r"\bfor \((?:const |struct |unsigned |int|u32|u64|size_t)", line)]
    assert not [line for line in lines[1:] if "//" in line]


@pytest.mark.parametrize("path", [*CALL_SITES, *COMPAT, *PROBES], ids=lambda path: path.name)
def test_file_says_what_it_is(path: Path) -> None:
    first, second = path.read_text().split("\n")[:2]
    assert "SPDX-License-Identifier: GPL-2.0-only OR MIT" in first
    assert second.startswith("/*")


@pytest.mark.parametrize("path", CALL_SITES, ids=lambda path: path.name)
def test_call_sites_ask_no_version_and_no_probe(path: Path) -> None:
    code = _code(path)
    assert "LINUX_VERSION_CODE" not in code
    assert "RHEL_RELEASE_CODE" not in code
    conditions = "\n".join(line for line in code.split("\n") if re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b", line))
    assert not PROBE_MACRO.findall(conditions)


@pytest.mark.parametrize("path", [path for path in PROBES if path.stem != "sanity"], ids=lambda path: path.stem)
def test_probe_names_its_group_variant_and_release(path: Path) -> None:
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*__[a-z0-9]+(_[a-z0-9]+)*", path.stem)
    comment = path.read_text().split("\n#include")[0]
    assert RELEASE.search(comment), f"{path.name} names no release"


def test_there_is_a_sanity_probe() -> None:
    assert (KMOD / "probes" / "sanity.c").is_file()


def _macros_of(paths: list[Path]) -> set[str]:
    return {macro for path in paths for macro in PROBE_MACRO.findall(_code(path))}


def _probe_macros() -> set[str]:
    return {f"KD_{path.stem.upper()}" for path in PROBES if path.stem != "sanity"}


def test_every_probe_that_code_asks_for_exists() -> None:
    users = [*COMPAT, *SHARED, *sorted((DRIVER_SRC / "bpf").glob("*.[ch]"))]
    assert not _macros_of(users) - _probe_macros()


def test_every_group_of_probes_is_asked_for() -> None:
    asked = {macro.partition("__")[0] for macro in _macros_of([*COMPAT, *SHARED, *(DRIVER_SRC / "bpf").glob("*.[ch]")])}
    groups = {macro.partition("__")[0] for macro in _probe_macros()}
    assert not groups - asked


def test_compat_headers_know_every_variant_of_their_groups() -> None:
    text = "\n".join(_code(path) for path in COMPAT)
    groups: dict[str, list[str]] = {}
    for macro in _probe_macros():
        groups.setdefault(macro.partition("__")[0], []).append(macro)
    ours = {name: members for name, members in groups.items() if f"{name}__" in text and len(members) > 1}
    assert ours
    assert not [macro for members in ours.values() for macro in members if macro not in text]


def test_kbuild_compiles_every_file() -> None:
    objects = set(re.findall(r"\bkd_\w+\.o\b", (KMOD / "Kbuild").read_text()))
    assert objects == {f"{path.stem}.o" for path in KMOD.glob("*.c")}


def _rows(macro: str) -> list[list[str]]:
    text = (DRIVER_SRC / "common" / "kd_native_calls.h").read_text()
    body = text.split(f"#define {macro}(X)")[1].split("\n\n")[0]
    return [[cell.strip().strip('"') for cell in row.split(",")] for row in re.findall(r"X\(([^)]*)\)", body)]


def _kernel_numbers(name: str) -> dict[str, int]:
    path = UNISTD / name
    if not path.is_file():
        pytest.skip(f"{path} is not installed (package linux-libc-dev)")
    return {call: int(number) for call, number in re.findall(r"#define __NR_(\w+) (\d+)", path.read_text())}


def test_native_numbers_are_the_kernels() -> None:
    kernel = _kernel_numbers("unistd_64.h")
    ours = {row[4]: int(row[0]) for row in _rows("KD_NATIVE_CALLS")}
    assert len(ours) > 350
    assert {name: number for name, number in ours.items() if kernel.get(name, number) != number} == {}


def test_compat_numbers_are_the_kernels() -> None:
    native = {int(row[0]): row[4] for row in _rows("KD_NATIVE_CALLS")}
    kernel = _kernel_numbers("unistd_32.h")
    rows = _rows("KD_COMPAT_CALLS")
    assert len(rows) > 350
    assert [row for row in rows if kernel.get(row[2], int(row[0])) != int(row[0])] == []
    assert [row for row in rows if int(row[1]) not in native] == []


def test_compat_calls_agree_with_the_catalogue() -> None:
    calls = tomllib.loads((DRIVER_SRC / "catalogue" / "calls.toml").read_text())
    ours = {row[2]: (int(row[0]), int(row[1])) for row in _rows("KD_COMPAT_CALLS")}
    both = {name: row for name, row in calls.items() if {"i386", "x86_64"} <= row.keys()}
    assert len(both) > 30
    assert {name: row for name, row in both.items() if ours[name] != (row["i386"], row["x86_64"])} == {}


LAYOUT = """
#include <linux/ioctl.h>
#include <linux/types.h>
#include <stddef.h>
#include "kd_ioctl.h"

#define CHECK(name, condition) typedef char name[(condition) ? 1 : -1]

CHECK(info_size, sizeof(struct kd_ring_info) == 128);
CHECK(tail, offsetof(struct kd_ring_info, tail) == 4);
CHECK(n_evts, offsetof(struct kd_ring_info, n_evts) == 8);
CHECK(n_drops_buffer, offsetof(struct kd_ring_info, n_drops_buffer) == 16);
CHECK(n_drops_pf, offsetof(struct kd_ring_info, n_drops_pf) == 104);
CHECK(n_preemptions, offsetof(struct kd_ring_info, n_preemptions) == 112);
CHECK(n_context_switches, offsetof(struct kd_ring_info, n_context_switches) == 120);
CHECK(header_size, sizeof(struct kd_block_header) == 26);
CHECK(entry_size, sizeof(struct kd_proc_entry) == 24);
CHECK(snaplen, KD_SCAP_SET_SNAPLEN == 0x7304);
CHECK(enable_syscall, KD_SCAP_ENABLE_SYSCALL == 0x731d);
CHECK(disable_dropfailed, KD_SCAP_DISABLE_DROPFAILED == 0x7322);
"""
"""Offsets and numbers as libscap's engine has them (driver/ppm_ringbuffer.h and ppm_events_public.h of API 10)."""


@pytest.mark.parametrize("dialect", ["gnu89", "gnu17"])
def test_device_interface_is_libscaps(tmp_path: Path, dialect: str) -> None:
    source = tmp_path / "layout.c"
    source.write_text(LAYOUT)
    flags = [f"-std={dialect}", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{DRIVER_SRC / 'common'}"]
    done = subprocess.run(["gcc", *flags, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
