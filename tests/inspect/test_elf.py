"""Modules and objects are read as they come: plain, compressed, signed; what is none is refused."""

from __future__ import annotations

import lzma
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from kdriver.core.errors import ExitCode, IntegrityError
from kdriver.inspect.elf import needed_glibc, read_module, read_object, read_section, strip_signature

SOURCE = r"""
#define INFO(name, text) static const char name[] __attribute__((used, section(".modinfo"))) = text
INFO(a, "license=GPL"); INFO(b, "vermagic=1.2.3-tiny SMP mod_unload "); INFO(c, "parm=first"); INFO(d, "parm=second");
static const struct { unsigned long crc; char name[56]; } versions[] __attribute__((used, section("__versions"))) =
	{ { 0x11223344, "module_layout" }, { 0x55667788, "kmalloc" } };
static const unsigned int crcs[] __attribute__((used, section("__version_ext_crcs"))) = { 0x99aabbcc };
static const char names[] __attribute__((used, section("__version_ext_names"))) =
	"a_name_that_is_longer_than_the_fifty_six_bytes_of_the_old_table";
extern void *kmalloc(unsigned long); void *f(void) { return kmalloc(1); }
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("module")
    (folder / "m.c").write_text(SOURCE)
    subprocess.run(["gcc", "-c", "-fno-pie", "-o", "m.ko", "m.c"], cwd=folder, check=True)
    return (folder / "m.ko").read_bytes()


def signed(module: bytes) -> bytes:
    signature = b"s" * 40
    return module + signature + struct.pack(">BBBBBxxxI", 0, 0, 2, 0, 0, 40) + b"~Module signature appended~\n"


@pytest.mark.parametrize(
    "pack",
    [
        pytest.param(lambda module: module, id="plain"),
        pytest.param(lambda module: lzma.compress(module, format=lzma.FORMAT_XZ), id="xz"),
        pytest.param(zstd.compress, id="zstd"),
        pytest.param(signed, id="signed"),
        pytest.param(lambda module: signed(signed(module)), id="signed twice"),
        pytest.param(lambda module: lzma.compress(signed(module), format=lzma.FORMAT_XZ), id="signed then xz"),
    ],
)
def test_module_is_read_in_every_wrapping(pack: Callable[[bytes], bytes], plain: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.ko"
    path.write_bytes(pack(plain))
    facts = read_module(path)
    assert facts.vermagic == "1.2.3-tiny SMP mod_unload"
    assert facts.release == "1.2.3-tiny"
    assert facts.value("license") == "GPL"
    assert facts.value("parm") == "first"
    assert facts.value("missing") == ""
    assert facts.undefined == ("kmalloc",)


def test_crcs_come_from_the_old_table_and_the_extended_one(plain: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.ko"
    path.write_bytes(plain)
    assert read_module(path).versions == {
        "module_layout": 0x11223344,
        "kmalloc": 0x55667788,
        "a_name_that_is_longer_than_the_fifty_six_bytes_of_the_old_table": 0x99AABBCC,
    }


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x7fELF" + bytes(10), id="cut short"),
        pytest.param(b"#!/bin/sh\n", id="a script"),
        pytest.param(b"\xfd7zXZ\0" + bytes(20), id="damaged xz"),
        pytest.param(bytes(8) + struct.pack(">8xI", 4000) + b"~Module signature appended~\n", id="signature too long"),
    ],
)
def test_what_is_no_module_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.ko"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"m\.ko: ") as caught:
        read_module(path)
    assert caught.value.exit_code is ExitCode.INTEGRITY


def test_program_is_no_module() -> None:
    with pytest.raises(IntegrityError, match="is no kernel module: its ELF type is"):
        read_module(Path("/bin/true"))


def test_signature_is_taken_off_whole(plain: bytes) -> None:
    assert strip_signature(signed(plain)) == plain
    assert strip_signature(plain) == plain


def test_object_of_no_ebpf_machine_says_so(plain: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.o"
    path.write_bytes(plain)
    assert read_object(path).machine == "EM_X86_64"


def test_section_that_is_missing_is_empty(plain: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.ko"
    path.write_bytes(plain)
    assert read_section(path, ".modinfo").startswith(b"license=GPL\0")
    assert read_section(path, ".BTF") == b""


def test_needed_glibc_is_the_highest_symbol_version(tmp_path: Path) -> None:
    (tmp_path / "p.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-o", "dynamic", "p.c"], cwd=tmp_path, check=True)
    subprocess.run(["gcc", "-static", "-o", "static", "p.c"], cwd=tmp_path, check=True)
    said = subprocess.run(["objdump", "-T", "dynamic"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    highest = max(
        tuple(int(part) for part in word.strip("()").removeprefix("GLIBC_").split(".")[:2])
        for word in said.split()
        if word.strip("()").startswith("GLIBC_2")
    )
    assert needed_glibc(tmp_path / "dynamic") == highest
    assert needed_glibc(tmp_path / "static") == (0, 0)
    assert needed_glibc(tmp_path / "p.c") == (0, 0)
