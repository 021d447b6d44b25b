"""A guest for a person: a prompt on its console, or a debugger's port, instead of an unattended verification."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from kdriver.core.errors import ConfigError
from kdriver.inspect.exports import read_places
from kdriver.verifier.host_clock import host_tsc_khz
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.initramfs import write_initramfs
from kdriver.verifier.machine import Accelerator, MachinePlan, machine_argv
from kdriver.verifier.plan import GuestPlan, GuestTools, guest_entries

BUSYBOX_VARIABLE = "KDRIVER_BUSYBOX"
_HINT = "apt-get install busybox-static, or name a static busybox in KDRIVER_BUSYBOX."


def find_busybox() -> Path:
    """A static busybox, which runs where no C library is: KDRIVER_BUSYBOX, else from PATH. Raises ConfigError."""
    named = os.environ.get(BUSYBOX_VARIABLE) or "busybox"
    found = shutil.which(named)
    if found is None:
        raise ConfigError(f"{named}: not found; the guest's shell is a static busybox", hint=_HINT)
    if is_dynamic(Path(found)):
        raise ConfigError(f"{found}: needs a C library, which no guest has", hint=_HINT)
    return Path(found)


def is_dynamic(program: Path) -> bool:
    """Whether an ELF program asks for a loader (program header PT_INTERP)."""
    try:
        with program.open("rb") as file:
            return any(segment["p_type"] == "PT_INTERP" for segment in ELFFile(file).iter_segments())
    except ELFError:
        return True  # a script needs an interpreter, too


def run_shell(plan: GuestPlan, tools: GuestTools, qemu: str, accelerator: Accelerator) -> int:
    """Boot with the console on this terminal until the guest's shell ends; QEMU's exit status. plan.shell is set."""
    with tempfile.TemporaryDirectory(prefix="kdriver-verify-") as name:
        work = Path(name)
        machine = MachinePlan(
            qemu,
            plan.kernel.path,
            work / "initramfs",
            work / "console",
            work / "results",
            accelerator,
            interactive=True,
            tsc_khz=host_tsc_khz() if accelerator is Accelerator.TCG else 0,
        )
        machine.initramfs.write_bytes(write_initramfs(guest_entries(plan, tools)))
        return subprocess.run(machine_argv(machine), check=False).returncode


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def gdb_advice(kernel: GuestKernel, port: int) -> str:
    """What to type in another terminal, and where the kernel's symbols are."""
    symbols = symbol_file(kernel) if kernel.pvh else None
    file = f" {symbols or kernel.path}" if kernel.pvh else ""
    named = "That file names what the kernel exports to modules" if symbols else "That file has no symbols"
    return (
        f"the guest waits for a debugger; in another terminal:\n"
        f"    gdb{file} -ex 'target remote 127.0.0.1:{port}' -ex continue\n"
        f"  Before continue, `hbreak tracepoint_probe_register` stops where a module begins to listen. {named};\n"
        f"  Debian's linux-image-{kernel.release}-dbg has all symbols, in\n"
        f"  /usr/lib/debug/boot/vmlinux-{kernel.release}. Addresses are as in the file (nokaslr)."
    )


def symbol_file(kernel: GuestKernel) -> Path | None:
    """The uncompressed kernel with the names of what it exports, made beside it; None where there are none, or without
    objcopy."""
    made = kernel.path.with_name(f"{kernel.path.name}.symbols")
    if made.is_file():
        return made
    places = read_places(kernel.path)
    objcopy = shutil.which("objcopy")
    if not places or objcopy is None:
        return None
    with tempfile.TemporaryDirectory(prefix=".symbols-", dir=made.parent) as name:
        words, fresh = Path(name) / "words", Path(name) / "fresh"
        words.write_text(
            "".join(f"--add-symbol {symbol}={section}:0x{at:x},global\n" for symbol, (section, at) in places.items())
        )
        done = subprocess.run([objcopy, f"@{words}", str(kernel.path), str(fresh)], capture_output=True, check=False)
        if done.returncode:
            return None
        fresh.replace(made)
    return made
