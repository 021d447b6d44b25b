"""`kdriver build`: drivers for kernels of the index."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdriver.commands.build_options import where_to_build
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ExitCode
from kdriver.core.paths import cache_dir
from kdriver.core.process import stopped_by_sigterm
from kernel_index.query import KERNEL_HELP

if TYPE_CHECKING:
    from builder.choice import Toolchains
    from builder.cluster.client import Cluster
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
    type=click.Path(path_type=Path, readable=False),
    help="Another driver than kdriver's: a folder with a driver.toml, or a kbuild module (with --name).",
)
@click.option(
    "--headers",
    multiple=True,
    type=click.Path(path_type=Path, readable=False),
    help="Build for a kernel from outside the index: its prepared build tree, kernel-devel or linux-headers folder, "
    ".deb or .rpm. Repeatable.",
)
@click.option("--name", help="What the module and its devices are called.  [default: kdriver]")
@click.option("--out", type=click.Path(path_type=Path), help="Copy the drivers to OUT/<release>/ as well.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Builds at a time.  [default: the number of CPUs]")
@click.option(
    "-n", "--dry-run", "--plan", "dry_run", is_flag=True, help="Say what would be built, and download nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.option("--force", is_flag=True, help="Build again what was built before.")
@click.option("--no-share", is_flag=True, help="Build a module of its own for each kernel; see docs/building.md.")
@click.option(
    "--fail-fast/--keep-going",
    default=False,
    help="Start nothing more after a failure.  [default: keep-going: build all the others]",
)
@click.option(
    "--known-bad",
    type=click.Path(path_type=Path, readable=False),
    help="A table over the shipped one of what cannot work on which kernels (builder/known_bad.toml shows its shape).",
)
@click.option("--sign-key", help="Sign modules for Secure Boot, too: a PEM file or a PKCS#11 URI.")
@click.option(
    "--sign-cert", type=click.Path(path_type=Path, readable=False), help="The key's X.509 certificate, PEM or DER."
)
@click.option(
    "--check-reproducible",
    is_flag=True,
    help="Build everything a second time in another folder, time zone, locale, umask, and as root under another host "
    "name and user; a file that differs is a failure.",
)
@click.option("--junit", type=click.Path(path_type=Path), help="Write the results to this file as JUnit XML, for CI.")
@where_to_build("Where to compile: auto here where this machine has the kernel's own compiler, else in a build image.")
@click.option(
    "--explain",
    is_flag=True,
    help="Say which compiler in which place each driver gets, and by what evidence; build nothing.",
)
def command(
    distro: str | None,
    kernels: tuple[str, ...],
    kinds: tuple[str, ...],
    driver_src: Path | None,
    headers: tuple[Path, ...],
    name: str | None,
    out: Path | None,
    jobs: int | None,
    dry_run: bool,
    as_json: bool,
    force: bool,
    no_share: bool,
    fail_fast: bool,
    known_bad: Path | None,
    sign_key: str | None,
    sign_cert: Path | None,
    check_reproducible: bool,
    junit: Path | None,
    mirrors: tuple[str, ...],
    executor: str,
    scheduler: str | None,
    explain: bool,
) -> int:
    """Build drivers for kernels: the module, the eBPF probe of each kernel, and the CO-RE probe once for all.

    Compilers are chosen by what the kernel's headers say; every driver is checked (vermagic, symbol CRCs, licence,
    types, no warning) before it counts as built. What was built before from the same inputs is taken from the cache.

    Each kernel and kind has one result: built, cached, shared, skipped (with the reason and the range of kernels that
    it holds for) or failed (with its class: headers, toolchain, compile, link, symbol, check, ...; the first error; the
    log). Stopped by ctrl-C, the next run goes on where this one stopped.

    With --sign-key and --sign-cert each module is a second file as well, signed/kdriver.ko below --out; the passphrase
    or PIN of the key is read from KDRIVER_SIGN_PIN.

    \b
    Examples:
      kdriver build --distro debian12 --kernel newest
      kdriver build --distro debian12 --kind kmod -j 4 --out drivers
      kdriver build --distro debian --fail-fast --junit results.xml
      kdriver build --distro debian --executor cluster --scheduler tcp://head:8786
      kdriver build --kernel newest --check-reproducible
      kdriver build --distro debian13 --kernel newest --explain
      kdriver build --kernel newest --sign-key key.pem --sign-cert c.der
      kdriver build --kernel newest --sign-key pkcs11:token=mok --sign-cert c.pem
      kdriver build --kernel newest --name my_driver
      kdriver build --kernel newest --driver-src ./vpoll-0.1 --name vpoll
      kdriver build --headers /usr/src/kernels/3.10.0-1160.el7.x86_64

    Exit status: 0 all built (of several kernels: or skipped), 1 some of a batch failed, 2 usage, 3 no such kernel, or
    everything skipped of the only one, and for one kernel 4 the build failed, 6 a package is not what the signed
    metadata promised.
    """
    from builder.choice import ExecutorName, make_toolchains
    from builder.known_bad import load_known_bad
    from builder.plan import plan_builds
    from builder.run import RunOptions
    from builder.signing import load_signing_key
    from builder.source import load_source
    from kdriver.commands.build_explain import explain_plans
    from kdriver.commands.build_report import print_plans
    from kdriver.commands.given import Named, name_kernel
    from kernel_index.query import find_kernels
    from kernel_index.table import load_table

    if headers and (distro or kernels):
        raise click.UsageError("--headers and kernels of the index exclude each other")
    if distro is None and not kernels and not headers:
        raise click.UsageError("name kernels with --distro, --kernel or both, or one outside the index with --headers")
    if (sign_key is None) != (sign_cert is None):
        raise click.UsageError("--sign-key and --sign-cert go together")
    signing = load_signing_key(sign_key, sign_cert) if sign_key and sign_cert else None
    source = load_source(driver_src, name)
    lacking: dict[DriverKind, str] = {}
    if headers:
        given = name_kernel(Named(None, headers))
        chosen, lacking = [given.kernel], dict(given.lacking)
    else:
        chosen = [one for word in kernels or (None,) for one in find_kernels(distro=distro, kernel=word)]
    plans = plan_builds(
        dict.fromkeys(chosen),
        [DriverKind(kind) for kind in kinds] or list(DriverKind),
        source,
        known_bad=load_known_bad(load_table(), known_bad),
        lacking=lacking,
    )
    if (executor == "cluster") is (scheduler is None):
        raise click.UsageError("--executor cluster and --scheduler ADDRESS go together")
    if scheduler and check_reproducible:  # a worker has the first file in its own cache, and would hand it out again
        raise click.UsageError("--check-reproducible compares builds of this machine; leave --executor cluster out")
    toolchains = make_toolchains(ExecutorName.LOCAL if scheduler else ExecutorName(executor), cache_dir())
    if explain:
        return explain_plans(plans, toolchains, mirrors, as_json=as_json, offline=dry_run)
    if dry_run:
        print_plans(plans, as_json, toolchains)
        return int(ExitCode.DONE)
    with _cluster(scheduler, source, force=force, mirrors=mirrors) as cluster:
        slots = cluster.slots() if cluster is not None else len(os.sched_getaffinity(0))
        options = RunOptions(jobs or slots, force, out, fail_fast, signing, mirrors, not no_share)
        again = words_again(click.get_current_context()) if check_reproducible else None
        results = _run(plans, source, options, toolchains, cluster=cluster, again=again, as_json=as_json, junit=junit)
    return int(exit_status(results))


_NOT_AGAIN = (
    "distro", "kernels", "kinds", "out", "jobs", "dry_run", "as_json", "force", "fail_fast", "check_reproducible",
    "junit", "sign_key", "sign_cert",
)  # fmt: skip
"""Options that say what to build and where to, and not how."""


@contextmanager
def _cluster(
    address: str | None, source: DriverSource, *, force: bool, mirrors: tuple[str, ...]
) -> Iterator[Cluster | None]:
    """The cluster of that scheduler while the block lasts; None without one."""
    if address is None:
        yield None
        return
    from builder.cluster.client import Cluster

    cluster = Cluster(address, source, force=force, mirrors=mirrors)
    try:
        yield cluster
    finally:
        cluster.close()


def words_again(context: click.Context) -> list[str]:
    """The options of this command that a second build of the same must get as well; paths as absolute ones."""
    words: list[str] = []
    for param in context.command.params:
        value = context.params.get(param.name or "")
        if not isinstance(param, click.Option) or param.name in _NOT_AGAIN or value in (None, False, ()):
            continue
        name = max(param.opts, key=len)
        for one in value if isinstance(value, tuple) else (value,):
            text = str(one.absolute()) if isinstance(one, Path) else str(one)
            words += [name] if param.is_flag else [name, text]
    return words


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


def _run(
    plans: Sequence[BuildPlan],
    source: DriverSource,
    options: RunOptions,
    toolchains: Toolchains,
    *,
    cluster: Cluster | None,
    again: Sequence[str] | None,
    as_json: bool,
    junit: Path | None,
) -> tuple[BuildResult, ...]:
    """Build, showing what goes on. Stopped by ctrl-C, it prints what had ended by then; all of that is in the cache."""
    from builder.junit import write_junit
    from builder.reproduce import check_reproducible as reproduce
    from builder.run import run_builds
    from kdriver.commands.build_report import live, print_results

    ended: list[BuildResult] = []
    try:
        with stopped_by_sigterm(), live(plans) as shown:

            def on_result(plan: BuildPlan, result: BuildResult) -> None:
                ended.append(result)
                shown.result(plan, result)

            results = run_builds(
                plans, source, options, toolchains=toolchains, on_step=shown.step, on_result=on_result, cluster=cluster
            )
            if again is not None:
                shown.say("building everything a second time, elsewhere")
                results = reproduce(results, again, options.jobs)
    except KeyboardInterrupt:
        if ended:
            print_results(ended, as_json)
        if junit is not None:
            write_junit(ended, junit)
        click.echo(f"kdriver: stopped after {len(ended)} of {len(plans)} drivers", err=True)
        click.echo("  hint: Run the same command again; it goes on where this one stopped.", err=True)
        raise click.exceptions.Exit(130) from None
    if junit is not None:
        write_junit(results, junit)
    print_results(results, as_json)
    return results
