"""Checks of a driver that need no guest: what a kernel would refuse is found in milliseconds, and costs no boot.

Each fault has a class. What cannot be told without the kernel is no fault: a kernel whose file cannot be read, or that
has no type information, is asked in the guest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import IntegrityError
from kdriver.core.verdict import Fault
from kdriver.inspect.bpf_code import Code, reached, read_code
from kdriver.inspect.btf import BtfKind
from kdriver.inspect.core_relocations import Resolved, Resolver, read_relocations
from kdriver.inspect.elf import GPL_COMPATIBLE, SIGNATURE_MAGIC, ModuleFacts, ObjectFacts, read_module, read_object
from kdriver.inspect.module_layout import layout_faults, this_module_bytes
from kdriver.inspect.symvers import compare_symbols, read_symvers
from kdriver.inspect.type_table import TypeTable
from kdriver.verifier.kernel_facts import KernelFacts
from kdriver.verifier.plan import DriverUnderTest

Found = tuple[Fault, str]
"""A fault's class, and what is wrong in one line."""

_MOST_LISTED = 5
_MODVERSIONS = "modversions"
_INSTRUCTIONS = 1_000_000
_INSTRUCTIONS_BEFORE_5_2 = 4096
"""The most that one program may have for root. Source: BPF_MAXINSNS, and c04c0d2b968a (Linux 5.2), which el8 has."""


@dataclass(frozen=True, slots=True)
class KernelUnderTest:
    """The kernel that drivers are judged for. headers: its headers' folder (with Module.symvers and .config), None
    where they are not at hand. modules: some of its own. btf: of somebody's, for a kernel without its own."""

    release: str
    facts: KernelFacts
    headers: Path | None = None
    modules: tuple[Path, ...] = ()
    btf: Path | None = None


def static_faults(driver: DriverUnderTest, kernel: KernelUnderTest) -> tuple[Found, ...]:
    """All that is wrong with a driver for a kernel, before either runs; empty for one that may be tried."""
    try:
        if driver.kind is DriverKind.KMOD:
            return tuple(_module_faults(driver, kernel))
        return tuple(_object_faults(driver, kernel))
    except IntegrityError as error:
        return ((Fault.LAYOUT, error.message),)


def _module_faults(driver: DriverUnderTest, kernel: KernelUnderTest) -> Iterator[Found]:
    for text in layout_faults(driver.path):
        yield Fault.LAYOUT, text
    module = read_module(driver.path)
    if driver.check is None and module.value("license") not in GPL_COMPATIBLE:
        yield Fault.LICENSE, f"{module.value('license') or 'no license'} is not compatible with the kernel's"
    yield from ((Fault.VERMAGIC, text) for text in _vermagic(module, kernel))
    yield from ((Fault.SYMBOLS, text) for text in _symbols(module, kernel))
    yield from ((Fault.LAYOUT, text) for text in _struct_module(driver.path, kernel))
    if _has_option(kernel, "CONFIG_MODULE_SIG_FORCE") and not _is_signed(driver.path):
        yield Fault.SIGNATURE, "the kernel takes signed modules only (CONFIG_MODULE_SIG_FORCE), this one is not signed"


def _vermagic(module: ModuleFacts, kernel: KernelUnderTest) -> Iterator[str]:
    """As same_magic of kernel/module: the release does not count where both have CRCs."""
    wanted = kernel.facts.vermagic or next((read_module(one).vermagic for one in kernel.modules), "")
    if not wanted:
        if module.release != kernel.release and not module.versions:
            yield f"the module is for {module.release or 'no kernel'}, the kernel is {kernel.release}"
        return
    ours, theirs = module.vermagic.split(), wanted.split()
    if _MODVERSIONS in ours and _MODVERSIONS in theirs:
        ours, theirs = ours[1:], theirs[1:]
    if ours != theirs:
        yield f"`{module.vermagic or 'none'}` in the module, `{wanted}` in the kernel"


def _symbols(module: ModuleFacts, kernel: KernelUnderTest) -> Iterator[str]:
    """Against the kernel's own table, its headers' and its modules'."""
    symvers = kernel.headers / "Module.symvers" if kernel.headers is not None else None
    exports = kernel.facts.exports
    if kernel.facts.has_crcs and not module.versions:
        yield "the kernel wants symbol CRCs, the module has none"
    elif exports:
        # What the kernel does not export another module may, which the headers' Module.symvers knows.
        wrong = [one for one in compare_symbols(module, exports) if one.exported is not None]
        yield from _few([f"{one} (of the kernel's file)" for one in wrong] if kernel.facts.has_crcs else [])
    if symvers is not None and symvers.is_file():
        found = compare_symbols(module, read_symvers(symvers))
        yield from _few([f"{one} (of the headers' Module.symvers)" for one in found])
    elif exports and not module.value("depends"):
        missing = [name for name in module.undefined if name not in exports]
        yield from _few([f"{name} is not exported by the kernel's file" for name in missing])
    yield from _few(_against_modules(module, kernel.modules))


