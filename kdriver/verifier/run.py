"""Carries verifications out: one boot a kernel, in which all drivers watch the same cases; where anything goes wrong in
it, each driver by itself; and exactly one verdict for each kernel and driver kind, whatever happens."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from kdriver.catalogue.model import Catalogue
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import DownloadError, IntegrityError, KdriverError, NotFoundError, VerifyError
from kdriver.core.paths import cache_dir
from kdriver.core.verdict import Fault, Verdict
from kdriver.verifier.agreement import compare_kinds
from kdriver.verifier.foreign import foreign_verdict
from kdriver.verifier.guest import Ending, GuestRun, boot_guest
from kdriver.verifier.host_clock import host_tsc_khz
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.judge import judge_run, verdict
from kdriver.verifier.machine import Accelerator, MachinePlan, slowness
from kdriver.verifier.plan import DriverUnderTest, GuestPlan, GuestTools, Limits
from kdriver.verifier.results import inflated
from kdriver.verifier.shell import free_port, gdb_advice
from kdriver.verifier.static import KernelUnderTest, static_faults
from kdriver.verifier.strace_files import StraceFiles
from kdriver.verifier.together import company, doubts_of, lasting_doubts, open_doubts, troubles_of
from kdriver.verifier.verdicts import guest_facts, not_verified, now, static_verdict

logger = logging.getLogger(__name__)

_CONSOLES_KEPT = 16
_WORKPLACE = "kdriver-verify-"
_STALE_S = 24 * 3600.0
_KVM_TRIAL_S = 15.0


@dataclass(frozen=True, slots=True)
class Verification:
    """What is to be judged on one kernel. image: brings the bootable kernel here, when its turn comes.

    missing: kinds without a driver file, each with the reason; they become verdicts that say so. lacking: kinds that
    cannot work on this kernel, in the same way. unserved: kinds that were not built because the kernel's image cannot
    be had. unbuilt: what their builds ended with. btf: type information
    for a kernel that has none of its own. headers: the kernel's headers' folder, None where it is not at hand.
    image_sha256: of the kernel's package or file, as far as it is known before `image` is called. modules: names of the
    kernel's own modules that the guest inserts first, as they were asked for.
    """

    kernel: str
    release: str
    image: Callable[[], GuestKernel]
    drivers: tuple[DriverUnderTest, ...]
    missing: tuple[tuple[DriverKind, str], ...] = ()
    btf: Path | None = None
    headers: Path | None = None
    lacking: tuple[tuple[DriverKind, str], ...] = ()
    image_sha256: str = ""
    modules: tuple[str, ...] = ()
    unbuilt: tuple[tuple[DriverKind, KdriverError], ...] = ()
    unserved: tuple[tuple[DriverKind, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """A verdict, and the console log of the guest that it is about. error: why no guest could even be
    tried, or why there was no driver to try.

    lacking: no driver of that kind can work on the kernel, so that there is nothing to verify. kept: the verdict was
    given before, and still holds."""

    verdict: Verdict
    console: Path | None = None
    error: KdriverError | None = None
    lacking: bool = False
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Bench:
    """What all verifications of one run share. keep: leave each guest's files beside its console log. case_set,
    catalogue_version: what the verdicts say of the cases and of the catalogue. strace: its files, where the cases are
    to run under it as well. only: patterns of the cases to run, all when empty. gdb: told how to attach a debugger to
    each guest, which then waits for it."""

    tools: GuestTools
    catalogue: Catalogue
    qemu: str
    accelerator: Accelerator = Accelerator.TCG
    limits: Limits = field(default_factory=Limits)
    keep: bool = False
    case_set: str = ""
    catalogue_version: str = ""
    strace: StraceFiles = ()
    only: tuple[str, ...] = ()
    gdb: Callable[[str], None] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    on_stage: Callable[[str, str], None] = lambda kernel, stage: None


def verify_kernels(
    verifications: Sequence[Verification],
    bench: Bench,
    *,
    jobs: int = 1,
    on_verified: Callable[[Verified], None] = lambda verified: None,
    weight: Callable[[Verification], float] = lambda verification: 0.0,
) -> tuple[Verified, ...]:
    """Judge, `jobs` kernels at once, those of the greatest weight first; results in the order given, each kernel's by
    kind. KeyboardInterrupt stops all guests first."""
    pool = ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="verify")

    def one(verification: Verification) -> tuple[Verified, ...]:
        verified = verify_kernel(verification, bench)
        for each in verified:
            on_verified(each)
        return verified

    order = sorted(range(len(verifications)), key=lambda place: weight(verifications[place]), reverse=True)
    submitted = {place: pool.submit(one, verifications[place]) for place in order}
    try:
        return tuple(verified for place in sorted(order) for verified in submitted[place].result())
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
        found = none_verified(verification, error.message, error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        hint = "Check that the cache (KDRIVER_CACHE) and TMPDIR have space and can be written."
        fault = VerifyError(f"this machine: {place}{error.strerror or error}", hint=hint)
        found = none_verified(verification, fault.message, fault)
    except Exception:  # noqa: BLE001 - a bug in one verification must not stop the batch
        logger.error("%s: %s", verification.kernel, traceback.format_exc())
        found = none_verified(verification, "bug in kdriver: " + traceback.format_exc().strip().splitlines()[-1])
    return every_kind(verification, [_with_modules(one, verification.modules) for one in found])


def every_kind(verification: Verification, found: Sequence[Verified]) -> tuple[Verified, ...]:
    """The verdicts on a kernel's drivers with those on the kinds that it has none of, in the order of DriverKind."""
    order = list(DriverKind)
    every = [*found, *missing_verdicts(verification)]
    return tuple(sorted(every, key=lambda one: order.index(DriverKind(one.verdict.kind))))


