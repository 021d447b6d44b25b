"""`kdriver coverage`: which drivers passed on which kernels, from the verdicts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdriver.core.artifact import DriverKind
from kdriver.core.console import print_json, print_table
from kdriver.core.errors import ConfigError, ExitCode, NotFoundError

if TYPE_CHECKING:
    from kdriver.core.kernel import Kernel
    from kdriver.verifier.coverage import Cell, Coverage
    from kdriver.verifier.journal import Told
    from kdriver.verifier.runs import Run

_REASON_SHOWN = 60
_RUNS_SHOWN = 5


@click.command(name="coverage")
@click.option("--distro", help="Only a distribution release (debian12) or family (debian).")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([str(kind) for kind in DriverKind]),
    help="Only this driver kind. Repeatable.",
)
@click.option("--repo", "repos", multiple=True, help="The verdicts of this repository, too: a folder or an address.")
@click.option("--trust", type=click.Path(path_type=Path), help="The root.json of a --repo that is an address.")
@click.option("--driver-src", type=click.Path(path_type=Path), help="Of this driver instead of kdriver's own.")
@click.option("--no-cache", is_flag=True, help="Leave this machine's own verdicts out: only those of --repo.")
@click.option("--all", "every", is_flag=True, help="With all kernels of the index, tried or not.")
@click.option("--tried", "tried_only", is_flag=True, help="Only kernels on which something was tried.")
@click.option("--since", help="Only verdicts from this time on, UTC: 2026-11-28, or 2026-11-28T13:50.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page to this file, its logs beside it.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write a document to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    distro: str | None,
    kinds: tuple[str, ...],
    repos: tuple[str, ...],
    trust: Path | None,
    driver_src: Path | None,
    no_cache: bool,
    every: bool,
    tried_only: bool,
    since: str | None,
    html: Path | None,
    markdown: Path | None,
    as_json: bool,
) -> int:
    """Show which drivers passed on which kernels: distribution by kernel by kind, with reasons, history and logs.

    The newest verdict counts; one by another policy of the verifier or on another image than the index has now is
    void, and its driver not verified. Kernels of the index on which nothing was tried yet are not verified: the table
    on the terminal counts them (--all lists them), page and document list them, but for distributions without any
    verdict; with --tried they count them, too. A driver that passed before and fails now is said to.

    \b
    Examples:
      kdriver coverage --distro debian12
      kdriver coverage --html index.html --markdown coverage.md
      kdriver coverage --tried --since 2026-11-28 --markdown coverage.md
      kdriver coverage --no-cache --repo http://mirror.example/ --trust root.json

    Exit status: 0 done, whatever the verdicts are; 1 a record could not be read; 2 usage; 3 no such distribution;
    6 a signature or digest of a repository is wrong.
    """
    from kdriver.verifier.coverage import make_coverage
    from kernel_index.table import load_table, select_rows

    if no_cache and not repos:
        raise click.UsageError("--no-cache leaves nothing to show without --repo")
    if every and tried_only:
        raise click.UsageError("--all and --tried contradict each other")
    rows = load_table()
    problems: list[str] = []
    told = [
        *(() if no_cache else _here(driver_src, problems)),
        *(one for repo in repos for one in _of_repository(repo, trust, problems)),
    ]
    if since:
        told = [one for one in told if one.verdict.date >= since]
    coverage = make_coverage(
        told,
        _indexed(),
        [DriverKind(kind) for kind in kinds] or list(DriverKind),
        order=[row.id for row in rows],
        titles={row.id: row.title for row in rows},
        problems=problems,
        every=every,
        tried_only=tried_only,
        distros=[row.id for row in select_rows(rows, distro)] if distro else (),
    )
    _write(coverage, html, markdown, since, here=not no_cache)
    if as_json:
        print_json(coverage.to_json())
    elif html is None and markdown is None:
        _print(coverage, every=every)
    for problem in problems[:5]:
        click.echo(f"kdriver: {problem}", err=True)
    return int(ExitCode.SOME_FAILED if problems else ExitCode.DONE)


def _here(driver_src: Path | None, problems: list[str]) -> Iterator[Told]:
    from kdriver.verifier.coverage_sources import read_here

    return read_here(problems, driver_src)


def _of_repository(repo: str, trust: Path | None, problems: list[str]) -> list[Told]:
    from kdriver.repository.client import RepositoryClient, Trust
    from kdriver.verifier.coverage_sources import read_client, read_folder

    if Path(repo).is_dir():
        return list(read_folder(Path(repo), problems))
    if trust is None:
        raise ConfigError(
            f"{repo}: what it says can be trusted only from its root metadata on",
            hint="Name the root.json that its owner gave you with --trust.",
        )
    try:
        root = trust.read_bytes()
    except OSError as error:
        raise ConfigError(f"{trust}: {error.strerror}", hint="Name the repository's root.json with --trust.") from error
    with tempfile.TemporaryDirectory(prefix="kdriver-coverage-") as folder:
        client = RepositoryClient(repo, Trust(Path(folder), root, "file"))
        return list(read_client(client, "x86_64", problems))


def _indexed() -> tuple[Kernel, ...]:
    """The index's kernels that a driver could be verified on; none where there is no index."""
    from kernel_index.query import find_kernels

    try:
        return find_kernels()
    except NotFoundError:
        return ()


