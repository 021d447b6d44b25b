"""`kdriver index`: update, list and show the kernels that exist."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from kdriver.commands import index_archive, index_difference, index_exchange, index_resolve
from kdriver.core import console
from kdriver.core.kernel import Kernel, Package, PackageRole, PackageState
from kernel_index.query import KERNEL_HELP

if TYPE_CHECKING:
    from kernel_index.crawl import RowPlan, RowResult
    from kernel_index.store import RowIndex, SuiteState

_WORDS_COLUMN = 4
_HEADER_ROLES = (PackageRole.HEADERS, PackageRole.HEADERS_COMMON, PackageRole.KBUILD)


_ARCH = click.option(
    "--arch",
    metavar="ARCH",
    default="x86_64",
    show_default=True,
    help="Kernels of this architecture, as `uname -m` says it.",
)


@click.group()
def command() -> None:
    """Which kernels exist, and the packages that build and boot them.

    The index comes from the distributions' signed metadata and never shrinks. It lies in KDRIVER_INDEX, else in
    the user's data folder. On a host of the same family the mirror is the one that the host's own package
    manager uses; --mirror or KDRIVER_MIRROR names another.
    """


@command.command()
@click.option("--distro", metavar="NAME", help="A distribution release (debian12) or family (debian); all without it.")
@click.option(
    "--mirror",
    "mirrors",
    metavar="URL",
    multiple=True,
    help="Ask this mirror and no other: a server's root or one archive's folder, or ARCHIVE=URL for one archive "
    "(main=…, security=…). May be repeated. KDRIVER_MIRROR sets it for every command.",
)
@click.option(
    "--accept-stale",
    metavar="SUITE",
    multiple=True,
    help="Take this signed suite although its Valid-Until has passed (a frozen mirror), and mark it; `all` for every "
    "suite. May be repeated. KDRIVER_ACCEPT_STALE sets it too.",
)
@click.option(
    "--include",
    metavar="ARCHIVE",
    multiple=True,
    help="Ask this archive too, which is left out by default: proposed. May be repeated. KDRIVER_INCLUDE sets it too.",
)
@click.option("--jobs", "-j", type=click.IntRange(1, 64), default=8, show_default=True, help="Suites asked at a time.")
@click.option("-n", "--dry-run", is_flag=True, help="Print what would be asked, ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def update(
    distro: str | None,
    mirrors: tuple[str, ...],
    accept_stale: tuple[str, ...],
    include: tuple[str, ...],
    jobs: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Ask the distributions' repositories which kernels exist.

    \b
    Examples:
      kdriver index update --distro debian12
      kdriver index update --mirror http://mirror.example/debian --dry-run
      kdriver index update --distro ubuntu --include proposed

    Archives that need credentials are skipped without them, and so is the archive of an ended release that is out
    of reach; both are named. Exit status 1: a suite failed; it keeps its last good state and is named. 6: a
    signature, digest or date was wrong everywhere.
    """
    from kernel_index.crawl import UpdateOptions, plan_update, run_update
    from kernel_index.table import load_table, select_rows

    options = UpdateOptions(
        mirrors,
        accept_stale or tuple(os.environ.get("KDRIVER_ACCEPT_STALE", "").split()),
        include or tuple(os.environ.get("KDRIVER_INCLUDE", "").split()),
        jobs,
    )
    plans = plan_update(select_rows(load_table(), distro), options, distro=distro)
    if dry_run:
        _print_plans(plans, as_json)
        return 0
    with console.progress() as display:
        task = display.add_task("index", total=sum(len(plan.sources) for plan in plans), note="")

        def report(text: str) -> None:
            display.update(task, description=text)
            display.advance(task)

        results = run_update(plans, options, report=report)
    if as_json:
        console.print_json([result.to_json() for result in results])
    else:
        _print_results(results)
    return int(any(result.index.partial for result in results))


@command.command("list")
@click.option("--distro", metavar="NAME", help="A distribution release (debian12) or family (debian); all without it.")
@click.option("--kernel", metavar="KERNEL", help=KERNEL_HELP)
@click.option("--flavour", metavar="NAME", help="Kernels of this flavour only: amd64, cloud-amd64, rt-amd64.")
@_ARCH
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: a list of kernels.")
def list_kernels(distro: str | None, kernel: str | None, flavour: str | None, arch: str, as_json: bool) -> None:
    """List the kernels of the index, oldest first: with the packages that build and boot them, and their compiler.

    \b
    Examples:
      kdriver index list --distro debian12
      kdriver index list --kernel newest
      kdriver index list --flavour cloud-amd64 --json
    """
    from kernel_index.query import find_kernels, newest_words
    from kernel_index.store import load_states, opened
    from kernel_index.table import load_table, select_rows

    chosen = find_kernels(distro=distro, kernel=kernel, flavour=flavour, arch=arch)
    if as_json:
        console.print_json([one.to_json() for one in chosen])
        return
    ids = [row.id for row in select_rows(load_table(), distro)]
    with opened() as store:
        named = store.kernels(releases=ids, arch=arch, named=True)
    _print_list(chosen, newest_words(named))
    for row in load_states():
        if row.distro_release in ids:
            _warn_partial(row)


