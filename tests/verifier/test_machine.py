"""QEMU's command line, as a function of the plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kdriver.verifier.machine import Accelerator, MachinePlan, kernel_command_line, machine_argv, slowness

PLAN = MachinePlan(
    "qemu-system-x86_64", Path("/k/vmlinux"), Path("/w/initramfs"), Path("/l/console"), Path("/w/results")
)


def _value(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]


def test_the_whole_command_line_of_an_emulated_guest() -> None:
    assert machine_argv(PLAN) == [
        "qemu-system-x86_64", "-no-user-config", "-nodefaults", "-display", "none", "-machine", "q35",
        "-accel", "tcg,thread=single", "-cpu", "max,-cx16,-erms,-fsrm", "-smp", "2", "-m", "512",
        "-kernel", "/k/vmlinux", "-initrd", "/w/initramfs", "-append", kernel_command_line(verbose=False),
        "-chardev", "file,id=console,path=/l/console", "-serial", "chardev:console",
        "-chardev", "file,id=results,path=/w/results", "-serial", "chardev:results",
        "-object", "memory-backend-file,id=bulk,share=on,size=67108864,mem-path=/w/results.bulk",
        "-device", "ivshmem-plain,memdev=bulk",
        "-no-reboot",
    ]  # fmt: skip


def test_the_console_is_the_first_serial_port_and_the_results_the_second() -> None:
    argv = machine_argv(PLAN)
    ports = [argv[place + 1] for place, word in enumerate(argv) if word == "-serial"]
    assert ports == ["chardev:console", "chardev:results"]


def test_kvm_takes_the_hosts_processor() -> None:
    argv = machine_argv(replace(PLAN, accelerator=Accelerator.KVM))
    assert _value(argv, "-accel") == "kvm"
    assert _value(argv, "-cpu") == "host"


def test_an_emulated_processor_hides_cx16() -> None:
    assert _value(machine_argv(PLAN), "-cpu") == "max,-cx16,-erms,-fsrm"


def test_a_comma_in_a_path_does_not_end_the_option() -> None:
    argv = machine_argv(replace(PLAN, console=Path("/l/a,b"), results=Path("/w/c,d")))
    assert "file,id=console,path=/l/a,,b" in argv
    assert "file,id=results,path=/w/c,,d" in argv


def test_a_broken_kernel_ends_at_once() -> None:
    words = kernel_command_line(verbose=False).split()
    assert {"panic=-1", "oops=panic", "console=ttyS0", "rdinit=/init"} <= set(words)
    assert "-no-reboot" in machine_argv(PLAN)


def test_a_second_try_prints_the_whole_boot() -> None:
    quiet, verbose = kernel_command_line(verbose=False).split(), kernel_command_line(verbose=True).split()
    assert "quiet" in quiet and "quiet" not in verbose
    assert {"ignore_loglevel", "earlyprintk=ttyS0"} <= set(verbose)


def test_a_counted_guest_has_one_cpu_and_a_clock_of_instructions() -> None:
    argv = machine_argv(replace(PLAN, counted=True, cpus=1))
    assert _value(argv, "-icount") == "shift=0,sleep=off"
    assert _value(argv, "-smp") == "1"
    assert _value(argv, "-cpu") == "max,-cx16"
    assert "-icount" not in machine_argv(PLAN)


@pytest.mark.parametrize(("load", "cpus", "slower"), [(0.1, 2, 1), (2, 2, 1), (7, 2, 3.5), (60, 2, 8), (3, 0, 3)])
def test_a_busy_host_is_slower_within_bounds(load: float, cpus: int, slower: float) -> None:
    assert slowness(load, cpus) == slower
