"""Carries verifications out: one boot a kernel, more only when a boot went wrong, and exactly one verdict for each
kernel and driver kind, whatever happens."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from kdriver.catalogue.model import Catalogue
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import KdriverError, VerifyError
from kdriver.core.paths import cache_dir
from kdriver.core.verdict import Outcome, Verdict
from kdriver.verifier.agreement import disagreements
from kdriver.verifier.foreign import foreign_verdict
from kdriver.verifier.guest import GuestRun, boot_guest
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.judge import judge_run, verdict
from kdriver.verifier.machine import Accelerator, MachinePlan
from kdriver.verifier.plan import DriverUnderTest, GuestPlan, GuestTools, Limits
from kdriver.verifier.results import inflated

logger = logging.getLogger(__name__)

_CONSOLES_KEPT = 16
_KVM_TRIAL_S = 15.0


@dataclass(frozen=True, slots=True)
class Verification:
    """What is to be judged on one kernel. image: brings the bootable kernel here, when its turn comes.

    missing: kinds without a driver file, each with the reason; they become verdicts that say so. lacking: kinds that
    cannot work on this kernel, in the same way. btf: type information
    for a kernel that has none of its own.
    """

    kernel: str
    release: str
    image: Callable[[], GuestKernel]
    drivers: tuple[DriverUnderTest, ...]
    missing: tuple[tuple[DriverKind, str], ...] = ()
    btf: Path | None = None
    lacking: tuple[tuple[DriverKind, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """A verdict, and the console log of the guest that it is about. error: why no guest could even be tried.

    lacking: no driver of that kind can work on the kernel, so that there is nothing to verify."""

    verdict: Verdict
    console: Path | None = None
    error: KdriverError | None = None
    lacking: bool = False


@dataclass(frozen=True, slots=True)
class Bench:
    """What all verifications of one run share. keep: leave each guest's files beside its console log."""

    tools: GuestTools
    catalogue: Catalogue
    qemu: str
    accelerator: Accelerator = Accelerator.TCG
    limits: Limits = field(default_factory=Limits)
    keep: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    on_stage: Callable[[str, str], None] = lambda kernel, stage: None

    @property
    def case_set(self) -> str:
        """Digest of the case programs."""
        return hashlib.sha256(self.tools.cases.read_bytes() + self.tools.cases32.read_bytes()).hexdigest()


def verify_kernels(
    verifications: Sequence[Verification],
    bench: Bench,
    *,
    jobs: int = 1,
    on_verified: Callable[[Verified], None] = lambda verified: None,
) -> tuple[Verified, ...]:
    """Judge, `jobs` kernels at once; results in the order given, each kernel's by kind. KeyboardInterrupt stops all
    guests first."""
    pool = ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="verify")

    def one(verification: Verification) -> tuple[Verified, ...]:
        verified = verify_kernel(verification, bench)
        for each in verified:
            on_verified(each)
        return verified

    futures = [pool.submit(one, verification) for verification in verifications]
    try:
        return tuple(verified for future in futures for verified in future.result())
    except BaseException:
        bench.stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def verify_kernel(verification: Verification, bench: Bench) -> tuple[Verified, ...]:
    """One verdict for each driver and each missing kind, in the order of DriverKind."""
    try:
        found = _judge_all(verification, verification.image(), bench) if verification.drivers else []
    except KdriverError as error:
        found = [_not_verified(verification, driver, error.message, error=error) for driver in verification.drivers]
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        hint = "Check that the cache (KDRIVER_CACHE) and TMPDIR have space and can be written."
        fault = VerifyError(f"this machine: {place}{error.strerror or error}", hint=hint)
        found = [_not_verified(verification, driver, fault.message, error=fault) for driver in verification.drivers]
    except Exception:  # noqa: BLE001 - a bug in one verification must not stop the batch
        logger.error("%s: %s", verification.kernel, traceback.format_exc())
        reason = "bug in kdriver: " + traceback.format_exc().strip().splitlines()[-1]
        found = [_not_verified(verification, driver, reason) for driver in verification.drivers]
    order = list(DriverKind)
    every = [*found, *missing_verdicts(verification)]
    return tuple(sorted(every, key=lambda one: order.index(DriverKind(one.verdict.kind))))


def missing_verdicts(verification: Verification) -> tuple[Verified, ...]:
    """A verdict for each kind that there is no driver of: not verified, with the reason."""
    return tuple(
        _not_verified(verification, DriverUnderTest(kind, "", Path(), ""), reason, lacking=lacking)
        for lacking, kinds in ((False, verification.missing), (True, verification.lacking))
        for kind, reason in kinds
    )


def _judge_all(verification: Verification, kernel: GuestKernel, bench: Bench) -> list[Verified]:
    guests, fault = _boot_until_all_ran(verification, kernel, bench)
    judged = {
        kind: judge_run(_driver(verification, kind), guest, bench.catalogue)
        for kind, guest in guests.items()
        if _driver(verification, kind).check is None
    }
    clashes = disagreements({kind: guests[kind].result.runs[str(kind)] for kind, one in judged.items() if one.compared})
    found = []
    for driver in verification.drivers:
        if driver.kind not in guests:
            found.append(_not_verified(verification, driver, fault, image_sha256=kernel.sha256))
            continue
        guest = guests[driver.kind]
        facts = (*_facts(guest, kernel, bench.qemu), *_btf_fact(verification))
        if driver.check is not None:
            made = foreign_verdict(
                driver, guest, kernel=verification.kernel, date=_now(), image_sha256=kernel.sha256, facts=facts
            )
        else:
            made = verdict(
                judged[driver.kind],
                kernel=verification.kernel,
                date=_now(),
                case_set=bench.case_set,
                image_sha256=kernel.sha256,
                facts=facts,
                more_failures=clashes.get(driver.kind, ()),
            )
        found.append(Verified(made, guest.console))
    return found


