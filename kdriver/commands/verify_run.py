"""What `kdriver verify` does with the kernels and drivers that it was told: build, boot, keep, print."""

from __future__ import annotations

import fnmatch
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdriver.core.artifact import DriverKind
from kdriver.core.console import STDERR, print_json, progress
from kdriver.core.errors import ExitCode, NotFoundError
from kdriver.core.paths import cache_dir

if TYPE_CHECKING:
    from builder.result import BuildResult
    from builder.source import DriverSource
    from kdriver.core.kernel import Kernel
    from kdriver.verifier.machine import Accelerator
    from kdriver.verifier.plan import GuestTools, Limits
    from kdriver.verifier.run import Verification, Verified

_NO_LIMIT_S = 86400.0


@dataclass(frozen=True, slots=True)
class Request:
    """The command line, as far as it says how. kinds: never empty. jobs: guests at a time. changed: leave out what a
    verdict covers that still holds. strace: run the cases under strace, too. cases: patterns; the verdicts are not
    kept then, for they are about these alone."""

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


def build_drivers(
    kernels: Sequence[Kernel],
    source: DriverSource,
    request: Request,
    lacking: Mapping[DriverKind, str] | None = None,
) -> Sequence[BuildResult]:
    """One result for each kernel and kind that was asked for. lacking: as plan_builds."""
    from builder.known_bad import load_known_bad
    from builder.plan import plan_builds
    from builder.run import RunOptions, run_builds
    from kernel_index.table import load_table

    kinds = [kind for kind in request.kinds if source.foreign is None or kind in source.kinds]
    plans = plan_builds(kernels, kinds, source, known_bad=load_known_bad(load_table()), lacking=lacking)
    with STDERR.status(f"building drivers for {len(kernels)} kernels"):
        return run_builds(plans, source, RunOptions(jobs=request.jobs))


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


def carry_out(verifications: Sequence[Verification], source: DriverSource, qemu: str, request: Request) -> int:
    """Boot, keep the verdicts, print them; the exit status. Results show as they come, each kernel's in one line."""
    from builder.source import catalogue_version, digest_cases, load_source, render_headers
    from builder.tools import build_tools
    from kdriver.catalogue.load import load_catalogue
    from kdriver.commands.verify_report import exit_status, print_verdicts, status_line
    from kdriver.commands.verify_targets import with_checks
    from kdriver.verifier.covered import expected_seconds, split_covered
    from kdriver.verifier.run import Bench, sweep_workplaces, verify_kernels
    from kdriver.verifier.strace_files import find_strace

    if source.foreign is not None:
        verifications = with_checks(verifications, source)
        source = load_source()
    generated = render_headers(source, cache_dir() / "generated")
    case_set = digest_cases(source, generated)
    kept: tuple[Verified, ...] = ()
    if request.changed:
        verifications, kept = split_covered(verifications, case_set)
    if not any(one.drivers or one.missing or one.lacking for one in verifications):
        print_verdicts(kept, as_json=request.as_json)
        return exit_status(kept)
    sweep_workplaces()
    tools = build_tools(source=source)
    if request.cases:
        check_patterns(tools.cases, request.cases)
    if request.as_shell:
        return _shell(verifications[0], tools, qemu, request)
    seconds = expected_seconds(verifications)
    files = {driver.sha256: driver.path for one in verifications for driver in one.drivers}
    lock = threading.Lock()
    with progress() as display:
        tasks = {
            one.kernel: display.add_task(one.release, total=None, note="waiting", visible=False)
            for one in verifications
        }

        def on_stage(kernel: str, stage: str) -> None:
            with lock:
                display.update(tasks[kernel], note=stage, visible=True)

        def on_verified(verified: Verified) -> None:
            if not request.cases:
                _keep(verified, files, request)
            display.update(tasks[verified.verdict.kernel], note="done", visible=False)
            if len(verifications) > 1:
                display.console.print(status_line(verified), soft_wrap=True)

        bench = Bench(
            tools,
            load_catalogue(source.folder),
            qemu,
            _accelerator(verifications, tools, qemu, request.accel),
            limits=_limits(request),
            keep=request.keep,
            strace=find_strace() if request.strace else (),
            case_set=case_set,
            catalogue_version=catalogue_version(source, generated),
            only=request.cases,
            gdb=(lambda text: click.echo(f"kdriver: {text}", err=True)) if request.with_gdb else None,
            on_stage=on_stage,
        )
        found = verify_kernels(
            verifications, bench, jobs=request.jobs, on_verified=on_verified, weight=lambda one: seconds[one.kernel]
        )
    every = _in_order((*kept, *found))
    print_verdicts(every, as_json=request.as_json)
    if request.cases:
        click.echo("kdriver: only some cases ran: these verdicts are not kept", err=True)
    return exit_status(every)


def _keep(verified: Verified, files: Mapping[str, Path], request: Request) -> None:
    from builder.clang_verdicts import learn_beside
    from kdriver.verifier.journal import append_journal
    from kdriver.verifier.records import write_verdict

    if verified.verdict.artifact_sha256:
        write_verdict(verified.verdict)
        learn_beside(verified.verdict, files[verified.verdict.artifact_sha256], cache_dir())
    append_journal(verified.verdict, verified.console, request.driver_src)


def _in_order(verified: Sequence[Verified]) -> tuple[Verified, ...]:
    """Each kernel's verdicts together, by kind."""
    kernels = list(dict.fromkeys(one.verdict.kernel for one in verified))
    kinds = [str(kind) for kind in DriverKind]
    return tuple(sorted(verified, key=lambda one: (kernels.index(one.verdict.kernel), kinds.index(one.verdict.kind))))


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
    accelerator = _accelerator([verification], tools, qemu, request.accel)
    return int(ExitCode.VERIFICATION if run_shell(plan, tools, qemu, accelerator) else ExitCode.DONE)


def _limits(request: Request) -> Limits:
    from kdriver.verifier.plan import Limits

    if request.with_gdb:  # a person at a breakpoint takes any time
        return Limits(*[_NO_LIMIT_S] * len(fields(Limits)))
    return Limits(total_s=request.timeout_s)


def _accelerator(verifications: Sequence[Verification], tools: GuestTools, qemu: str, asked: str) -> Accelerator:
    """The accelerator for all guests; a note on stderr where it is not the one that could have been."""
    from kdriver.verifier.accelerator import choose_accelerator
    from kdriver.verifier.run import try_kernel

    def trial(accelerator: Accelerator) -> str:
        return try_kernel(verifications[0].image(), tools, qemu, accelerator)

    choice = choose_accelerator(asked, qemu, trial)
    if choice.note:
        click.echo(f"kdriver: {choice.note}", err=True)
    return choice.accelerator
