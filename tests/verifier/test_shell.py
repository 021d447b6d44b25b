"""What a developer asks of a guest: a prompt, a debugger's port, some cases only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError
from kdriver.verifier.accelerator import find_qemu
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.machine import Accelerator, MachinePlan, machine_argv
from kdriver.verifier.plan import GuestPlan, guest_entries, plan_text
from kdriver.verifier.shell import BUSYBOX_VARIABLE, find_busybox, gdb_advice, is_dynamic, run_shell
from tests.fakes.guest_tools import fake_tools
from tests.fakes.qemu import write_qemu

KERNEL = GuestKernel(Path("/cache/vmlinux"), "6.1.0", "e" * 64, pvh=True)


def _machine(**changes: object) -> list[str]:
    paths = [Path("/k"), Path("/i"), Path("/c"), Path("/r")]
    return machine_argv(MachinePlan("qemu", *paths, **changes))  # type: ignore[arg-type]


def test_the_console_of_a_shell_is_the_terminal_and_keys_go_to_the_guest() -> None:
    assert "stdio,id=console,signal=off" in _machine(interactive=True)
    assert "file,id=console,path=/c" in _machine()


def test_a_debugger_gets_a_port_on_loopback_before_the_first_instruction(tmp_path: Path) -> None:
    argv = _machine(gdb_port=4711)
    assert argv[argv.index("-gdb") + 1] == "tcp:127.0.0.1:4711"
    assert "-S" in argv
    assert not {"-gdb", "-S"} & set(_machine())
    vmlinux = tmp_path / "vmlinux"
    vmlinux.write_bytes(b"exports nothing")
    advice = gdb_advice(replace(KERNEL, path=vmlinux), 4711)
    assert f"gdb {vmlinux} -ex 'target remote 127.0.0.1:4711'" in advice
    assert "/usr/lib/debug/boot/vmlinux-6.1.0" in advice


def test_the_plan_says_which_cases_and_which_shell(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"program")
    plan = GuestPlan(KERNEL, (), only=("open*", "dup"), shell=program)
    assert plan_text(plan).splitlines()[-3:] == ["only open*", "only dup", "shell /bin/busybox"]
    tools = fake_tools(tmp_path)
    for name in ("fake_capture", "fake_cases", "kd-guest"):
        (tmp_path / name).write_bytes(b"program")
    assert "bin/busybox" in {entry.path for entry in guest_entries(plan, tools)}
    assert "bin/busybox" not in {entry.path for entry in guest_entries(GuestPlan(KERNEL, ()), tools)}


def test_a_shell_must_be_static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_dynamic(Path(sys.executable).resolve())
    monkeypatch.setenv(BUSYBOX_VARIABLE, shutil.which("ls") or "ls")
    with pytest.raises(ConfigError, match="needs a C library"):
        find_busybox()
    monkeypatch.setenv(BUSYBOX_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="not found") as caught:
        find_busybox()
    assert caught.value.hint is not None and "busybox-static" in caught.value.hint


def test_nothing_of_a_shell_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name in ("fake_capture", "fake_cases", "kd-guest"):
        (tmp_path / name).write_bytes(b"program")
    plan = GuestPlan(KERNEL, (), shell=tmp_path / "kd-guest")
    before = set(tmp_path.iterdir())
    qemu = write_qemu(tmp_path, "exit 3")
    assert run_shell(plan, fake_tools(tmp_path), qemu, Accelerator.TCG) == 3
    assert {path.name for path in set(tmp_path.iterdir()) - before} == {"qemu-fake"}


@pytest.mark.qemu
@pytest.mark.network
@pytest.mark.slow
def test_a_real_guest_gives_a_prompt(tmp_path: Path, cloud_kernel: GuestKernel, guest_programs: Path) -> None:
    program = """
import sys
from pathlib import Path
from kdriver.verifier.accelerator import find_qemu
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.machine import Accelerator
from kdriver.verifier.plan import GuestPlan
from kdriver.verifier.shell import find_busybox, run_shell
from tests.fakes.guest_tools import fake_tools
kernel = GuestKernel(Path(sys.argv[1]), sys.argv[2], "", pvh=True)
plan = GuestPlan(kernel, (), shell=find_busybox())
sys.exit(run_shell(plan, fake_tools(Path(sys.argv[3])), find_qemu(), Accelerator.TCG))
"""
    assert find_qemu() and find_busybox()
    words = b"uname -r; echo answer-$((6 * 7)); ls /bin | grep -c kd-; exit\n"
    argv = [sys.executable, "-c", program, str(cloud_kernel.path), cloud_kernel.release, str(guest_programs)]
    root = Path(__file__).resolve().parent.parent.parent
    said = b""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as guest:
        assert guest.stdin is not None and guest.stdout is not None
        timer = threading.Timer(600, guest.kill)
        timer.start()
        try:
            while b"guest# " not in said and (more := os.read(guest.stdout.fileno(), 4096)):
                said += more
            guest.stdin.write(words)
            guest.stdin.flush()
            said += guest.stdout.read()
        finally:
            timer.cancel()
    lines = [line.strip() for line in said.decode(errors="replace").splitlines()]
    assert cloud_kernel.release in lines
    assert "answer-42" in lines
    assert "3" in lines
    assert guest.returncode == 0