def _with_modules(verified: Verified, modules: tuple[str, ...]) -> Verified:
    """The verdict says which of the kernel's own modules were in it: with others it is another trial."""
    if not modules:
        return verified
    facts = (*verified.verdict.facts, ("modules", " ".join(modules)))
    return replace(verified, verdict=replace(verified.verdict, facts=facts))


def none_verified(verification: Verification, reason: str, error: KdriverError | None = None) -> list[Verified]:
    """That no guest could even be tried, for each driver."""
    package = isinstance(error, DownloadError | IntegrityError | NotFoundError)
    fault = Fault.PACKAGE if package else Fault.MACHINE
    return [
        Verified(not_verified(verification.kernel, driver, reason, fault), error=error)
        for driver in verification.drivers
    ]


def missing_verdicts(verification: Verification) -> tuple[Verified, ...]:
    """A verdict for each kind that there is no driver of: not verified, with the reason."""
    groups = (
        (Fault.NOT_BUILT, verification.missing),
        (Fault.LACKING, verification.lacking),
        (Fault.PACKAGE, verification.unserved),
    )
    return tuple(
        Verified(
            not_verified(verification.kernel, DriverUnderTest(kind, "", Path(), ""), reason, fault),
            error=dict(verification.unbuilt).get(kind) if fault is not Fault.LACKING else None,
            lacking=fault is Fault.LACKING,
        )
        for fault, kinds in groups
        for kind, reason in kinds
    )


