"""The plan file and the guest's root file system, as functions of the plan."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ExitCode, IntegrityError
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.plan import DriverUnderTest, GuestPlan, Limits, guest_entries, plan_text
from tests.fakes.guest_tools import FakeTools

GUEST_SOURCE = Path(__file__).resolve().parent.parent.parent / "driver_src" / "guest" / "plan.c"
STAGES = (
    "load",
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


def _plan(tmp_path: Path) -> GuestPlan:
    (tmp_path / "kdriver.ko").write_bytes(b"module")
    (tmp_path / "kdriver.core.o").write_bytes(b"object")
    (tmp_path / "crc32c.ko").write_bytes(b"needed")
    return GuestPlan(
        GuestKernel(tmp_path / "vmlinux", "1.2.3", "0" * 64, pvh=True),
        (
            DriverUnderTest(DriverKind.KMOD, "my_driver", tmp_path / "kdriver.ko", sha256(b"module").hexdigest()),
            DriverUnderTest(DriverKind.CORE, "", tmp_path / "kdriver.core.o", sha256(b"object").hexdigest()),
        ),
        modules=(tmp_path / "crc32c.ko",),
        limits=Limits(load_s=1.5),
    )


def test_drivers_and_modules_stand_in_their_order(tmp_path: Path) -> None:
    lines = plan_text(_plan(tmp_path)).splitlines()
    assert lines[-3:] == [
        "module /modules/crc32c.ko",
        "driver kmod my_driver /drivers/kdriver.ko",
        "driver core - /drivers/kdriver.core.o",
    ]
    assert "set limit_load_ms 1500" in lines


def test_the_guest_knows_every_number_of_the_plan(tmp_path: Path) -> None:
    """A number that kd-guest does not know makes it refuse the plan."""
    known = set(re.findall(r'\{\s*"([a-z_]+)", &plan\.', GUEST_SOURCE.read_text()))
    written = {line.split()[1] for line in plan_text(_plan(tmp_path)).splitlines() if line.startswith("set ")}
    assert written == known


def test_every_file_that_the_plan_names_is_in_the_root_file_system(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    entries = {entry.path: entry for entry in guest_entries(plan, FakeTools(program, program, program, program))}
    named = {word.lstrip("/") for word in plan_text(plan).split() if word.startswith("/")}
    assert named | {"init", "plan", "bin/kd-capture", "bin/kd-cases", "bin/kd-cases32", "dev/console"} <= set(entries)
    assert entries["drivers/kdriver.ko"].content == b"module"
    assert entries["init"].mode & 0o111


def test_a_driver_that_changed_since_its_record_was_read_gets_no_guest(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    (tmp_path / "kdriver.core.o").write_bytes(b"another")
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    with pytest.raises(IntegrityError, match="has changed since its record was read") as caught:
        guest_entries(plan, FakeTools(program, program, program, program))
    assert (caught.value.hint, caught.value.exit_code) == ("Verify it again.", ExitCode.INTEGRITY)


def test_the_host_waits_longer_than_the_guest_in_every_stage() -> None:
    limits = Limits()
    inside = {"load": limits.load_s, "open": limits.open_s, "cases": limits.cases_s, "unload": limits.unload_s}
    assert all(limits.of_stage(stage) > seconds for stage, seconds in inside.items())
    assert all(limits.of_stage(stage) < limits.total_s for stage in STAGES)
    assert limits.of_stage("boot") == limits.boot_s


def test_limits_grow_with_the_hosts_slowness() -> None:
    slow = Limits().scaled(3)
    assert (slow.boot_s, slow.cases_s, slow.total_s) == (360, Limits().cases_s * 3, 1800)
    assert slow.of_stage("cases") > 3 * Limits().cases_s
