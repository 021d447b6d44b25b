"""Each static check against a driver that has just that fault, and none against drivers that are whole."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.verdict import Fault
from kdriver.inspect.btf import BtfKind
from kdriver.inspect.type_table import TypeTable
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.kernel_facts import NO_FACTS, KernelFacts, read_facts, write_facts
from kdriver.verifier.plan import DriverUnderTest
from kdriver.verifier.static import KernelUnderTest, instruction_limit, static_faults
from tests.fakes.driver_files import kernel_types, module, program
from tests.fakes.kernel_images import vmlinux

RELEASE = "6.1.0-tiny"
MAGIC = f"{RELEASE} SMP mod_unload modversions"
EXPORTS = {"module_layout": 0x01020304, "printk": 0x33333333}


def _kernel(types: bytes = b"", folder: Path | None = None) -> KernelUnderTest:
    btf = None
    if types and folder is not None:
        btf = folder / "kernel.btf"
        btf.write_bytes(types)
    return KernelUnderTest(RELEASE, KernelFacts(EXPORTS, True, MAGIC, btf))


def _driver(folder: Path, kind: DriverKind, content: bytes) -> DriverUnderTest:
    path = folder / kind.file_name
    path.write_bytes(content)
    return DriverUnderTest(kind, "kdriver", path, "a" * 64)


def _module_faults(folder: Path, content: bytes, kernel: KernelUnderTest | None = None) -> list[tuple[Fault, str]]:
    return list(static_faults(_driver(folder, DriverKind.KMOD, content), kernel or _kernel()))


def test_whole_drivers_have_no_fault(tmp_path: Path) -> None:
    types = kernel_types("struct kernel_thing { int pid; int pid2; };")
    kernel = _kernel(types, tmp_path)
    assert _module_faults(tmp_path, module(RELEASE), kernel) == []
    assert static_faults(_driver(tmp_path, DriverKind.BPF, program(RELEASE)), kernel) == ()
    assert static_faults(_driver(tmp_path, DriverKind.CORE, program()), kernel) == ()


@pytest.mark.parametrize(
    ("content", "fault", "said"),
    [
        pytest.param(
            lambda: module("6.1.0-other", flags="SMP preempt mod_unload modversions"),
            Fault.VERMAGIC,
            "`6.1.0-other SMP preempt mod_unload modversions` in the module, `6.1.0-tiny SMP mod_unload modversions`",
            id="vermagic-flags",
        ),
        pytest.param(
            lambda: module(RELEASE, crcs="module_layout=0x09999999 printk=0x33333333"),
            Fault.SYMBOLS,
            "module_layout has CRC 0x09999999 in the module and 0x01020304 in the kernel (of the kernel's file)",
            id="another-crc",
        ),
        pytest.param(
            lambda: module(RELEASE, crcs=""),
            Fault.SYMBOLS,
            "the kernel wants symbol CRCs, the module has none",
            id="no-crcs",
        ),
        pytest.param(
            lambda: module(RELEASE, license="Proprietary"),
            Fault.LICENSE,
            "Proprietary is not compatible with the kernel's",
            id="license",
        ),
        pytest.param(
            lambda: module(RELEASE).replace(b".gnu.linkonce.this_module", b".gnu.linkonce.that_module"),
            Fault.LAYOUT,
            "section .gnu.linkonce.this_module is missing",
            id="no-struct-module",
        ),
        pytest.param(lambda: module(RELEASE)[:-200], Fault.LAYOUT, "is no kernel module", id="cut-short"),
        pytest.param(lambda: b"\x7fELF nothing", Fault.LAYOUT, "is no kernel module", id="no-module"),
        pytest.param(
            lambda: module(RELEASE) + b"xx" + struct.pack(">8xI", 1 << 30) + b"~Module signature appended~\n",
            Fault.LAYOUT,
            "the appended signature is longer than the module",
            id="damaged-signature",
        ),
        pytest.param(lambda: _relocated(kind=99), Fault.LAYOUT, "a relocation of kind 99", id="unknown-relocation"),
        pytest.param(
            lambda: _relocated(offset=1 << 20), Fault.LAYOUT, "behind the end of .text", id="relocation-outside"
        ),
        pytest.param(lambda: _relocated(symbol=999), Fault.LAYOUT, "by symbol 999 of", id="relocation-of-nothing"),
    ],
)
def test_a_module_with_a_fault_is_refused(
    tmp_path: Path, content: Callable[[], bytes], fault: Fault, said: str
) -> None:
    found = _module_faults(tmp_path, content())
    assert [kind for kind, _ in found][:1] == [fault]
    assert said in found[0][1]


def _relocated(*, kind: int | None = None, offset: int | None = None, symbol: int | None = None) -> bytes:
    """A module whose first relocation of .text is spoilt."""
    content = bytearray(module(RELEASE))
    (table,) = struct.unpack_from("<Q", content, 40)
    entry_bytes, count, names_index = struct.unpack_from("<HHH", content, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", content, table + entry_bytes * index) for index in range(count)]
    names_at = headers[names_index][4]
    for header in headers:
        name = bytes(content[names_at + header[0] :]).split(b"\0", 1)[0]
        if name == b".rela.text":
            at = header[4]
            if offset is not None:
                struct.pack_into("<Q", content, at, offset)
            if kind is not None:
                struct.pack_into("<I", content, at + 8, kind)
            if symbol is not None:
                struct.pack_into("<I", content, at + 12, symbol)
            return bytes(content)
    raise AssertionError("the module has no relocation of .text")


def test_a_release_does_not_count_where_crcs_do(tmp_path: Path) -> None:
    assert _module_faults(tmp_path, module("6.1.0-other")) == []


def test_without_crcs_vermagic_must_be_the_same(tmp_path: Path) -> None:
    kernel = replace(_kernel(), facts=KernelFacts(EXPORTS, False, f"{RELEASE} SMP mod_unload", None))
    assert _module_faults(tmp_path, module(RELEASE, flags="SMP mod_unload", crcs=""), kernel) == []
    other = _module_faults(tmp_path, module("6.1.0-other", flags="SMP mod_unload", crcs=""), kernel)
    assert [fault for fault, _ in other] == [Fault.VERMAGIC]


def test_a_symbol_that_nothing_exports_is_named(tmp_path: Path) -> None:
    kernel = replace(_kernel(), facts=replace(_kernel().facts, exports={"module_layout": 0x01020304}))
    assert _module_faults(tmp_path, module(RELEASE), kernel) == [
        (Fault.SYMBOLS, "printk is not exported by the kernel's file")
    ]


def test_the_headers_symvers_count_as_well(tmp_path: Path) -> None:
    (tmp_path / "Module.symvers").write_text("0x01020304\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n")
    kernel = replace(_kernel(), headers=tmp_path)
    assert _module_faults(tmp_path, module(RELEASE), kernel) == [
        (Fault.SYMBOLS, "printk is not exported (of the headers' Module.symvers)")
    ]


def test_a_kernel_that_takes_signed_modules_only_refuses_others(tmp_path: Path) -> None:
    (tmp_path / ".config").write_text("CONFIG_MODULE_SIG_FORCE=y\n")
    kernel = replace(_kernel(), headers=tmp_path)
    assert [fault for fault, _ in _module_faults(tmp_path, module(RELEASE), kernel)] == [Fault.SIGNATURE]
    signed = module(RELEASE) + b"sig" + struct.pack(">8xI", 3) + b"~Module signature appended~\n"
    assert _module_faults(tmp_path, signed, kernel) == []


def test_the_kernels_own_modules_tell_where_nothing_else_does(tmp_path: Path) -> None:
    other = tmp_path / "own.ko"
    other.write_bytes(module(RELEASE, crcs="module_layout=0x0badbad0"))
    kernel = KernelUnderTest(RELEASE, NO_FACTS, modules=(other,))
    assert _module_faults(tmp_path, module(RELEASE), kernel) == [
        (Fault.SYMBOLS, "module_layout has CRC 0x01020304 in the module and 0x0badbad0 in the kernel's own modules")
    ]


def test_struct_module_must_be_as_large_as_the_kernels(tmp_path: Path) -> None:
    types = kernel_types("struct module { char of[64]; }; struct kernel_thing { struct module module; };")
    kernel = _kernel(types, tmp_path)
    assert _module_faults(tmp_path, module(RELEASE), kernel) == []
    assert _module_faults(tmp_path, module(RELEASE, this_module=72), kernel) == [
        (Fault.LAYOUT, "struct module has 72 bytes in the module, 64 in the kernel")
    ]


def test_a_kernel_of_which_nothing_is_known_is_asked_in_the_guest(tmp_path: Path) -> None:
    kernel = KernelUnderTest(RELEASE, NO_FACTS)
    assert _module_faults(tmp_path, module(RELEASE), kernel) == []
    assert static_faults(_driver(tmp_path, DriverKind.CORE, program()), kernel) == ()


@pytest.mark.parametrize(
    ("kind", "content", "fault", "said"),
    [
        pytest.param(
            DriverKind.BPF,
            lambda: program("6.1.0-other"),
            Fault.VERMAGIC,
            "the object is for 6.1.0-other, the kernel is 6.1.0-tiny",
            id="another-kernel",
        ),
        pytest.param(
            DriverKind.BPF,
            lambda: program(RELEASE, license="None"),
            Fault.LICENSE,
            "None is not compatible",
            id="license",
        ),
        pytest.param(DriverKind.BPF, lambda: program(RELEASE)[:900], Fault.LAYOUT, "is no eBPF object", id="cut-short"),
        pytest.param(
            DriverKind.CORE, lambda: module(RELEASE), Fault.LAYOUT, "is for EM_X86_64, not for eBPF", id="module"
        ),
        pytest.param(
            DriverKind.CORE,
            lambda: program(field="gone"),
            Fault.TYPES,
            "the kernel has no struct kernel_thing.gone, which kd_exit reads",
            id="missing-field",
        ),
    ],
)
def test_an_object_with_a_fault_is_refused(
    tmp_path: Path, kind: DriverKind, content: Callable[[], bytes], fault: Fault, said: str
) -> None:
    kernel = _kernel(kernel_types("struct kernel_thing { int pid; int pid2; };"), tmp_path)
    found = static_faults(_driver(tmp_path, kind, content()), kernel)
    assert [one for one, _ in found][:1] == [fault]
    assert said in found[0][1]


def test_a_field_that_the_program_asks_for_first_may_be_missing(tmp_path: Path) -> None:
    kernel = _kernel(kernel_types("struct kernel_thing { int pid; };"), tmp_path)
    assert static_faults(_driver(tmp_path, DriverKind.CORE, program(field="gone", asks=True)), kernel) == ()


def test_a_field_within_an_anonymous_struct_is_found(tmp_path: Path) -> None:
    kernel = _kernel(kernel_types("struct kernel_thing { union { struct { int pid2; }; long all; }; };"), tmp_path)
    assert static_faults(_driver(tmp_path, DriverKind.CORE, program()), kernel) == ()


def test_a_field_of_another_kind_of_type_is_none(tmp_path: Path) -> None:
    kernel = _kernel(kernel_types("struct kernel_thing { int pid; int *pid2; };"), tmp_path)
    (found,) = static_faults(_driver(tmp_path, DriverKind.CORE, program()), kernel)
    assert found == (Fault.TYPES, "the kernel has no struct kernel_thing.pid2, which kd_exit reads")


def test_type_information_that_somebody_named_counts(tmp_path: Path) -> None:
    named = tmp_path / "named.btf"
    named.write_bytes(kernel_types("struct kernel_thing { int pid; };"))
    kernel = replace(_kernel(kernel_types("struct kernel_thing { int pid2; };"), tmp_path), btf=named)
    assert [fault for fault, _ in static_faults(_driver(tmp_path, DriverKind.CORE, program()), kernel)] == [Fault.TYPES]


def test_damaged_type_information_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    kernel = _kernel(kernel_types("struct kernel_thing { int pid2; };")[:-20], tmp_path)
    (found,) = static_faults(_driver(tmp_path, DriverKind.CORE, program()), kernel)
    assert found == (Fault.LAYOUT, "BTF: the type table is cut short")


def test_a_program_that_is_too_long_for_an_old_kernel_is_refused(tmp_path: Path) -> None:
    body = 'asm volatile(".rept 4200\\n r1 = r2\\n .endr" ::: "r1", "r2"); return thing != 0;'
    driver = _driver(tmp_path, DriverKind.BPF, program("4.15.0-tiny", body=body))
    kernel = KernelUnderTest("4.15.0-tiny", NO_FACTS)
    (found,) = static_faults(driver, kernel)
    assert found[0] is Fault.SIZE
    assert found[1].startswith("program kd_exit has 4,2") and found[1].endswith("kernel 4.15.0-tiny takes 4,096")
    assert (
        static_faults(_driver(tmp_path, DriverKind.CORE, program(body=body)), replace(kernel, release="5.10.0")) == ()
    )


@pytest.mark.parametrize(
    ("release", "limit"),
    [("4.15.0-1-generic", 4096), ("5.1.9", 4096), ("5.2.0", 1_000_000), ("4.18.0-193.el8.x86_64", 1_000_000)],
)
def test_the_limit_of_instructions(release: str, limit: int) -> None:
    assert instruction_limit(release) == limit


def test_facts_are_noted_and_read_again(tmp_path: Path) -> None:
    image = tmp_path / "vmlinux"
    image.write_bytes(vmlinux(RELEASE) + MAGIC.encode() + b" \0")
    write_facts(image, tmp_path)
    facts = read_facts(tmp_path)
    assert (facts.vermagic, facts.exports, facts.btf) == (MAGIC, {}, None)
    write_facts(None, tmp_path)
    assert read_facts(tmp_path) == NO_FACTS
    assert json.loads((tmp_path / "facts.json").read_text())["exports"] == {}


@pytest.mark.network
@pytest.mark.slow
def test_a_real_kernels_file_says_what_the_checks_need(cloud_kernel: GuestKernel, tmp_path: Path) -> None:
    facts = cloud_kernel.facts
    assert facts.vermagic.startswith(f"{cloud_kernel.release} SMP ")
    assert facts.has_crcs and len(facts.exports) > 5000 and facts.exports["module_layout"]
    assert facts.btf is not None
    types = TypeTable(facts.btf.read_bytes())
    assert len(types) > 50_000 and types.named("task_struct", BtfKind.STRUCT)
    kernel = KernelUnderTest(cloud_kernel.release, facts)
    found = {fault for fault, _ in _module_faults(tmp_path, module(cloud_kernel.release), kernel)}
    assert found == {Fault.VERMAGIC, Fault.SYMBOLS, Fault.LAYOUT}  # its CRCs and its struct module are made up
