"""What `kdriver verify` does with the kernels and drivers that it was told: build, boot, keep, print."""

from __future__ import annotations

import fnmatch
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdriver.core.artifact import DriverKind
from kdriver.core.console import STDERR, print_json
from kdriver.core.errors import ExitCode, KdriverError, NotFoundError
from kdriver.core.paths import cache_dir

if TYPE_CHECKING:
    from builder.result import BuildResult
    from builder.source import DriverSource
    from kdriver.commands.verify_targets import Target
    from kdriver.core.kernel import Kernel
    from kdriver.verifier.machine import Accelerator
    from kdriver.verifier.plan import GuestTools, Limits
    from kdriver.verifier.run import Bench, Verification, Verified

logger = logging.getLogger(__name__)

_NO_LIMIT_S = 86400.0
_FETCHED_AHEAD = 4
"""How many kernels' packages are fetched before their turn."""


@dataclass(frozen=True, slots=True)
class Request:
    """The command line, as far as it says how. kinds: never empty. jobs: kernels at a time. changed: leave out what a
    verdict covers that still holds. strace: run the cases under strace, too. cases: patterns; the verdicts are not
    kept then, for they are about these alone. executor, scheduler, mirrors, share: as of `kdriver build`. keep_headers:
    leave in the cache what a batch unpacked."""

    kinds: tuple[DriverKind, ...]
    driver_src: Path | None
    artifacts: Path | None
    accel: str
    timeout_s: float
    jobs: int
    keep: bool
    as_json: bool
    modules: tuple[str, ...] = ()
    name: str | None = None
    btf: Path | None = None
    changed: bool = False
    strace: bool = False
    cases: tuple[str, ...] = ()
    as_shell: bool = False
    with_gdb: bool = False
    executor: str = "auto"
    scheduler: str | None = None
    mirrors: tuple[str, ...] = ()
    share: bool = True
    keep_headers: bool = False


def build_drivers(
    kernels: Sequence[Kernel],
    source: DriverSource,
    request: Request,
    lacking: Mapping[DriverKind, str] | None = None,
) -> Sequence[BuildResult]:
    """One result for each kind that was asked for of each kernel. lacking: as plan_builds."""
    from builder.run import RunOptions, run_builds
    from kdriver.commands.verify_batch import plan_kernels, toolchains_of

    plans = plan_kernels(kernels, request.kinds, source, lacking)
    options = RunOptions(jobs=request.jobs, mirrors=request.mirrors, share=request.share)
    with STDERR.status(f"building drivers for {len(kernels)} kernels"):
        return run_builds(plans, source, options, toolchains=toolchains_of(request.executor))


def say_not_built(results: Sequence[BuildResult], verification: Verification, request: Request) -> int:
    """Why a single kernel has no driver at all, and the status of its build."""
    from kdriver.commands.build import exit_status
    from kdriver.commands.verify_report import verdict_rows
    from kdriver.verifier.run import missing_verdicts

    if request.as_json:
        print_json(verdict_rows(missing_verdicts(verification)))
    for result in results:
        click.echo(f"kdriver: {result.kernel} {result.kind}: {result.reason}", err=True)
        if result.hint:
            click.echo(f"  hint: {result.hint}", err=True)
    return int(exit_status(results))