@command.command()
@click.argument("kernel", metavar="KERNEL")
@click.option("--distro", metavar="NAME", help="A distribution release (debian12) or family (debian).")
@click.option("--flavour", metavar="NAME", help="With `newest`: the flavour, else the ordinary one.")
@_ARCH
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: the kernel.")
def show(kernel: str, distro: str | None, flavour: str | None, arch: str, as_json: bool) -> None:
    """Show one kernel with its packages and where they are downloaded from.

    \b
    KERNEL is one of:
      debian/x86_64/6.1.0-56-amd64/6.1.192-2   a key
      6.1.0-56-amd64                           a `uname -r` that only one build has
      newest                                   what the distribution's metapackage names today
      newest:6.12  newest:cloud-amd64  newest:6.12:cloud-amd64

    \b
    Examples:
      kdriver index show newest --distro debian12
      kdriver index show 6.1.0-56-amd64 --json
    """
    from kdriver.core.errors import ConfigError
    from kernel_index.query import find_kernels

    words = kernel.split("/")
    chosen = find_kernels(distro=distro, kernel=kernel, flavour=flavour, arch=words[1] if len(words) == 4 else arch)
    if len(chosen) > 1:
        rows = ", ".join(one.distro_release for one in chosen)
        raise ConfigError(f"{kernel}: {len(chosen)} distributions have one", hint=f"Add --distro with one of: {rows}.")
    if as_json:
        console.print_json(chosen[0].to_json())
        return
    _print_kernel(chosen[0])


def _print_plans(plans: tuple[RowPlan, ...], as_json: bool) -> None:
    from kernel_index.family import family_of

    if as_json:
        console.print_json([plan.to_json() for plan in plans])
        return
    for plan in plans:
        for source in plan.sources:
            for number, mirror in enumerate(source.mirrors):
                url = family_of(plan.row.family).release_url(mirror, source.suite)
                click.echo(f"{plan.row.id} {source.suite}: {'would ask' if number == 0 else 'else'} {_shown(url)}")
        for skip in plan.skips:
            click.echo(f"{plan.row.id} {skip.suite}: would skip it, {skip.reason}")


def _shown(url: str) -> str:
    from kdriver.core.http import redact

    return redact(url)


def _print_results(results: Sequence[RowResult]) -> None:
    """The suites of each release, then a line for each, then what to do about failures."""
    for result in results:
        _print_suites(result)
    rows = [_summary(result) for result in results]
    columns = ("DISTRO", "KERNELS", "NEW", "GONE", "SUITES", "FAILED", "SKIPPED", "READ", "STATE")
    console.print_table(columns, rows)
    hints = dict.fromkeys(error.hint for result in results for error in result.errors if error.hint)
    for hint in hints:
        click.echo(f"  hint: {hint}", err=True)


def _print_suites(result: RowResult) -> None:
    read = dict(result.bytes_read)
    rows = [
        (
            name,
            suite.archive,
            f"{suite.outcome}, stale" if suite.stale else suite.outcome,
            suite.date[:10] or "-",
            console.size(read.get((suite.archive, suite.suite), 0)),
            _reason(suite),
        )
        for name, suite in folded(result.index.suites)
    ]
    shown = 6 if any(row[5] for row in rows) else 5
    columns = ("SUITE", "ARCHIVE", "OUTCOME", "RELEASE OF", "READ", "REASON")[:shown]
    console.print_table(columns, [row[:shown] for row in rows], title=result.index.distro_release)


def folded(suites: Iterable[SuiteState]) -> Iterator[tuple[str, SuiteState]]:
    """How a list calls each suite. Those of an archive that were skipped for one reason stand as one: without a
    subscription RHEL has a hundred."""
    for (_, outcome, _), group in itertools.groupby(suites, key=lambda one: (one.archive, one.outcome, one.reason)):
        first, *others = group
        if outcome == "skipped" and others:
            yield f"{len(others) + 1} suites", first
        else:
            yield from ((one.suite, one) for one in (first, *others))


def _reason(suite: SuiteState) -> str:
    reasons = [
        suite.reason,
        f"its time passed on {suite.stale[:10]}, which was accepted" if suite.stale else "",
        f"the mirror does not carry {suite.without}" if suite.without else "",
    ]
    return "; ".join(reason for reason in reasons if reason)


def _summary(result: RowResult) -> tuple[str, ...]:
    outcomes = [suite.outcome for suite in result.index.suites]
    numbers = (result.kernels, len(result.new), len(result.gone))
    return (
        result.index.distro_release,
        *(str(number) for number in numbers),
        str(sum(outcome not in ("failed", "skipped") for outcome in outcomes)),
        str(outcomes.count("failed")),
        str(outcomes.count("skipped")),
        console.size(sum(count for _, count in result.bytes_read)),
        "partial" if result.index.partial else "complete",
    )


