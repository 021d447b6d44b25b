"""`kdriver index import`, `export` and `add`: kernels from elsewhere than a crawl, and the index as a document."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdriver.core import console
from kdriver.core.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from kdriver.core.kernel import Kernel
    from kernel_index.crawler_json import Imported

_PLAIN = "plain"
_CRAWLER = "kernel-crawler"
_SHOWN = 20


@click.command("export")
@click.option("--distro", metavar="NAME", help="A distribution release (debian12) or family (debian); all without it.")
@click.option(
    "--format",
    "form",
    type=click.Choice((_PLAIN, _CRAWLER)),
    default=_PLAIN,
    show_default=True,
    help="plain: all that the index holds. kernel-crawler: its list.json, one architecture at a time.",
)
@click.option("--arch", metavar="ARCH", default="x86_64", show_default=True, help="With kernel-crawler's form.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write to this file instead of stdout.")
@click.option("--json", "as_json", is_flag=True, help="With --out: print what was written as one JSON document.")
def export(distro: str | None, form: str, arch: str, out: Path | None, as_json: bool) -> None:
    """Write the index as one JSON document.

    \b
    Examples:
      kdriver index export --out index.json
      kdriver index export --format kernel-crawler --distro ubuntu > list.json
    """
    from kernel_index.crawler_json import export_crawler
    from kernel_index.exchange import export_index, read_rows
    from kernel_index.sources import package_urls

    rows = read_rows(distro=distro)
    if form == _PLAIN:
        document: dict[str, Any] = export_index(rows)
        count = sum(len(row.kernels) for row in rows)
    else:
        kernels = [kernel for row in rows for kernel in row.kernels if kernel.arch == arch]
        document = export_crawler(kernels, package_urls)
        count = sum(map(len, document.values()))
    if out is None:
        console.print_json(document)
        return
    import json

    try:
        out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}", hint="Name a file that you may write.") from error
    if as_json:
        console.print_json({"file": str(out), "format": form, "kernels": count})
    else:
        click.echo(f"{out}: {count} kernels", err=True)


@click.command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--distro", metavar="NAME", help="Put the kernels into this row; without it their versions tell it.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be taken, mended and refused; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: new, mended, refused.")
def import_(file: Path, distro: str | None, dry_run: bool, as_json: bool) -> int:
    """Take the kernels of a list.json of kernel-crawler, or of an exported index, into the index.

    kernel-crawler's names are not used: release, build and architecture are read from the packages' names, and each
    name that was wrong is reported. No digest stands in such a list: its kernels are marked unauthenticated. What the
    index already knows from signed metadata is kept; the packages that it lacks are added.

    \b
    Examples:
      kdriver index import ./list.json --dry-run
      kdriver index import ./index.json

    Exit status 1: some entries were refused; each is named.
    """
    from kernel_index.crawler_json import Imported, read_crawler
    from kernel_index.exchange import is_export, read_document, read_export
    from kernel_index.table import load_table

    document = read_document(file)
    if is_export(document):
        kernels = [kernel for row in read_export(document, str(file)) for kernel in row.kernels]
        imported = Imported(tuple(one for one in kernels if distro in (None, one.distro, one.distro_release)), (), ())
    else:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        imported = read_crawler(document, load_table(), today=today, distro=distro, name=str(file))
    new = _new(imported.kernels) if dry_run else _store(imported.kernels)
    _report(imported, new, as_json, dry_run)
    return int(ExitCode.SOME_FAILED if imported.refused else ExitCode.DONE)


@click.command("add")
@click.argument("source", metavar="FOLDER|URL")
@click.option("--distro", metavar="NAME", required=True, help="The distribution release that the packages are for.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be taken; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: kernels, new, refused.")
def add(source: str, distro: str, dry_run: bool, as_json: bool) -> int:
    """Take the kernels of a folder of .deb or .rpm files, or of a web page of links to such files, into the index.

    For custom kernels, for RPMs of a subscription, and for sites without a network. RPMs that a key of the distribution
    release signed are authenticated; what is built from other files is not published by default. The files are not
    copied: those of a folder must stay where they are.

    \b
    Examples:
      kdriver index add ./rpms --distro rhel8
      kdriver index add http://mirror.example/custom-kernels/ --distro debian12

    Exit status 1: some files were refused; each is named.
    """
    from kernel_index.crawler_json import Imported
    from kernel_index.folder import read_source
    from kernel_index.table import load_table, select_rows

    rows = select_rows(load_table(), distro)
    if len(rows) != 1:
        names = ", ".join(row.id for row in rows)
        raise ConfigError(f"--distro {distro}: one distribution release was expected", hint=f"Use one of: {names}.")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    found = read_source(source, rows[0], today=today)
    new = _new(found.kernels) if dry_run else _store(found.kernels)
    _report(Imported(found.kernels, (), found.refused), new, as_json, dry_run)
    return int(ExitCode.SOME_FAILED if found.refused else ExitCode.DONE)


def _new(kernels: Sequence[Kernel]) -> tuple[str, ...]:
    from kernel_index.exchange import unknown_kernels

    return tuple(kernel.key for kernel in unknown_kernels(kernels))


def _store(kernels: Sequence[Kernel]) -> tuple[str, ...]:
    from kernel_index.exchange import store_kernels

    return tuple(kernel.key for kernel in store_kernels(kernels))


def _report(imported: Imported, new: Sequence[str], as_json: bool, dry_run: bool) -> None:
    if as_json:
        console.print_json(
            {
                "kernels": len(imported.kernels),
                "new": list(new),
                "mended": [one.to_json() for one in imported.mended],
                "refused": [one.to_json() for one in imported.refused],
            }
        )
        return
    for mended in imported.mended[:_SHOWN]:
        click.echo(f"mended   {mended.listed} is {mended.found}")
    if len(imported.mended) > _SHOWN:
        click.echo(f"         and {len(imported.mended) - _SHOWN} more; --json lists all")
    for refused in imported.refused[:_SHOWN]:
        click.echo(f"refused  {refused.name}: {refused.reason}", err=True)
    if len(imported.refused) > _SHOWN:
        click.echo(f"         and {len(imported.refused) - _SHOWN} more; --json lists all", err=True)
    taken = "would be new" if dry_run else "new"
    click.echo(
        f"{len(imported.kernels)} kernels, {len(new)} {taken}; "
        f"{len(imported.mended)} names mended, {len(imported.refused)} entries refused"
    )