def carry_out(targets: Sequence[Target], source: DriverSource, qemu: str, request: Request) -> int:
    """Build what is not built, boot, keep the verdicts, print them; the exit status. Results show as they come."""
    from builder.source import digest_cases, load_source, render_headers
    from builder.tools import build_tools
    from kdriver.commands.verify_live import live
    from kdriver.commands.verify_report import exit_status, print_verdicts
    from kdriver.verifier.coverage import release_key
    from kdriver.verifier.covered import expected_seconds
    from kdriver.verifier.pipeline import run_pipeline
    from kdriver.verifier.run import sweep_workplaces
    from kdriver.verifier.runs import clock_run

    foreign = source if source.foreign is not None else None
    source = load_source() if foreign is not None else source
    case_set = digest_cases(source, render_headers(source, cache_dir() / "generated"))
    targets, kept = _uncovered(targets, case_set) if request.changed and foreign is None else (tuple(targets), ())
    if not targets:
        print_verdicts(kept, as_json=request.as_json)
        return exit_status(kept)
    sweep_workplaces()
    tools = build_tools(source=source)
    if request.cases:
        check_patterns(tools.cases, request.cases)
    if request.as_shell:
        return _shell(targets[0].make(lambda stage: None), tools, qemu, request)
    seconds = expected_seconds(targets)
    targets = sorted(targets, key=lambda one: (seconds[one.kernel], release_key(one.release)), reverse=True)
    with live(len(targets)) as shown, clock_run(len(targets), request.jobs, noted=not request.cases) as clocked:
        judge = Judge(source, foreign, tools, qemu, request, case_set, shown.stage)

        def work(target: Target) -> tuple[Verified, ...]:
            began = time.monotonic()
            try:
                verified = judge.judge(target)
            finally:
                target.done()
            shown.done(target.kernel, target.release, verified, time.monotonic() - began)
            clocked.done += 1
            return verified

        try:
            found = run_pipeline(
                targets,
                work,
                fetch=lambda target: target.fetch(),
                jobs=request.jobs,
                ahead=_FETCHED_AHEAD,
                stop=lambda: _stop(judge, targets),
            )
        except KeyboardInterrupt:
            shown.stopped(request.cases)
            raise
    every = in_order((*kept, *(one for verified in found for one in verified)))
    print_verdicts(every, as_json=request.as_json, run=clocked.run)
    if request.cases:
        click.echo("kdriver: only some cases ran: these verdicts are not kept", err=True)
    return exit_status(every)


def _stop(judge: Judge, targets: Sequence[Target]) -> None:
    judge.stop.set()
    for target in targets[:1]:  # they all share one batch
        target.stop()


def _uncovered(targets: Sequence[Target], case_set: str) -> tuple[tuple[Target, ...], tuple[Verified, ...]]:
    """The targets of which anything is left to do, and the verdicts on the others."""
    from kdriver.verifier.covered import split_covered
    from kdriver.verifier.run import missing_verdicts

    left: list[Target] = []
    kept: list[Verified] = []
    for target in targets:
        known = target.known()
        if known is None:
            left.append(target)
            continue
        rest, covered = split_covered([known], case_set)
        if any(one.drivers for one in rest) or not known.drivers:
            left.append(target)
        else:
            kept += [*covered, *missing_verdicts(known)]
    return tuple(left), tuple(kept)


class Judge:
    """What turns a target into verdicts, from several threads: the shared bench, and what keeps the records."""

    def __init__(
        self,
        source: DriverSource,
        foreign: DriverSource | None,
        tools: GuestTools,
        qemu: str,
        request: Request,
        case_set: str,
        on_stage: Callable[[str, str], None],
    ) -> None:
        self.stop = threading.Event()
        self._source = source
        self._foreign = foreign
        self._tools = tools
        self._qemu = qemu
        self._request = request
        self._case_set = case_set
        self._on_stage = on_stage
        self._lock = threading.Lock()
        self._bench: Bench | None = None

    def judge(self, target: Target) -> tuple[Verified, ...]:
        """Build, leave out what is covered, boot, and keep: one verdict for each kind. Raises StoppedError when
        everything was stopped meanwhile."""
        from kdriver.commands.verify_targets import with_checks
        from kdriver.executors.task import StoppedError
        from kdriver.verifier.covered import outlived, split_covered
        from kdriver.verifier.run import verify_kernel

        verification = target.make(lambda stage: self._on_stage(target.kernel, stage))
        if self.stop.is_set():
            raise StoppedError("stopped")
        if self._foreign is not None:
            with self._lock:
                (verification,) = with_checks([verification], self._foreign)
        kept: tuple[Verified, ...] = ()
        if self._request.changed:
            rest, kept = split_covered([verification], self._case_set)
            if not rest:
                return in_order(kept)
            (verification,) = rest
        boot = target.boot or verify_kernel
        found = boot(verification, self._bench_of(verification))
        files = {driver.sha256: driver.path for driver in verification.drivers}
        if self.stop.is_set():
            raise StoppedError("stopped")
        for verified in found:
            if self._request.cases:
                continue
            before = outlived(verified.verdict, verification, self._case_set)
            if before is None:
                _keep(verified, files, self._request)
            else:
                name = f"{before.kernel} {before.kind}"
                logger.warning("%s: %s; the verdict of %s stays", name, verified.verdict.reason, before.date[:16])
        return in_order((*kept, *found))

    def _bench_of(self, verification: Verification) -> Bench:
        """The bench of all; made for the first kernel that boots, which tries the accelerator where one is to be
        found out."""
        with self._lock:
            if self._bench is None:
                self._bench = self._make_bench(verification)
            return self._bench

    def _make_bench(self, verification: Verification) -> Bench:
        from builder.source import catalogue_version, render_headers
        from kdriver.catalogue.load import load_catalogue
        from kdriver.verifier.run import Bench
        from kdriver.verifier.strace_files import find_strace

        request = self._request
        return Bench(
            self._tools,
            load_catalogue(self._source.folder),
            self._qemu,
            _accelerator(verification, self._tools, self._qemu, request.accel),
            limits=_limits(request),
            keep=request.keep,
            strace=find_strace() if request.strace else (),
            case_set=self._case_set,
            catalogue_version=catalogue_version(self._source, render_headers(self._source, cache_dir() / "generated")),
            only=request.cases,
            gdb=(lambda text: click.echo(f"kdriver: {text}", err=True)) if request.with_gdb else None,
            stop=self.stop,
            on_stage=self._on_stage,
        )


