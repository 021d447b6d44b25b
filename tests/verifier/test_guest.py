"""A guest is watched stage by stage and never outlives its time, an interruption, or kdriver itself."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.verifier.accelerator import find_qemu
from kdriver.verifier.guest import Ending, GuestRun, boot_guest, crash_line, run_guest
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.initramfs import character_device, regular, write_initramfs
from kdriver.verifier.machine import MachinePlan
from kdriver.verifier.plan import DriverUnderTest, GuestPlan, Limits
from tests.fakes.guest_tools import fake_tools
from tests.fakes.qemu import HELLO, write_qemu

SHORT = Limits(boot_s=0.6, load_s=-19.5, open_s=-19.5, cases_s=-19.5, flush_s=0.1, unload_s=-19.5, total_s=20)


def _machine(tmp_path: Path, qemu: str) -> MachinePlan:
    return MachinePlan(
        qemu, tmp_path / "kernel", tmp_path / "initramfs", tmp_path / "logs" / "console", tmp_path / "results"
    )


def _run(tmp_path: Path, body: str, limits: Limits = SHORT) -> GuestRun:
    qemu = write_qemu(tmp_path, f"echo $$ >{tmp_path}/pid\n{body}")
    return run_guest(_machine(tmp_path, qemu), limits)


def _is_gone(tmp_path: Path) -> bool:
    return not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_guest_that_comes_to_its_end_is_complete(tmp_path: Path) -> None:
    guest = _run(tmp_path, HELLO + """\nfinish '{"end":true,"rc":0,"lines":2}'""")
    assert guest.ending is Ending.COMPLETE
    assert (guest.booted, guest.result.release, guest.reason) == (True, "1.2.3-toy", "")
    assert guest.boot_seconds > 0


def test_a_kernel_that_never_reaches_init_times_out_in_stage_boot(tmp_path: Path) -> None:
    guest = _run(tmp_path, "sleep 60")
    assert (guest.ending, guest.booted) == (Ending.TIMED_OUT, False)
    assert guest.reason == "stage boot took longer than 0.6 s"
    assert _is_gone(tmp_path)


def test_a_stage_that_hangs_is_named_with_its_driver(tmp_path: Path) -> None:
    guest = _run(tmp_path, HELLO + """\nsay '{"driver":"kmod","stage":"unload"}'; sleep 60""")
    assert (guest.ending, guest.result.driver, guest.stage) == (Ending.TIMED_OUT, "kmod", "unload")
    assert guest.reason == "stage kmod unload took longer than 5.5 s"
    assert guest.seconds < 15
    assert _is_gone(tmp_path)


def test_each_stage_has_its_own_time(tmp_path: Path) -> None:
    body = (
        HELLO
        + """
for stage in load open cases; do say "{\\"driver\\":\\"core\\",\\"stage\\":\\"$stage\\"}"; sleep 0.3; done
finish '{"end":true,"rc":0,"lines":5}'"""
    )
    guest = _run(tmp_path, body)
    assert guest.ending is Ending.COMPLETE
    assert guest.seconds > SHORT.of_stage("load")


def test_all_stages_together_have_a_limit(tmp_path: Path) -> None:
    guest = _run(tmp_path, HELLO + "\nsleep 60", replace(SHORT, unload_s=30.0, total_s=0.8))
    assert guest.reason == "the guest was still in stage start after 0.8 s in all"


def test_a_panic_is_named_by_the_console(tmp_path: Path) -> None:
    body = (
        HELLO
        + """
