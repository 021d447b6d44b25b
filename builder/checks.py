"""What is checked of every artifact before it counts as built. Each function returns what is wrong, one line each."""

from __future__ import annotations

import re
from pathlib import Path

from builder.toolchain import Harmless
from kdriver.core.artifact import DriverKind, DriverVersion
from kdriver.core.errors import IntegrityError
from kdriver.inspect.btf import count_core_relocations, parse_btf
from kdriver.inspect.elf import GPL_COMPATIBLE, ModuleFacts, ObjectFacts, read_object
from kdriver.inspect.symvers import compare_symbols

_WARNING = re.compile(r"\b(warning|WARNING)\b:? ")
_PROGRAM = re.compile(r"^int (kd_f_\w+)\(", re.M)
PROGRAM_SECTIONS = ("raw_tp/", "raw_tracepoint/", "tp/", "tracepoint/", "tp_btf/", "kprobe/", "kretprobe/")
_MOST_LISTED = 5


def find_warnings(log: str, kind: DriverKind, harmless: tuple[Harmless, ...]) -> list[str]:
    """Lines of a build log that warn, but for those that the table of harmless ones names for this kind."""
    patterns = [one.pattern for one in harmless if kind in one.kinds]
    return [
        line.strip()
        for line in log.splitlines()
        if not line.startswith("$ ") and _WARNING.search(line) and not any(one.search(line.strip()) for one in patterns)
    ]


def check_symbols(module: ModuleFacts, exported: dict[str, int]) -> list[str]:
    """The symbols that a module needs against those of the kernel. exported: the kernel's Module.symvers."""
    mismatches = compare_symbols(module, exported)
    problems = [str(one) for one in mismatches[:_MOST_LISTED]]
    if len(mismatches) > _MOST_LISTED:
        problems.append(f"and {len(mismatches) - _MOST_LISTED} more symbols")
    return problems


def check_module(
    module: ModuleFacts, *, release: str, modversions: bool, driver: DriverVersion, name: str
) -> list[str]:
    """A module of kdriver's: what it says of itself, and whether the kernel that it was built for can load it."""
    problems = check_fit(module, release=release, modversions=modversions, name=name)
    if module.value("license") not in GPL_COMPATIBLE:
        problems.append(f"the license {module.value('license')!r} is not compatible with the kernel's")
    expected = {
        "version": driver.version,
        "kd_api": driver.api,
        "kd_schema": driver.schema,
        "api_version": driver.compat_api,
        "schema_version": driver.compat_schema,
    }
    for key, value in expected.items():
        if module.value(key) != value:
            problems.append(f"modinfo {key} is {module.value(key) or 'missing'}, {value} was expected")
    return problems


def check_fit(module: ModuleFacts, *, release: str, modversions: bool, name: str) -> list[str]:
    """Whether a module, whoever wrote it, is one that the kernel can load, but for its symbols (check_symbols)."""
    problems = []
    if module.release != release:
        problems.append(f"vermagic is of {module.release or 'no kernel'}, {release} was asked for")
    if modversions and not module.versions:
        problems.append("the kernel wants symbol CRCs, the module has none")
    if not module.value("license"):
        problems.append("modinfo names no license")
    if module.value("name").replace("-", "_") not in ("", name):
        problems.append(f"the module is called {module.value('name')}, {name} was asked for")
    return problems


def rendered_programs(header: str) -> tuple[str, ...]:
    """The programs that the text of a rendered kd_programs.h defines, in its order."""
    return tuple(_PROGRAM.findall(header))


def check_bpf(path: Path, release: str, programs: tuple[str, ...] = ()) -> list[str]:
    """A per-kernel eBPF object: programs, licence, types, and the release that its loader compares with the host's.
    programs: those that must be in it."""
    found = read_object(path)
    problems = _check_object(found, programs)
    if found.text("kd_release") != release:
        problems.append(f"section kd_release says {found.text('kd_release') or 'nothing'}, {release} was asked for")
    return problems


def check_core(path: Path, programs: tuple[str, ...] = ()) -> list[str]:
    """A CO-RE object: programs, licence, types, and relocations that move its accesses on the running kernel."""
    found = read_object(path)
    problems = _check_object(found, programs)
    try:
        if not count_core_relocations(found.sections.get(".BTF.ext", b"")):
            problems.append("section .BTF.ext holds no CO-RE relocations: accesses would not fit any other kernel")
    except IntegrityError as error:
        problems.append(error.message)
    return problems


def check_programs(path: Path) -> list[str]:
    """An eBPF object of whoever wrote it: it holds programs, a licence and types."""
    found = read_object(path)
    problems = []
    if found.machine != "EM_BPF":
        problems.append(f"the object is for {found.machine}, not for eBPF")
    if not [name for name in found.programs if name != ".text"]:
        problems.append("the object holds no programs")
    if not found.text("license"):
        problems.append("the object has no section license")
    if ".BTF" not in found.sections:
        problems.append("the object has no section .BTF; compile it with -g")
    return problems


def _check_object(found: ObjectFacts, expected: tuple[str, ...]) -> list[str]:
    problems = []
    if found.machine != "EM_BPF":
        problems.append(f"the object is for {found.machine}, not for eBPF")
    programs = [name for name in found.programs if name != ".text"]
    if not programs:
        problems.append("the object holds no programs")
    problems += [
        f"section {name} is of no kind of program that kdriver loads"
        for name in programs
        if not name.startswith(PROGRAM_SECTIONS)
    ]
    missing = [name for name in expected if name not in found.functions]
    if missing:
        problems.append(f"{len(missing)} programs are missing, {missing[0]} first")
    if found.text("license") not in GPL_COMPATIBLE:
        problems.append(f"section license says {found.text('license') or 'nothing'}, GPL was expected")
    try:
        if not parse_btf(found.sections.get(".BTF", b"")).types:
            problems.append("section .BTF holds no types")
    except IntegrityError as error:
        problems.append(error.message)
    return problems