def _keep(verified: Verified, files: Mapping[str, Path], request: Request) -> None:
    from builder.clang_verdicts import learn_beside
    from kdriver.verifier.journal import append_journal
    from kdriver.verifier.records import write_verdict

    if verified.verdict.artifact_sha256:
        write_verdict(verified.verdict)
        learn_beside(verified.verdict, files[verified.verdict.artifact_sha256], cache_dir())
    append_journal(verified.verdict, verified.console, request.driver_src)


def in_order(verified: Sequence[Verified]) -> tuple[Verified, ...]:
    """Each kernel's verdicts together, by kind."""
    kernels = {kernel: place for place, kernel in enumerate(dict.fromkeys(one.verdict.kernel for one in verified))}
    kinds = [str(kind) for kind in DriverKind]
    return tuple(sorted(verified, key=lambda one: (kernels[one.verdict.kernel], kinds.index(one.verdict.kind))))


def check_patterns(cases: Path, patterns: Sequence[str]) -> None:
    """Raise NotFoundError for a pattern that fits no case. cases: the program, which lists them."""
    listed = subprocess.run([str(cases), "--list"], capture_output=True, text=True, timeout=60, check=True).stdout
    for pattern in patterns:
        if not fnmatch.filter(listed.split(), pattern):
            raise NotFoundError(
                f"--cases {pattern}: none of {len(listed.split())} cases has such a name",
                hint="`kdriver events show EVENT` names an event's cases; quote a pattern with * in it.",
            )


def _shell(verification: Verification, tools: GuestTools, qemu: str, request: Request) -> int:
    from kdriver.verifier.plan import GuestPlan
    from kdriver.verifier.shell import find_busybox, run_shell

    busybox = find_busybox()
    kernel = verification.image()
    plan = GuestPlan(kernel, verification.drivers, kernel.modules, verification.btf, shell=busybox)
    accelerator = _accelerator(verification, tools, qemu, request.accel)
    return int(ExitCode.VERIFICATION if run_shell(plan, tools, qemu, accelerator) else ExitCode.DONE)


def _limits(request: Request) -> Limits:
    from kdriver.verifier.plan import Limits

    if request.with_gdb:  # a person at a breakpoint takes any time
        return Limits(*[_NO_LIMIT_S] * len(fields(Limits)))
    return Limits(total_s=request.timeout_s)


def _accelerator(verification: Verification, tools: GuestTools, qemu: str, asked: str) -> Accelerator:
    """The accelerator for all guests; a note on stderr where it is not the one that could have been."""
    from kdriver.verifier.accelerator import choose_accelerator
    from kdriver.verifier.run import try_kernel

    def trial(accelerator: Accelerator) -> str:
        try:
            return try_kernel(verification.image(), tools, qemu, accelerator)
        except KdriverError as error:
            return error.message

    choice = choose_accelerator(asked, qemu, trial)
    if choice.note:
        click.echo(f"kdriver: {choice.note}", err=True)
    return choice.accelerator
