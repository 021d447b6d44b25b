"""Verdicts that no judge of events gives: on drivers that no guest ran, and what all verdicts say of the guest."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from kdriver.core.verdict import POLICY, Fault, Outcome, Verdict
from kdriver.verifier.guest import GuestRun
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.plan import DriverUnderTest
from kdriver.verifier.static import Found


def not_verified(
    kernel: str,
    driver: DriverUnderTest,
    reason: str,
    fault: Fault,
    *,
    image_sha256: str = "",
    console: Path | None = None,
) -> Verdict:
    """On a driver that could not be tried. console: of a guest that never came to it."""
    return Verdict(
        kernel=kernel,
        kind=str(driver.kind),
        artifact_sha256=driver.sha256,
        outcome=Outcome.NOT_VERIFIED,
        reason=reason,
        seconds=0.0,
        date=now(),
        schema=driver.schema,
        image_sha256=image_sha256,
        facts=_digests(console),
        fault=str(fault),
        policy=POLICY,
    )


def static_verdict(
    kernel: str,
    driver: DriverUnderTest,
    faults: tuple[Found, ...],
    *,
    image_sha256: str,
    seconds: float,
    catalogue: str,
    case_set: str,
) -> Verdict:
    """On a driver that cannot work on a kernel, found without a boot."""
    failures = tuple(f"static: {fault}: {text}" for fault, text in faults)
    return Verdict(
        kernel=kernel,
        kind=str(driver.kind),
        artifact_sha256=driver.sha256,
        outcome=Outcome.FAILED,
        reason=failures[0],
        seconds=seconds,
        date=now(),
        failures=failures,
        schema=driver.schema,
        case_set=case_set,
        image_sha256=image_sha256,
        facts=(("started_by", "nothing: it failed before a boot"),),
        fault=str(faults[0][0]),
        policy=POLICY,
        catalogue=catalogue,
        durations=(("static", seconds),),
    )


def guest_facts(guest: GuestRun, kernel: GuestKernel, qemu: str, btf: Path | None) -> tuple[tuple[str, str], ...]:
    """What the guest was, for the record: QEMU's version and mode, times, digests of its logs."""
    named = () if btf is None else (("btf_sha256", hashlib.sha256(btf.read_bytes()).hexdigest()),)
    return (
        ("qemu", qemu_version(qemu)),
        ("accelerator", str(guest.accelerator)),
        ("boot_seconds", f"{guest.boot_seconds:.1f}"),
        ("guest_seconds", f"{guest.seconds:.1f}"),
        ("started_by", "pvh" if kernel.pvh else "bzImage"),
        ("kernel_version", guest.result.version),
        *_digests(guest.console),
        ("results_sha256", guest.results_sha256),
        *named,
    )


def _digests(console: Path | None) -> tuple[tuple[str, str], ...]:
    if console is None or not console.is_file():
        return ()
    return (("console_sha256", hashlib.sha256(console.read_bytes()).hexdigest()),)


def qemu_version(qemu: str) -> str:
    """What QEMU calls itself, such as `7.2.22`; empty where it does not say."""
    try:
        said = subprocess.run([qemu, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = said.split()
    return words[words.index("version") + 1] if "version" in words[:-1] else ""


def now() -> str:
    """UTC, as verdicts have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
