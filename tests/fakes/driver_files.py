"""Small drivers that a kernel could take, made by real compilers, for tests that are not about what drivers do."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from builder.toolchain import find_llvm, load_table
from kdriver.core.artifact import DriverKind
from kdriver.inspect.elf import read_section

_CRCS = "module_layout=0x01020304 printk=0x33333333"
_MODULE = """
extern int printk(const char *format, ...);
#define INFO(name, text) \\
	static const char name[] __attribute__((used, section(".modinfo"))) = #name "=" text
INFO(license, "{license}");
INFO(vermagic, "{vermagic}");
INFO(name, "kdriver");
static char this_module[{this_module}] __attribute__((used, section(".gnu.linkonce.this_module")));
static const struct {{ unsigned long crc; char name[56]; }} versions[] __attribute__((used, section("__versions"))) = {{
{versions}
}};
int init_module(void)
{{
	return printk("made up\\n");
}}
"""
_PROGRAM = """
#define SEC(name) __attribute__((section(name), used))
struct kernel_thing {{
	int pid;
	int {field};
}} __attribute__((preserve_access_index));
static unsigned long (*bpf_get_current_task)(void) = (void *)35;
SEC("raw_tp/sys_exit") int kd_exit(void *context)
{{
	struct kernel_thing *thing = (void *)bpf_get_current_task();

	{body}
}}
char license_text[] SEC("license") = "{license}";
char release_text[] SEC("kd_release") = "{release}";
"""
_READS = "return (int)(long)&thing->{field};"
_ASKS_FIRST = "if (__builtin_preserve_field_info(thing->{field}, 2)) return (int)(long)&thing->{field};\n\treturn 1;"


@lru_cache(maxsize=64)
def module(
    release: str,
    *,
    flags: str = "SMP mod_unload modversions",
    license: str = "Dual MIT/GPL",
    crcs: str = _CRCS,
    this_module: int = 64,
) -> bytes:
    """A kernel module. crcs: `name=value` words, what its __versions holds; empty for none."""
    pairs = [word.split("=") for word in crcs.split()]
    versions = "\n".join(f'\t{{ {value}, "{name}" }},' for name, value in pairs)
    source = _MODULE.format(license=license, vermagic=f"{release} {flags} ", versions=versions, this_module=this_module)
    if not pairs:
        source = source.replace("__versions", ".rodata.unused")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "kdriver.ko"
        argv = ["gcc", "-c", "-O2", "-fno-pie", "-mcmodel=kernel", "-ffreestanding", "-fno-asynchronous-unwind-tables"]
        subprocess.run([*argv, "-x", "c", "-o", str(out), "-"], input=source.encode(), check=True, capture_output=True)
        return out.read_bytes()


@lru_cache(maxsize=64)
def program(
    release: str = "", *, license: str = "GPL", field: str = "pid2", asks: bool = False, body: str = ""
) -> bytes:
    """An eBPF object that reads `field` of `struct kernel_thing` of the kernel's. asks: whether it is there, first."""
    text = body or (_ASKS_FIRST if asks else _READS).format(field=field)
    source = _PROGRAM.format(license=license, release=release, field=field, body=text)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "kdriver.bpf.o"
        argv = [
            find_llvm(load_table().clangs[0]).clang.path,
            "-O2",
            "-g",
            "-target",
            "bpf",
            "-c",
            "-x",
            "c",
            "-o",
            str(out),
            "-",
        ]
        subprocess.run(argv, input=source.encode(), check=True, capture_output=True)
        return out.read_bytes()


@lru_cache(maxsize=64)
def kernel_types(struct_text: str, name: str = "kernel_thing") -> bytes:
    """The type information of a kernel that has these structs, `name` among them."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "types.o"
        argv = [
            find_llvm(load_table().clangs[0]).clang.path,
            "-O2",
            "-g",
            "-target",
            "bpf",
            "-c",
            "-x",
            "c",
            "-o",
            str(out),
            "-",
        ]
        source = f"{struct_text}\nstruct {name} *use(struct {name} *it) {{ return it + 1; }}\n"
        subprocess.run(argv, input=source.encode(), check=True, capture_output=True)
        return read_section(out, ".BTF")


def driver_files(release: str) -> Mapping[DriverKind, bytes]:
    """One driver of each kind for a kernel."""
    return {
        DriverKind.KMOD: module(release),
        DriverKind.BPF: program(release),
        DriverKind.CORE: program(),
    }
