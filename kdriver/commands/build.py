"""`kdriver build`: drivers for kernels of the index."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdriver.core.artifact import DriverKind, twin_note
from kdriver.core.console import print_json, print_table, progress, size
from kdriver.core.errors import ExitCode
from kdriver.core.process import stopped_by_sigterm
from kernel_index.query import KERNEL_HELP

if TYPE_CHECKING:
    from builder.plan import BuildPlan
    from builder.result import BuildResult
    from builder.run import RunOptions
    from builder.source import DriverSource


@click.command(name="build")
@click.option("--distro", help="A distribution release (debian12) or family (debian); all of its kernels.")
@click.option("--kernel", "kernels", multiple=True, help=f"{KERNEL_HELP} Repeatable.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([str(kind) for kind in DriverKind]),
    help="Only this driver kind.",
)
@click.option(
    "--driver-src",
    type=click.Path(path_type=Path),
    help="Another driver than kdriver's: a folder with a driver.toml, or a kbuild module (with --name).",
)
@click.option("--name", help="What the module and its devices are called.  [default: kdriver]")
@click.option("--out", type=click.Path(path_type=Path), help="Copy the drivers to OUT/<release>/ as well.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Builds at a time.  [default: the number of CPUs]")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be built, and download nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.option("--force", is_flag=True, help="Build again what was built before.")
def command(
    distro: str | None,
    kernels: tuple[str, ...],
    kinds: tuple[str, ...],
    driver_src: Path | None,
    name: str | None,
    out: Path | None,
    jobs: int | None,
    dry_run: bool,
    as_json: bool,
    force: bool,
) -> int:
    """Build drivers for kernels: the module, the eBPF probe of each kernel, and the CO-RE probe once for all.

    Compilers are chosen by what the kernel's headers say; every driver is checked (vermagic, symbol CRCs, licence,
    types, no warning) before it counts as built. What was built before from the same inputs is taken from the cache.

    \b
    Examples:
      kdriver build --distro debian12 --kernel newest
      kdriver build --distro debian12 --kind kmod -j 4 --out drivers
      kdriver build --kernel newest --name my_driver
      kdriver build --kernel newest --driver-src ./vpoll-0.1 --name vpoll

    Exit status: 0 all built or skipped, 1 some of a batch failed, 2 usage, 3 no such kernel, and for one kernel
    4 the build failed, 6 a package is not what the signed metadata promised.
    """
    from builder.plan import plan_builds
    from builder.run import RunOptions
    from builder.source import load_source
    from kernel_index.query import find_kernels
    from kernel_index.table import load_table

    if distro is None and not kernels:
        raise click.UsageError("name kernels with --distro, --kernel or both")
    source = load_source(driver_src, name)
    chosen = [one for word in kernels or (None,) for one in find_kernels(distro=distro, kernel=word)]
    plans = plan_builds(
        dict.fromkeys(chosen),
        [DriverKind(kind) for kind in kinds] or list(DriverKind),
        source,
        rows=load_table(),
    )
    if dry_run:
        _print_plans(plans, as_json)
        return int(ExitCode.DONE)
    options = RunOptions(jobs or len(os.sched_getaffinity(0)), force, out)
    results = _run(plans, source, options)
    _print_results(results, as_json)
    return int(exit_status(results))


def exit_status(results: Sequence[BuildResult]) -> ExitCode:
    """What a batch exits with: 1 when any of several kernels failed; for one kernel the status of what failed, 4 when
    its kinds failed in several ways, and 3 when nothing could be built of it at all."""
    from builder.result import BuildOutcome

    failed = [result for result in results if result.outcome is BuildOutcome.FAILED]
    if len({result.kernel for result in results}) > 1:
        return ExitCode.SOME_FAILED if failed else ExitCode.DONE
    codes = {result.exit_code for result in failed}
    if codes:
        return codes.pop() if len(codes) == 1 else ExitCode.BUILD
    return ExitCode.DONE if any(result.ok for result in results) else ExitCode.NOT_FOUND


def _run(plans: Sequence[BuildPlan], source: DriverSource, options: RunOptions) -> tuple[BuildResult, ...]:
    from builder.run import run_builds

    lock = threading.Lock()
    with stopped_by_sigterm(), progress() as display:
        tasks = {
            plan: display.add_task(f"{plan.kernel.release} {plan.kind}", total=5, note="waiting", visible=False)
            for plan in plans
        }

        def on_step(plan: BuildPlan, step: str) -> None:
            with lock:
                ended = step in ("built", "cached", "failed", "skipped")
                display.update(tasks[plan], advance=0 if ended else 1, note=step, visible=not ended)

        return run_builds(plans, source, options, on_step=on_step)


def _print_plans(plans: Sequence[BuildPlan], as_json: bool) -> None:
    rows = [plan.to_json() for plan in plans]
    if as_json:
        print_json(rows)
        return
    columns = ("kernel", "kind", "action", "compiler", "packages", "reason")
    cells = [
        (
            row["kernel"], row["kind"], row["action"], row["compiler"],
            f"{len(row['packages'])} ({size(row['size_bytes'])})" if row["packages"] else "",
            row["reason"] or twin_note(row["twin_of"]),
        )
        for row in rows
    ]  # fmt: skip
    print_table(columns, cells, by_first=True)


def _print_results(results: Sequence[BuildResult], as_json: bool) -> None:
    if as_json:
        print_json([result.to_json() for result in results])
    else:
        columns = ("kernel", "kind", "outcome", "compiler", "seconds", "size", "reason")
        print_table(columns, [_row(result) for result in results], by_first=True)
    said: set[str] = set()
    for result in results:
        # A missing compiler fails all kinds of a kernel alike, and a broken CO-RE probe all kernels: said once.
        if result.exit_code is ExitCode.DONE or result.outcome == "skipped" or result.reason in said:
            continue
        said.add(result.reason)
        click.echo(f"kdriver: {result.kernel} {result.kind}: {result.reason}", err=True)
        for line in result.detail.splitlines():
            click.echo(f"    {line}", err=True)
        if result.log is not None:
            click.echo(f"  log: {result.log}", err=True)
        if result.hint:
            click.echo(f"  hint: {result.hint}", err=True)


def _row(result: BuildResult) -> tuple[str, ...]:
    record = result.record
    return (
        result.kernel,
        str(result.kind),
        str(result.outcome),
        record.compiler if record else "",
        f"{result.seconds:.1f}",
        size(record.size_bytes) if record else "",
        result.reason or twin_note(record.twin_of if record else ""),
    )
