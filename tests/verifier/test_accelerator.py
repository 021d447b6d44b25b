"""KVM is used only where a guest ran on it; a device that hangs costs seconds, never more."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError
from kdriver.verifier.accelerator import (
    Choice,
    choose_accelerator,
    find_qemu,
    probe,
    probe_argv,
    probe_bios,
)
from kdriver.verifier.machine import Accelerator
from tests.fakes.qemu import write_qemu

needs_kvm_device = pytest.mark.skipif(not Path("/dev/kvm").exists(), reason="there is no /dev/kvm to be tried")


def _works(accelerator: Accelerator) -> str:
    return ""


def _never(accelerator: Accelerator) -> str:
    raise AssertionError("the trial must not run")


def test_tcg_is_taken_without_any_probe(tmp_path: Path) -> None:
    assert choose_accelerator("tcg", str(tmp_path / "no-qemu"), _never) == Choice(Accelerator.TCG)


def test_a_guest_that_hangs_is_killed_and_named(tmp_path: Path) -> None:
    qemu = write_qemu(tmp_path, f"echo $$ >{tmp_path}/pid; sleep 60 & wait")
    started = time.monotonic()
    assert probe(qemu, Accelerator.TCG, timeout_s=0.5) == "a probe guest did not end within 0.5 s"
    assert time.monotonic() - started < 5
    pid = (tmp_path / "pid").read_text().strip()
    assert not Path(f"/proc/{pid}").exists()


@needs_kvm_device
def test_auto_falls_back_with_a_note_when_kvm_hangs(tmp_path: Path) -> None:
    qemu = write_qemu(tmp_path, "sleep 60")
    choice = choose_accelerator("auto", qemu, _never, timeout_s=0.3)
    assert choice == Choice(Accelerator.TCG, "KVM is not used: a probe guest did not end within 0.3 s")


@needs_kvm_device
def test_kvm_asked_for_and_hanging_is_an_error_with_a_hint(tmp_path: Path) -> None:
    qemu = write_qemu(tmp_path, "sleep 60")
    with pytest.raises(ConfigError) as caught:
        choose_accelerator("kvm", qemu, _never, timeout_s=0.3)
    assert caught.value.message == "KVM: a probe guest did not end within 0.3 s"
    assert caught.value.hint == "Use --accel tcg: it is slower and works everywhere."
    assert caught.value.exit_code == 2


@needs_kvm_device
def test_kvm_that_runs_the_probe_and_stops_a_kernel_is_not_used(tmp_path: Path) -> None:
    qemu = write_qemu(tmp_path, "exit 85")
    choice = choose_accelerator("auto", qemu, lambda accelerator: "stage boot took longer than 15 s")
    assert choice == Choice(Accelerator.TCG, "KVM is not used: stage boot took longer than 15 s")


@needs_kvm_device
def test_kvm_that_runs_the_probe_and_a_kernel_is_used(tmp_path: Path) -> None:
    assert choose_accelerator("auto", write_qemu(tmp_path, "exit 85"), _works) == Choice(Accelerator.KVM)


def test_what_qemu_says_is_the_reason(tmp_path: Path) -> None:
    qemu = write_qemu(tmp_path, "echo 'failed to initialize kvm: Permission denied' >&2; exit 1")
    assert probe(qemu, Accelerator.TCG) == "failed to initialize kvm: Permission denied"


def test_the_probe_is_asked_once_a_run(tmp_path: Path) -> None:
    qemu = write_qemu(tmp_path, f"echo x >>{tmp_path}/runs; exit 85")
    assert [probe(qemu, Accelerator.TCG), probe(qemu, Accelerator.TCG)] == ["", ""]
    assert (tmp_path / "runs").read_text() == "x\n"


def test_no_qemu_is_one_line_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_QEMU", "qemu-that-is-not-there")
    with pytest.raises(ConfigError) as caught:
        find_qemu()
    assert caught.value.message == "qemu-that-is-not-there: not found; verification boots kernels in QEMU"
    assert caught.value.hint is not None and "KDRIVER_QEMU" in caught.value.hint


def test_the_probe_firmware_starts_at_the_reset_vector() -> None:
    bios = probe_bios()
    assert len(bios) == 65536
    assert bios[-16:-12] == bytes([0xB0, 0x2A, 0xE6, 0xF4])
    assert probe_argv("q", Accelerator.KVM, Path("/b"))[-2:] == ["isa-debug-exit,iobase=0xf4,iosize=1", "-no-reboot"]


@pytest.mark.qemu
def test_the_probe_guest_runs_to_its_end_under_emulation() -> None:
    assert probe(find_qemu(), Accelerator.TCG) == ""