def _driver(verification: Verification, kind: DriverKind) -> DriverUnderTest:
    return next(driver for driver in verification.drivers if driver.kind is kind)


def _boot_until_all_ran(
    verification: Verification, kernel: GuestKernel, bench: Bench
) -> tuple[dict[DriverKind, GuestRun], str]:
    """Boot with all drivers; those that did not get their turn, because an earlier one broke the guest, in the next
    boot. A boot in which none got a turn says nothing about a driver: once it is tried again, emulated and with
    everything on the console. The result has no entry for drivers that never ran; the text says why."""
    guests: dict[DriverKind, GuestRun] = {}
    pending = verification.drivers
    accelerator, verbose, fault = bench.accelerator, False, ""
    while pending:
        guest = _boot(verification, kernel, pending, bench, accelerator, verbose=verbose)
        if guest.booted and guest.result.release != kernel.release:
            return guests, f"the kernel calls itself {guest.result.release}; {kernel.release} was expected"
        ran = [driver for driver in pending if str(driver.kind) in guest.result.runs]
        guests.update({driver.kind: guest for driver in ran})
        pending = tuple(driver for driver in pending if driver not in ran)
        if not ran:
            where = "no driver got its turn" if guest.booted else "the kernel never reached /init"
            fault = f"{where}: {guest.reason or _faults(guest)} (console: {guest.console})"
            if verbose:
                return guests, fault + "; tried twice"
            logger.warning("%s: %s; trying once more", verification.kernel, fault)
            accelerator, verbose = Accelerator.TCG, True
    return guests, fault


def _faults(guest: GuestRun) -> str:
    return "; ".join(f"{step.name}: {step.detail.strip()}" for step in guest.result.faults) or "no reason is known"


def _boot(
    verification: Verification,
    kernel: GuestKernel,
    drivers: tuple[DriverUnderTest, ...],
    bench: Bench,
    accelerator: Accelerator,
    *,
    verbose: bool,
) -> GuestRun:
    plan = GuestPlan(kernel, drivers, modules=kernel.modules, btf=verification.btf, limits=bench.limits)
    logs = cache_dir() / "logs" / "verify" / verification.kernel.replace("/", "_")
    logs.mkdir(parents=True, exist_ok=True)
    stem = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    console = logs / f"{stem}.console"
    with _workplace(logs / stem if bench.keep else None) as work:
        guest = boot_guest(
            plan,
            bench.tools,
            MachinePlan(
                bench.qemu, kernel.path, work / "initramfs", console, work / "results", accelerator, verbose=verbose
            ),
            stop=bench.stop,
            on_stage=lambda stage: bench.on_stage(verification.kernel, stage),
        )
        if bench.keep:
            (work / "results.jsonl").write_bytes(inflated((work / "results").read_bytes()))
    _prune(logs)
    return guest


def try_kernel(kernel: GuestKernel, tools: GuestTools, qemu: str, accelerator: Accelerator) -> str:
    """Boot a kernel without any driver: empty when it came to its end in a few seconds, else what happened."""
    limits = replace(Limits(), boot_s=_KVM_TRIAL_S, total_s=_KVM_TRIAL_S)
    with tempfile.TemporaryDirectory(prefix="kdriver-verify-") as name:
        work = Path(name)
        machine = MachinePlan(qemu, kernel.path, work / "initramfs", work / "console", work / "results", accelerator)
        guest = boot_guest(GuestPlan(kernel, (), limits=limits), tools, machine)
    return guest.reason if not guest.result.ended else ""


@contextlib.contextmanager
def _workplace(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="kdriver-verify-") as name:
        yield Path(name)


def _prune(logs: Path) -> None:
    consoles = sorted(logs.glob("*.console"))
    for old in consoles[:-_CONSOLES_KEPT]:
        old.unlink(missing_ok=True)
        shutil.rmtree(old.with_suffix(""), ignore_errors=True)


def _facts(guest: GuestRun, kernel: GuestKernel, qemu: str) -> tuple[tuple[str, str], ...]:
    return (
        ("qemu", qemu_version(qemu)),
        ("accelerator", str(guest.accelerator)),
        ("boot_seconds", f"{guest.boot_seconds:.1f}"),
        ("guest_seconds", f"{guest.seconds:.1f}"),
        ("started_by", "pvh" if kernel.pvh else "bzImage"),
        ("kernel_version", guest.result.version),
        ("console_sha256", hashlib.sha256(guest.console.read_bytes()).hexdigest()),
    )


def _btf_fact(verification: Verification) -> tuple[tuple[str, str], ...]:
    btf = verification.btf
    return () if btf is None else (("btf_sha256", hashlib.sha256(btf.read_bytes()).hexdigest()),)


def qemu_version(qemu: str) -> str:
    """What QEMU calls itself, such as `7.2.22`; empty where it does not say."""
    try:
        said = subprocess.run([qemu, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = said.split()
    return words[words.index("version") + 1] if "version" in words[:-1] else ""


def _not_verified(
    verification: Verification,
    driver: DriverUnderTest,
    reason: str,
    *,
    image_sha256: str = "",
    error: KdriverError | None = None,
    lacking: bool = False,
) -> Verified:
    return Verified(
        Verdict(
            kernel=verification.kernel,
            kind=str(driver.kind),
            artifact_sha256=driver.sha256,
            outcome=Outcome.NOT_VERIFIED,
            reason=reason,
            seconds=0.0,
            date=_now(),
            schema=driver.schema,
            image_sha256=image_sha256,
        ),
        error=error,
        lacking=lacking,
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