def _against_modules(module: ModuleFacts, others: Sequence[Path]) -> list[str]:
    known: dict[str, int] = {}
    for other in others:
        known |= read_module(other).versions
    return [
        f"{name} has CRC {crc:#010x} in the module and {known[name]:#010x} in the kernel's own modules"
        for name, crc in sorted(module.versions.items())
        if name in known and known[name] != crc
    ]


def _struct_module(path: Path, kernel: KernelUnderTest) -> Iterator[str]:
    """The kernel's loader compares the size, whatever vermagic says."""
    types = _kernel_types(kernel)
    theirs = next((one.size for one in types.named("module", BtfKind.STRUCT)), 0) if types is not None else 0
    ours = this_module_bytes(path)
    if theirs and ours != theirs:
        yield f"struct module has {ours} bytes in the module, {theirs} in the kernel"


def _object_faults(driver: DriverUnderTest, kernel: KernelUnderTest) -> Iterator[Found]:
    found = read_object(driver.path)
    if found.machine != "EM_BPF":
        yield Fault.LAYOUT, f"the object is for {found.machine}, not for eBPF"
        return
    if driver.check is None and found.text("license") not in GPL_COMPATIBLE:
        yield Fault.LICENSE, f"{found.text('license') or 'no license'} is not compatible with the kernel's"
    built_for = found.text("kd_release")
    if driver.kind is DriverKind.BPF and built_for and built_for != kernel.release:
        yield Fault.VERMAGIC, f"the object is for {built_for}, the kernel is {kernel.release}"
    code = read_code(driver.path)
    yield from ((Fault.SIZE, text) for text in _sizes(code, kernel.release))
    if driver.kind is DriverKind.CORE:
        yield from ((Fault.TYPES, text) for text in _types(found, code, kernel))


def _sizes(code: Code, release: str) -> Iterator[str]:
    programs = [one for one in code.functions if one.is_program]
    if not programs:
        yield "the object holds no programs"
    limit = instruction_limit(release)
    for one in programs:
        count = code.instructions(one)
        if count > limit:
            yield f"program {one.name} has {count:,} instructions, kernel {release} takes {limit:,}"


def instruction_limit(release: str) -> int:
    """How many instructions a kernel takes in one program."""
    found = re.match(r"(\d+)\.(\d+)", release)
    if found is None or (int(found[1]), int(found[2])) >= (5, 2) or ".el8" in release:
        return _INSTRUCTIONS
    return _INSTRUCTIONS_BEFORE_5_2


def _types(found: ObjectFacts, code: Code, kernel: KernelUnderTest) -> Iterator[str]:
    """What the object needs of the kernel's types and does not find, on a way that a program can take."""
    types = _kernel_types(kernel)
    if types is None:
        return
    local = TypeTable(found.sections.get(".BTF", b""))
    resolver = Resolver(local, types)
    by_section: dict[str, list[Resolved]] = {}
    for relocation in read_relocations(found.sections.get(".BTF.ext", b""), local):
        by_section.setdefault(relocation.section, []).append(resolver.resolve(relocation))
    missing: dict[str, str] = {}
    for section, resolved in by_section.items():
        answers = {one.relocation.offset: int(bool(one.found)) for one in resolved if one.asks}
        absent = {one.relocation.offset: one.subject for one in resolved if one.found is False and not one.asks}
        for function in (one for one in code.functions if one.section == section and absent):
            inside = [offset for offset in absent if function.start <= offset < function.start + function.size]
            if inside:
                content = code.sections[section]
                for offset in sorted(reached(content, function.start, function.size, answers, inside)):
                    missing.setdefault(absent[offset], function.name)
    yield from _few([f"the kernel has no {subject}, which {name} reads" for subject, name in sorted(missing.items())])


def _kernel_types(kernel: KernelUnderTest) -> TypeTable | None:
    btf = kernel.btf or kernel.facts.btf
    return TypeTable(btf.read_bytes()) if btf is not None else None


def _has_option(kernel: KernelUnderTest, option: str) -> bool:
    config = kernel.headers / ".config" if kernel.headers is not None else None
    return config is not None and config.is_file() and f"{option}=y" in config.read_text(errors="replace").splitlines()


def _is_signed(path: Path) -> bool:
    return path.read_bytes().endswith(SIGNATURE_MAGIC)


def _few(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_MOST_LISTED]
    if len(lines) > _MOST_LISTED:
        yield f"and {len(lines) - _MOST_LISTED} more"
