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
    file = f" {kernel.path}" if kernel.pvh else ""
    return (
        f"the guest waits for a debugger; in another terminal:\n"
        f"    gdb{file} -ex 'target remote 127.0.0.1:{port}' -ex continue\n"
        f"  That file has no symbols; Debian's linux-image-{kernel.release}-dbg has them, in\n"
        f"  /usr/lib/debug/boot/vmlinux-{kernel.release}. Addresses are as in the file (nokaslr)."
    )