say '{"driver":"kmod","stage":"cases"}'
printf '[    1.5] fine\\n[    2.25][   T71] BUG: unable to handle page fault for address: 0\\n' >"$console"
printf '[    2.3] Kernel panic - not syncing: Fatal exception\\n' >>"$console" """
    )
    guest = _run(tmp_path, body)
    assert guest.ending is Ending.CRASHED
    assert guest.reason == ("the guest ended in stage kmod cases: BUG: unable to handle page fault for address: 0")


def test_a_guest_that_just_ends_is_no_success(tmp_path: Path) -> None:
    guest = _run(tmp_path, HELLO)
    assert guest.ending is Ending.CRASHED
    assert guest.reason == "the guest ended in stage start: its console says nothing"


def test_qemu_that_fails_is_quoted(tmp_path: Path) -> None:
    guest = _run(tmp_path, "echo 'qemu: could not load kernel' >&2; exit 1")
    assert (guest.ending, guest.reason) == (Ending.QEMU_FAILED, "qemu: could not load kernel")


def test_a_killed_qemu_is_the_machines_fault_in_its_stage(tmp_path: Path) -> None:
    guest = _run(tmp_path, HELLO + """\nsay '{"driver":"kmod","stage":"cases"}'\nkill -9 $$""")
    assert guest.ending is Ending.QEMU_FAILED
    assert guest.reason == "QEMU was killed by signal 9 in stage kmod cases"


@pytest.mark.root
def test_a_full_disk_is_named_and_no_drivers_fault(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=True)
    try:
        qemu = write_qemu(tmp_path, HELLO + "\nhead -c 200000 /dev/zero >>$console; exit 0")
        machine = MachinePlan(qemu, tmp_path / "kernel", tmp_path / "initramfs", small / "console", small / "results")
        guest = run_guest(machine, SHORT)
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert (guest.ending, guest.reason) == (Ending.QEMU_FAILED, f"no space is left in {small}")


def test_a_garbled_line_ends_the_guest(tmp_path: Path) -> None:
    guest = _run(tmp_path, HELLO + "\nsay 'what?'; sleep 60")
    assert guest.ending is Ending.GARBLED
    assert guest.reason.startswith("result channel: line 2 is garbled")
    assert guest.seconds < 5
    assert _is_gone(tmp_path)


def test_a_line_cut_by_a_crash_leaves_the_crash_as_the_reason(tmp_path: Path) -> None:
    body = (
        HELLO
        + """
say '{"driver":"core","stage":"load"}'; truncate -s -9 "$results"
printf 'Oops: 0002 [#1]\\n' >"$console" """
    )
    guest = _run(tmp_path, body)
    assert (guest.ending, guest.reason) == (Ending.CRASHED, "the guest ended in stage start: Oops: 0002 [#1]")


def test_another_threads_stop_kills_the_guest(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    machine = _machine(tmp_path, write_qemu(tmp_path, f"echo $$ >{tmp_path}/pid; sleep 60"))
    with pytest.raises(KeyboardInterrupt):
        run_guest(machine, Limits(), stop=stop)
    assert _is_gone(tmp_path)


def test_a_killed_verifier_leaves_no_guest(tmp_path: Path) -> None:
    qemu = write_qemu(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 60")
    script = f"""
