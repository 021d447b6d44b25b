"""`kdriver index archive`: keep packages before repositories drop them."""

from __future__ import annotations

import click

from kdriver.core import console


@click.command("archive")
@click.option("--distro", metavar="NAME", help="A distribution release (debian12) or family (debian); all without it.")
@click.option("--kernel", metavar="KERNEL", help="Only this kernel: as for `kdriver index show`.")
@click.option("--flavour", metavar="NAME", help="Kernels of this flavour only.")
@click.option(
    "--arch", metavar="ARCH", default="x86_64", show_default=True, help="Architecture, as `uname -m` says it."
)
@click.option("--images", is_flag=True, help="Keep images and modules too; headers alone are a tenth of that.")
@click.option("-n", "--dry-run", is_flag=True, help="Only ask what is still served; download and note nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    distro: str | None, kernel: str | None, flavour: str | None, arch: str, images: bool, dry_run: bool, as_json: bool
) -> int:
    """Keep the packages of the index's kernels, and find out which that left the lists are still served.

    Repositories drop the headers of older kernels while hosts still run them. Run this after each update: what is there
    already is not downloaded again, and every command takes packages from here first. They lie in KDRIVER_ARCHIVE, else
    beside the index, by their digests.

    \b
    Examples:
      kdriver index archive --distro debian12
      kdriver index archive --distro debian --dry-run --json

    A package whose digest no signed list ever gave is marked unauthenticated. Exit status 1: one could not be had.
    """
    from kernel_index.archive import ask_states, run_archive
    from kernel_index.query import find_kernels

    chosen = find_kernels(distro=distro, kernel=kernel, flavour=flavour, arch=arch)
    if dry_run:
        asked = ask_states(chosen)
        if as_json:
            console.print_json([one.to_json() for one in asked])
        else:
            rows = [
                (
                    one.release,
                    one.build,
                    str(package.role),
                    str(package.state),
                    "yes" if package.authenticated else "no",
                )
                for one in asked
                for package in one.packages
            ]
            console.print_table(("KERNEL", "BUILD", "PACKAGE", "STATE", "AUTHENTICATED"), rows)
        return 0
    with console.progress() as display:
        task = display.add_task("archive", total=len(chosen), note="")

        def report(text: str) -> None:
            display.update(task, description=text)
            display.advance(task)

        results = run_archive(chosen, images=images, report=report)
    if as_json:
        console.print_json([result.to_json() for result in results])
    else:
        rows = [
            (one.package, one.outcome, console.size(one.size_bytes), "yes" if one.authenticated else "no", one.reason)
            for one in results
            if one.outcome != "there"
        ]
        console.print_table(("PACKAGE", "OUTCOME", "SIZE", "AUTHENTICATED", "REASON"), rows)
        there = sum(one.outcome == "there" for one in results)
        click.echo(f"{len(rows)} packages looked at, {there} were there already")
    return int(any(one.outcome == "failed" for one in results))