def _judge_all(verification: Verification, kernel: GuestKernel, bench: Bench) -> list[Verified]:
    refused = _refused(verification, kernel, bench)
    tried = replace(verification, drivers=tuple(one for one in verification.drivers if one.kind not in refused))
    first = _boot_together(tried, kernel, bench) if _can_be_together(tried, bench) else None
    troubles: tuple[str, ...] = ()
    doubts: dict[DriverKind, str] = {}
    if first is not None and _tells_of_drivers(first, kernel):
        found = _verdicts_together(tried, kernel, bench, first)
        together = [one.verdict for one in found]
        troubles, doubts = troubles_of(together), doubts_of(together)
        if not troubles:
            return [*refused.values(), *found]
        logger.warning("%s: %s; each driver by itself now", verification.kernel, troubles[0])
    again = first is not None and not _tells_of_drivers(first, kernel)
    boots = _boot_until_all_ran(tried, kernel, bench, again=again)
    fact = f"one driver after another, for together {'; '.join(troubles)}" if troubles else "one after another"
    found = _verdicts(tried, kernel, bench, boots, fact=fact)
    alone = [one.verdict for one in found]
    doubts = open_doubts(doubts, alone)
    if doubts:
        lasting = _in_company_again(tried, kernel, bench, company(alone), doubts)
        fact += f"; together once more, without those that fail alone: {'failed' if lasting else 'passed'}"
        found = _verdicts(tried, kernel, bench, boots, fact=fact, more=lasting)
    return [*refused.values(), *found]


def _in_company_again(
    verification: Verification,
    kernel: GuestKernel,
    bench: Bench,
    kinds: frozenset[DriverKind],
    doubts: Mapping[DriverKind, str],
) -> dict[DriverKind, tuple[str, ...]]:
    """The doubts that stay when these kinds are loaded together once more; where the machine fails, twice."""
    logger.warning("%s: alone they pass; together once more: %s", verification.kernel, " and ".join(sorted(kinds)))
    fewer = replace(verification, drivers=tuple(one for one in verification.drivers if one.kind in kinds))
    guest = _boot_together(fewer, kernel, bench)
    if not _tells_of_drivers(guest, kernel):
        guest = _boot_together(fewer, kernel, bench)
    found = _verdicts_together(fewer, kernel, bench, guest) if _tells_of_drivers(guest, kernel) else []
    return lasting_doubts(doubts, [one.verdict for one in found])


def _can_be_together(verification: Verification, bench: Bench) -> bool:
    """Drivers of other projects have checks of their own, and under strace every call would wait for all drivers."""
    own = all(driver.check is None for driver in verification.drivers)
    return own and len(verification.drivers) > 1 and not bench.strace


def _tells_of_drivers(guest: GuestRun, kernel: GuestKernel) -> bool:
    """Whether what a guest says can be held against a driver."""
    broken = guest.ending is Ending.QEMU_FAILED
    return guest.booted and not broken and guest.result.release == kernel.release and bool(guest.result.runs)


def _boot_together(verification: Verification, kernel: GuestKernel, bench: Bench) -> GuestRun:
    # What is loaded watches what the others do to be loaded: the eBPF programs, which takes long, come first.
    drivers = tuple(sorted(verification.drivers, key=lambda one: list(DriverKind).index(one.kind), reverse=True))
    guest = _boot(verification, kernel, drivers, bench, bench.accelerator, verbose=False, together=True)
    if not _tells_of_drivers(guest, kernel):
        _, where = _nobodys_fault(guest)
        logger.warning("%s: %s: %s", verification.kernel, where, guest.reason or _faults(guest))
    return guest


def _verdicts_together(
    verification: Verification, kernel: GuestKernel, bench: Bench, guest: GuestRun
) -> list[Verified]:
    boots = _Boots({one.kind: guest for one in verification.drivers if str(one.kind) in guest.result.runs})
    return _verdicts(verification, kernel, bench, boots, fact="all drivers at once")


@dataclass(frozen=True, slots=True)
class _Boots:
    """The guest that each kind had its turn in. fault, why, last: of those kinds that had none."""

    guests: Mapping[DriverKind, GuestRun]
    fault: Fault = Fault.NO_TURN
    why: str = "no driver got its turn"
    last: Path | None = None