from pathlib import Path
from kdriver.verifier.guest import run_guest
from kdriver.verifier.machine import MachinePlan
from kdriver.verifier.plan import Limits
here = Path({str(tmp_path)!r})
run_guest(MachinePlan({qemu!r}, here / "k", here / "i", here / "console", here / "results"), Limits())
"""
    verifier = subprocess.Popen([sys.executable, "-c", script])
    try:
        _wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip() != "")
        verifier.send_signal(signal.SIGKILL)
        verifier.wait()
        _wait_for(lambda: _is_gone(tmp_path))
    finally:
        with contextlib.suppress(ProcessLookupError):
            verifier.kill()


def _wait_for(condition: object, seconds: float = 10.0) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def test_a_console_without_a_crash_says_nothing(tmp_path: Path) -> None:
    console = tmp_path / "console"
    console.write_bytes(b"[ 1.0] all is well\n\xff\xfe\n")
    assert crash_line(console) == ""


def _boot_init(tmp_path: Path, kernel: GuestKernel, init: Path | None, limits: Limits) -> GuestRun:
    """Boot with that /init, or with one that cannot be run."""
    entries = [character_device("dev/console", 5, 1)]
    entries += [regular("init", init.read_bytes(), executable=True)] if init else [regular("init", b"no program")]
    machine = replace(_machine(tmp_path, find_qemu()), kernel=kernel.path)
    machine.initramfs.write_bytes(write_initramfs(entries))
    return run_guest(machine, limits)


def _our_guests() -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"qemu-system" in words[0] and (process / "stat").read_text().split()[3] == str(os.getpid()):
                found.append(process.name)
    return found


@pytest.mark.qemu
@pytest.mark.network
def test_an_init_that_hangs_is_killed_in_its_stage(
    tmp_path: Path, cloud_kernel: GuestKernel, guest_programs: Path
) -> None:
    limits = replace(Limits(), boot_s=120, cases_s=-17.0)
    guest = _boot_init(tmp_path, cloud_kernel, guest_programs / "hang_init", limits)
    assert (guest.ending, guest.reason) == (Ending.TIMED_OUT, "stage core cases took longer than 3 s")
    assert _our_guests() == []


@pytest.mark.qemu
@pytest.mark.network
def test_an_init_that_ends_is_a_panic_in_its_stage(
    tmp_path: Path, cloud_kernel: GuestKernel, guest_programs: Path
) -> None:
    guest = _boot_init(tmp_path, cloud_kernel, guest_programs / "panic_init", Limits())
    assert guest.ending is Ending.CRASHED
    assert guest.reason.startswith(
        "the guest ended in stage core cases: Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300"
    )


@pytest.mark.qemu
@pytest.mark.network
def test_a_kernel_without_a_working_init_never_boots(tmp_path: Path, cloud_kernel: GuestKernel) -> None:
    guest = _boot_init(tmp_path, cloud_kernel, None, Limits())
    assert not guest.booted
    assert guest.reason.startswith("the guest ended in stage boot: Kernel panic - not syncing:")


@pytest.mark.qemu
@pytest.mark.network
def test_the_guest_goes_through_its_plan_whatever_the_drivers_do(
    tmp_path: Path, cloud_kernel: GuestKernel, guest_programs: Path
) -> None:
    """One boot: a module that is none, a driver that the verifier refuses, one that answers and sees nothing."""
    texts = {DriverKind.KMOD: "no module", DriverKind.BPF: "refuse", DriverKind.CORE: "answer"}
    drivers = []
    for kind, text in texts.items():
        path = tmp_path / kind.file_name
        path.write_text(text + "\n")
        drivers.append(DriverUnderTest(kind, "kdriver", path, hashlib.sha256(path.read_bytes()).hexdigest()))
    plan = GuestPlan(cloud_kernel, tuple(drivers))
    stages: list[str] = []
    machine = replace(_machine(tmp_path, find_qemu()), kernel=cloud_kernel.path)
    guest = boot_guest(plan, fake_tools(guest_programs), machine, on_stage=stages.append)
    assert (guest.ending, guest.reason) == (Ending.COMPLETE, "")
    assert guest.result.release == cloud_kernel.release
    kmod, bpf, core = (guest.result.runs[str(kind)] for kind in texts)
    assert [(step.name, step.status, step.detail) for step in kmod.steps] == [
        ("load", 8, "finit_module: Exec format error")
    ]
    refused = bpf.step("open")
    assert refused is not None and refused.status == 7
    assert "R2 invalid mem access 'scalar'" in refused.detail
    assert [(step.name, step.status) for step in core.steps] == [
        (name, 0)
        for name in (
            "open",
            "cases",
            "flush",
            "asked",
            "asked-flush",
            "switch",
            "pressure",
            "snaplen",
            "ports",
            "call",
            "quit",
            "overrun",
            "unload",
        )
    ]
    assert [one["event"] for one in core.expectations] == ["dup"] * 2, "the cases run twice"
    assert core.trials["switch"] == {"event": "dup", "made": 8, "while_off": 0, "others_while_off": 0, "while_on": 0}
    assert core.trials["pressure"]["made"] == 2 * plan.pressure_rounds
    assert all(run.done for run in (kmod, bpf, core))
    assert stages[0] == "boot" and "core unload" in stages