def _warn_partial(row: RowIndex) -> None:
    for suite in row.suites:
        if suite.outcome == "failed":
            held = f"its state of {suite.checked} is shown" if suite.checked else "nothing of it is known yet"
            click.echo(f"{row.distro_release}: {suite.suite} failed in the last update, {held}", err=True)


def _print_list(kernels: Sequence[Kernel], words: Mapping[str, str]) -> None:
    """As many columns as the terminal has room for; a pipe gets all."""
    columns: list[tuple[str, Callable[[Kernel], str]]] = [
        ("KERNEL", lambda kernel: kernel.release),
        ("BUILD", lambda kernel: kernel.build),
        ("HEADERS", _headers_size),
        ("IMAGE", lambda kernel: _size_of(kernel, (PackageRole.IMAGE, PackageRole.MODULES))),
        ("--kernel", lambda kernel: words.get(kernel.key, "")),
        ("COMPILER", lambda kernel: kernel.compiler or "-"),
        ("LAST SEEN", lambda kernel: kernel.last_seen),
        ("DISTRO", lambda kernel: kernel.distro_release),
    ]
    cells = [(title, [text(kernel) for kernel in kernels]) for title, text in columns]
    shown = fitting([max(map(len, [title, *texts])) for title, texts in cells], _stdout_width())
    rows = list(zip(*(texts for _, texts in cells[:shown]), strict=True))
    console.print_table([title for title, _ in cells[:shown]], rows)
    if shown <= _WORDS_COLUMN:
        for kernel in kernels:
            if kernel.key in words:
                click.echo(f"--kernel {words[kernel.key]} is {kernel.release}")


def _stdout_width() -> int:
    from rich.console import Console

    out = Console()
    return out.width if out.is_terminal else 160


def fitting(widths: Sequence[int], width: int, *, gap: int = 2) -> int:
    """How many of the columns, from the left, stand in one line; at least one."""
    total = -gap
    for count, one in enumerate(widths):
        total += one + gap
        if total > width:
            return max(count, 1)
    return len(widths)


def _headers_size(kernel: Kernel) -> str:
    """The size of all packages that a build needs, or what of them is missing."""
    from kernel_index.family import family_of

    needed = family_of(kernel.distro).header_roles
    missing = [str(role) for role in needed if kernel.package(role) is None]
    if len(missing) == len(needed):
        return "gone"
    return f"no {', '.join(missing)}" if missing else _size_of(kernel, _HEADER_ROLES)


def _checked_by(package: Package) -> str:
    """Its digest, and what is to be known of it: not everything here is in a repository's signed lists now."""
    digest = f"{'sha512' if not package.sha256 and package.sha512 else 'sha256'} {package.digest or 'unknown'}"
    words = [] if package.state is PackageState.INDEXED else [_STATES[package.state]]
    return ", ".join((digest, *words, *([] if package.authenticated else ["unauthenticated"])))


_STATES = {
    PackageState.UNLISTED: "left the lists",
    PackageState.SERVED: "left the lists, still served",
    PackageState.GONE: "gone",
}


def _size_of(kernel: Kernel, roles: tuple[PackageRole, ...]) -> str:
    sizes = [package.size_bytes for package in kernel.packages if package.role in roles]
    return console.size(sum(sizes)) if sizes else "gone"


def _print_kernel(kernel: Kernel) -> None:
    from kernel_index.sources import package_urls

    facts = (
        ("key", kernel.key),
        ("distribution", kernel.distro_release),
        ("uname -r", kernel.release),
        ("build", kernel.build),
        ("flavour", kernel.flavour),
        ("compiler", kernel.compiler or "unknown"),
        ("C library", f"{kernel.libc} or later" if kernel.libc else "unknown"),
        ("seen", f"{kernel.first_seen} to {kernel.last_seen}"),
        ("vouched for", "by signed metadata" if kernel.authenticated else "not all of its packages: unauthenticated"),
        *((("gone", f"from all lists since {kernel.gone}"),) if kernel.gone else ()),
        ("newest of", ", ".join(kernel.named_by) or "-"),
        *((("twin of", f"{kernel.twin_of}: these packages are that kernel's"),) if kernel.twin_of else ()),
        ("headers", _headers_size(kernel)),
    )
    for name, value in facts:
        click.echo(f"{name:13} {value}")
    for package in kernel.packages:
        click.echo(f"{package.role:13} {package.name} {package.version}, {console.size(package.size_bytes)}")
        click.echo(f"{'':13}   {_checked_by(package)}")
        for url in package_urls(kernel, package):
            click.echo(f"{'':13}   {_shown(url)}")


command.add_command(index_archive.command)


for _command in (
    index_resolve.command,
    index_difference.diff,
    index_difference.stats,
    index_exchange.export,
    index_exchange.import_,
    index_exchange.add,
):
    command.add_command(_command)
