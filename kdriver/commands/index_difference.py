"""`kdriver index diff` and `stats`: what changed between two indexes, and how much one holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdriver.core import console

if TYPE_CHECKING:
    from kernel_index.difference import Difference


@click.command("diff")
@click.argument("old", metavar="OLD", type=click.Path(path_type=Path))
@click.argument("new", metavar="[NEW]", type=click.Path(path_type=Path), required=False)
@click.option("--distro", metavar="NAME", help="Of this distribution release (debian12) or family (debian) only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: new, gone, changed.")
def diff(old: Path, new: Path | None, distro: str | None, as_json: bool) -> None:
    """Say which kernels are new, gone and changed from the index OLD to the index NEW.

    Each is the folder of an index or a file that `kdriver index export` wrote; without NEW the present index is meant.
    A kernel that NEW marks as gone from every repository counts as gone.

    \b
    Examples:
      kdriver index export --out before.json; kdriver index update; kdriver index diff before.json
      kdriver index diff ./index-of-monday ./index-of-friday --json
    """
    from kdriver.core import paths
    from kernel_index.difference import compare_kernels
    from kernel_index.exchange import read_kernels

    difference = compare_kernels(read_kernels(old, distro), read_kernels(new or paths.index_dir(), distro))
    if as_json:
        console.print_json(difference.to_json())
        return
    _print_difference(difference)


@click.command("stats")
@click.option("--distro", metavar="NAME", help="A distribution release (debian12) or family (debian); all without it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: a list by distribution release.")
def stats(distro: str | None, as_json: bool) -> None:
    """Count the kernels of the index by distribution release and architecture.

    HEADERS: kernels that drivers can be built for; IMAGE: that can be booted to verify them; UNSIGNED: whose packages
    no signed metadata ever vouched for; GONE: that are in no repository any more.

    \b
    Examples:
      kdriver index stats
      kdriver index stats --distro ubuntu --json
    """
    from kdriver.core import paths
    from kernel_index.exchange import read_kernels
    from kernel_index.stats import count_kernels

    counts = count_kernels(read_kernels(paths.index_dir(), distro))
    if as_json:
        console.print_json([one.to_json() for one in counts])
        return
    rows = [
        (
            one.distro_release,
            one.arch,
            *(str(number) for number in (one.kernels, one.flavours, one.buildable, one.bootable)),
            *(str(number) for number in (one.unauthenticated, one.gone)),
            one.first_seen or "-",
            one.last_seen or "-",
        )
        for one in counts
    ]
    columns = ["DISTRO", "ARCH", "KERNELS", "FLAVOURS", "HEADERS", "IMAGE", "UNSIGNED", "GONE"]
    console.print_table([*columns, "FIRST SEEN", "LAST SEEN"], rows)
    click.echo(
        f"{sum(one.kernels for one in counts)} kernels of {len({one.distro_release for one in counts})} releases"
    )


def _print_difference(difference: Difference) -> None:
    for mark, kernels in (("+", difference.new), ("-", difference.gone)):
        for kernel in kernels:
            click.echo(f"{mark} {kernel.distro_release:16} {kernel.key}")
    for kernel, changes in difference.changed:
        click.echo(f"~ {kernel.distro_release:16} {kernel.key}")
        for change in changes:
            click.echo(f"    {change.what}: {change.old or 'none'} -> {change.new or 'none'}")
    click.echo(f"{len(difference.new)} new, {len(difference.gone)} gone, {len(difference.changed)} changed")