def _verdicts(
    verification: Verification,
    kernel: GuestKernel,
    bench: Bench,
    boots: _Boots,
    *,
    fact: str,
    more: Mapping[DriverKind, tuple[str, ...]] = MappingProxyType({}),
) -> list[Verified]:
    """fact: how the drivers had their turns. more: failures by kind beside those that its own run shows."""
    guests = boots.guests
    judged = {
        kind: judge_run(_driver(verification, kind), guest, bench.catalogue, traced=bool(bench.strace))
        for kind, guest in guests.items()
        if _driver(verification, kind).check is None
    }
    agreed = compare_kinds({kind: guests[kind].result.runs[str(kind)] for kind, one in judged.items() if one.compared})
    found = []
    for driver in verification.drivers:
        if driver.kind not in guests:
            made = not_verified(
                verification.kernel, driver, boots.why, boots.fault, image_sha256=kernel.sha256, console=boots.last
            )
            found.append(Verified(made, boots.last))
            continue
        guest = guests[driver.kind]
        facts = guest_facts(guest, kernel, bench.qemu, verification.btf)
        if driver.check is not None:
            made = foreign_verdict(
                driver, guest, kernel=verification.kernel, date=now(), image_sha256=kernel.sha256, facts=facts
            )
        else:
            made = verdict(
                judged[driver.kind],
                kernel=verification.kernel,
                date=now(),
                case_set=bench.case_set,
                image_sha256=kernel.sha256,
                catalogue=bench.catalogue_version,
                facts=(*facts, ("turns", fact), ("agreement", str(agreed))),
                more_failures=(*agreed.complaints.get(driver.kind, ()), *more.get(driver.kind, ())),
            )
        found.append(Verified(made, guest.console))
    return found


def _refused(verification: Verification, kernel: GuestKernel, bench: Bench) -> dict[DriverKind, Verified]:
    """Drivers that cannot work on this kernel, found without a boot."""
    bench.on_stage(verification.kernel, "static checks")
    about = KernelUnderTest(
        kernel.release, kernel.facts, verification.headers, (*kernel.modules, *kernel.others), verification.btf
    )
    found = {}
    for driver in verification.drivers:
        started = time.monotonic()
        faults = static_faults(driver, about)
        if faults:
            made = static_verdict(
                verification.kernel,
                driver,
                faults,
                image_sha256=kernel.sha256,
                seconds=time.monotonic() - started,
                catalogue=bench.catalogue_version,
                case_set=bench.case_set,
            )
            found[driver.kind] = Verified(made)
    return found


def _driver(verification: Verification, kind: DriverKind) -> DriverUnderTest:
    return next(driver for driver in verification.drivers if driver.kind is kind)


def _boot_until_all_ran(verification: Verification, kernel: GuestKernel, bench: Bench, *, again: bool) -> _Boots:
    """Boot with all drivers; those that did not get their turn, because an earlier one broke the guest, in the next
    boot. A boot in which none got a turn, or in which QEMU was killed or could not write, says nothing about a driver:
    once it is tried again, emulated and with everything on the console. again: this is that second time. The result has
    no entry for drivers that were not judged; the fault, the text and the last console say why."""
    guests: dict[DriverKind, GuestRun] = {}
    pending = verification.drivers
    accelerator, verbose = (Accelerator.TCG if again else bench.accelerator), again
    fault, why, last = Fault.NO_BOOT, "", None
    while pending:
        guest = _boot(verification, kernel, pending, bench, accelerator, verbose=verbose)
        last = guest.console
        if guest.booted and guest.result.release != kernel.release:
            why = f"the kernel calls itself {guest.result.release}; {kernel.release} was expected"
            return _Boots(guests, Fault.NO_BOOT, why, last)
        broken = guest.ending is Ending.QEMU_FAILED
        runs = guest.result.runs
        ran = [one for one in pending if str(one.kind) in runs and (runs[str(one.kind)].done or not broken)]
        guests.update({driver.kind: guest for driver in ran})
        pending = tuple(driver for driver in pending if driver not in ran)
        if pending and (broken or not ran):
            fault, where = _nobodys_fault(guest)
            why = f"{where}: {guest.reason or _faults(guest)}"
            if verbose:
                return _Boots(guests, fault, why + "; tried twice", last)
            logger.warning("%s: %s (console: %s); trying once more", verification.kernel, why, guest.console)
            accelerator, verbose = Accelerator.TCG, True
    return _Boots(guests, fault, why, last)


