"""The virtual machine: from a plan to QEMU's command line, nothing run and nothing read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Accelerator(StrEnum):
    """What executes the guest's instructions."""

    TCG = "tcg"
    KVM = "kvm"


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """One guest. console: where the kernel's console (first serial port) is written. results: the file behind
    the second serial port. bulk: the file behind memory that the guest and the host share, for what is too much for a
    serial port. verbose: print the whole boot on the console; slower, for a boot that failed before.
    counted: one instruction takes the guest one nanosecond, whatever else the host does (TCG and one CPU only).
    tsc_khz: how fast the guest's time stamp counter runs, 0 when it is to find out. interactive: the console is this
    process's terminal. gdb_port: QEMU waits there for a debugger before the first instruction; 0 for none."""

    qemu: str
    kernel: Path
    initramfs: Path
    console: Path
    results: Path
    accelerator: Accelerator = Accelerator.TCG
    cpus: int = 2
    memory_mb: int = 512
    verbose: bool = False
    counted: bool = False
    tsc_khz: int = 0
    interactive: bool = False
    gdb_port: int = 0

    @property
    def bulk(self) -> Path:
        """Beside the results."""
        return self.results.with_name(self.results.name + ".bulk")


BULK_BYTES = 64 << 20
"""A power of two: the guest's bus takes no other. Of the file only what the guest wrote takes space."""
_SLOWEST = 8.0
# nokaslr, mitigations=off, cryptomgr.notests: emulated seconds saved. tsc=reliable, no_timer_check: calibrations
# that a busy host makes fail. oops=panic panic=-1: a kernel that broke ends at once, with QEMU's -no-reboot.
_KERNEL_PARAMETERS = (
    "console=ttyS0",
    "panic=-1",
    "oops=panic",
    "nokaslr",
    "mitigations=off",
    "tsc=reliable",
    "no_timer_check",
    "cryptomgr.notests",
    "noirqdebug",
    "random.trust_cpu=on",
    "rdinit=/init",
)


def slowness(load: float, cpus: int) -> float:
    """How much longer an emulated guest takes on a host of that load average: 1 on an idle one, 8 at most, so that a
    guest that hangs is still found."""
    return min(max(load / max(cpus, 1), 1.0), _SLOWEST)


def kernel_command_line(*, verbose: bool, tsc_khz: int = 0) -> str:
    """The kernel's parameters."""
    extra = ("ignore_loglevel", "earlyprintk=ttyS0") if verbose else ("quiet",)
    # Kernels before 5.9 (bd35c77e32e4) do not know it and measure.
    clock = (f"tsc_early_khz={tsc_khz}",) if tsc_khz else ()
    return " ".join(_KERNEL_PARAMETERS + clock + extra)


def machine_argv(plan: MachinePlan) -> list[str]:
    """QEMU's command line for a guest without any device but two serial ports and memory that it shares with us."""
    # cx16 is hidden: with it, 6.12 kernels crashed at random under emulation (QEMU 7.2), never without. Without erms
    # and fsrm kernels copy and clear memory by words: emulated, `rep movsb` takes each byte for itself.
    # A counted guest keeps them, as the guests in which others counted.
    emulated = "max,-cx16" if plan.counted else "max,-cx16,-erms,-fsrm"
    cpu = "host" if plan.accelerator is Accelerator.KVM else emulated
    return [
        plan.qemu,
        "-no-user-config",
        "-nodefaults",
        "-display",
        "none",
        "-machine",
        "q35",
        "-accel",
        _accelerator(plan.accelerator),
        *(("-icount", "shift=0,sleep=off") if plan.counted else ()),
        "-cpu",
        cpu,
        "-smp",
        str(plan.cpus),
        "-m",
        str(plan.memory_mb),
        "-kernel",
        str(plan.kernel),
        "-initrd",
        str(plan.initramfs),
        "-append",
        kernel_command_line(verbose=plan.verbose, tsc_khz=plan.tsc_khz),
        "-chardev",
        "stdio,id=console,signal=off" if plan.interactive else f"file,id=console,path={_escaped(plan.console)}",
        "-serial",
        "chardev:console",
        "-chardev",
        f"file,id=results,path={_escaped(plan.results)}",
        "-serial",
        "chardev:results",
        "-object",
        f"memory-backend-file,id=bulk,share=on,size={BULK_BYTES},mem-path={_escaped(plan.bulk)}",
        "-device",
        "ivshmem-plain,memdev=bulk",
        "-no-reboot",
        *(("-gdb", f"tcp:127.0.0.1:{plan.gdb_port}", "-S") if plan.gdb_port else ()),
    ]


def _accelerator(accelerator: Accelerator) -> str:
    """Both CPUs of an emulated guest take turns on one thread: with a thread each, QEMU 7.2 now and then leaves a CPU
    in a breakpoint that the other has patched away (seen on 6.1 while tracepoints were switched under load)."""
    return f"{accelerator},thread=single" if accelerator is Accelerator.TCG else str(accelerator)


def _escaped(path: Path) -> str:
    """QEMU splits options at commas; a doubled one stands for itself."""
    return str(path).replace(",", ",,")