def _write(coverage: Coverage, html: Path | None, markdown: Path | None, since: str | None, *, here: bool) -> None:
    from kdriver.verifier.coverage_page import render_markdown, write_html

    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC") + (f" from the verdicts since {since}" if since else "")
    if html is not None:
        write_html(coverage, html, made=made)
        click.echo(f"kdriver: wrote {html}", err=True)
    if markdown is not None:
        markdown.parent.mkdir(parents=True, exist_ok=True)
        markdown.write_text(render_markdown(coverage, made=made, runs=_runs(coverage, since) if here else ()))
        click.echo(f"kdriver: wrote {markdown}", err=True)


def _runs(coverage: Coverage, since: str | None) -> list[Run]:
    """The last batches that verdicts which count can come of; which of them did is not known."""
    from kdriver.verifier.runs import read_runs

    dates = [cell.now.verdict.date for row in coverage.rows for cell in row.cells if cell.now]
    if not dates:
        return []
    runs = [run for run in read_runs(since or "") if run.kernels > 1 and run.ended >= min(dates)]
    return runs[-_RUNS_SHOWN:]


def _print(coverage: Coverage, *, every: bool) -> None:
    from kdriver.verifier.coverage import count

    summary = count(coverage.rows)
    shown = [row for row in coverage.rows if every or row.date or any(cell.history for cell in row.cells)]
    click.echo(
        f"{summary.kernels} kernels: {summary.passed} drivers passed, {summary.failed} failed, "
        f"{summary.not_verified} not verified, {summary.never} of these never tried"
    )
    if summary.broke:
        click.echo(f"{summary.broke} passed before and fail now")
    if len(shown) < len(coverage.rows):
        click.echo(f"{len(coverage.rows) - len(shown)} of the kernels were never tried (--all lists them)")
    if coverage.left_out:
        which = (
            "and nothing was tried on them" if coverage.tried_only else "of distributions without any verdict (--all)"
        )
        click.echo(f"{coverage.left_out} more are in the index, {which}")
    if not shown:
        return
    columns = ("DISTRO", "KERNEL", *(str(kind) for kind in coverage.kinds), "DATE", "WHY NOT")
    cells = [
        (row.distro, row.release, *(_mark(cell) for cell in row.cells), row.date[:10], _why(row.cells)) for row in shown
    ]
    print_table(columns, cells, by_first=True)


def _mark(cell: Cell) -> str:
    if cell.history:
        return f"{cell.outcome}, passed before" if cell.broke else str(cell.outcome)
    return "-"


def _why(cells: tuple[Cell, ...]) -> str:
    """The reasons, each once, shortened; nothing where nothing was tried, which the dashes say."""
    reasons = dict.fromkeys(cell.reason for cell in cells if cell.history and cell.reason)
    return "; ".join(
        reason if len(reason) <= _REASON_SHOWN else f"{reason[: _REASON_SHOWN - 3]}..." for reason in reasons
    )