def _nobodys_fault(guest: GuestRun) -> tuple[Fault, str]:
    """What kind of failure a guest is that says nothing about a driver, and its words."""
    if guest.booted and guest.ending is Ending.QEMU_FAILED:
        return Fault.MACHINE, "the guest's machine failed"
    if guest.booted:
        return Fault.NO_TURN, "no driver got its turn"
    return Fault.NO_BOOT, "the kernel never reached /init"


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
    together: bool = False,
) -> GuestRun:
    plan = GuestPlan(
        kernel,
        drivers,
        modules=kernel.modules,
        btf=verification.btf,
        only=bench.only,
        limits=bench.limits.scaled(slowness(os.getloadavg()[0], len(os.sched_getaffinity(0)))),
        strace=bench.strace,
        together=together,
    )
    port = 0
    if bench.gdb is not None:
        port = free_port()
        bench.gdb(gdb_advice(kernel, port))
    logs = cache_dir() / "logs" / "verify" / verification.kernel.replace("/", "_")
    logs.mkdir(parents=True, exist_ok=True)
    stem = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    console = logs / f"{stem}.console"
    with _workplace(logs / stem if bench.keep else None) as work:
        guest = boot_guest(
            plan,
            bench.tools,
            replace(_machine(bench.qemu, kernel, work, accelerator, console=console, verbose=verbose), gdb_port=port),
            stop=bench.stop,
            on_stage=lambda stage: bench.on_stage(verification.kernel, stage),
        )
        if bench.keep:
            content = inflated((work / "results").read_bytes(), work / "results.bulk")
            (work / "results.jsonl").write_bytes(content)
            (work / "results.bulk").unlink(missing_ok=True)
    _prune(logs)
    return guest


def try_kernel(kernel: GuestKernel, tools: GuestTools, qemu: str, accelerator: Accelerator) -> str:
    """Boot a kernel without any driver: empty when it came to its end in a few seconds, else what happened."""
    limits = replace(Limits(), boot_s=_KVM_TRIAL_S, total_s=_KVM_TRIAL_S)
    with tempfile.TemporaryDirectory(prefix=_WORKPLACE) as name:
        work = Path(name)
        machine = _machine(qemu, kernel, work, accelerator, console=work / "console")
        guest = boot_guest(GuestPlan(kernel, (), limits=limits), tools, machine)
    return guest.reason if not guest.result.ended else ""


def sweep_workplaces() -> None:
    """Remove what verifiers that were killed left behind a day ago or longer."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_WORKPLACE}*"):
        with contextlib.suppress(OSError):
            about = folder.stat()
            if about.st_uid == os.getuid() and time.time() - about.st_mtime > _STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


def _machine(
    qemu: str, kernel: GuestKernel, work: Path, accelerator: Accelerator, *, console: Path, verbose: bool = False
) -> MachinePlan:
    tsc_khz = host_tsc_khz() if accelerator is Accelerator.TCG else 0
    root, results = work / "initramfs", work / "results"
    return MachinePlan(qemu, kernel.path, root, console, results, accelerator, verbose=verbose, tsc_khz=tsc_khz)


@contextlib.contextmanager
def _workplace(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix=_WORKPLACE) as name:
        yield Path(name)


def _prune(logs: Path) -> None:
    consoles = sorted(logs.glob("*.console"))
    for old in consoles[:-_CONSOLES_KEPT]:
        old.unlink(missing_ok=True)
        shutil.rmtree(old.with_suffix(""), ignore_errors=True)
