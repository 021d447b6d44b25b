"""Which accelerator to use: KVM only after a guest actually ran on it.

A /dev/kvm may be there, open, and then hang or refuse (nested machines, containers). So a guest of sixteen bytes of
code runs first, then a kernel, both with a time limit.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.errors import ConfigError
from kdriver.verifier.machine import Accelerator

PROBE_TIMEOUT_S = 5.0
_PROBE_VALUE = 0x2A
# isa-debug-exit turns a written value into QEMU's exit status.
_PROBE_STATUS = _PROBE_VALUE << 1 | 1
_BIOS_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Choice:
    """The accelerator, and why it is not the faster one (empty when nobody asked for that)."""

    accelerator: Accelerator
    note: str = ""


def find_qemu() -> str:
    """QEMU's path: KDRIVER_QEMU, else from PATH. Raises ConfigError when there is none."""
    named = os.environ.get("KDRIVER_QEMU") or "qemu-system-x86_64"
    found = shutil.which(named)
    if found is None:
        raise ConfigError(
            f"{named}: not found; verification boots kernels in QEMU",
            hint="Install it (Debian: apt install qemu-system-x86) or name it in KDRIVER_QEMU.",
        )
    return found


def choose_accelerator(
    asked: str, qemu: str, trial: Callable[[Accelerator], str], *, timeout_s: float = PROBE_TIMEOUT_S
) -> Choice:
    """asked: `tcg`, `kvm` or `auto` (KVM where it works, else TCG with a note).

    trial: boots a real kernel and says what went wrong, empty when it got to its end; it is called only after the
    tiny probe guest passed, because some machines run that one and then stop at an instruction that kernels use.
    Raises ConfigError when `kvm` was asked for and does not work here.
    """
    if asked == "tcg":
        return Choice(Accelerator.TCG)
    fault = probe(qemu, Accelerator.KVM, timeout_s=timeout_s) or trial(Accelerator.KVM)
    if not fault:
        return Choice(Accelerator.KVM)
    if asked == "kvm":
        raise ConfigError(f"KVM: {fault}", hint="Use --accel tcg: it is slower and works everywhere.")
    return Choice(Accelerator.TCG, f"KVM is not used: {fault}")


@functools.cache
def probe(qemu: str, accelerator: Accelerator, *, timeout_s: float = PROBE_TIMEOUT_S) -> str:
    """Run a tiny guest: empty when it ran to its end, else what happened. The answer is kept for this run."""
    if accelerator is Accelerator.KVM and not Path("/dev/kvm").exists():
        return "there is no /dev/kvm"
    with tempfile.TemporaryDirectory(prefix="kdriver-probe-") as scratch:
        bios = Path(scratch) / "probe.bin"
        bios.write_bytes(probe_bios())
        process = subprocess.Popen(
            probe_argv(qemu, accelerator, bios),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return f"a probe guest did not end within {timeout_s:g} s"
        finally:
            _kill(process)
        if process.returncode == _PROBE_STATUS:
            return ""
        lines = errors.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"a probe guest ended with status {process.returncode}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # A process that hangs inside the kernel outlives even SIGKILL for a while: it is not waited for.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    if process.stderr is not None:
        process.stderr.close()


def probe_argv(qemu: str, accelerator: Accelerator, bios: Path) -> list[str]:
    """QEMU's command line for the probe guest."""
    return [
        qemu,
        "-no-user-config",
        "-nodefaults",
        "-display",
        "none",
        "-machine",
        "q35",
        "-accel",
        str(accelerator),
        "-m",
        "16",
        "-bios",
        str(bios),
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=1",
        "-no-reboot",
    ]


def probe_bios() -> bytes:
    """A firmware that writes one byte to the exit port, in real mode, from the reset vector on."""
    code = bytes([0xB0, _PROBE_VALUE, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD])  # mov al, N; out 0xf4, al; hlt; jmp back
    return bytes(_BIOS_BYTES - 16) + code + bytes(16 - len(code))
