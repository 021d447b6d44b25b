"""`kdriver ci`: workflow files for those who build drivers in their own CI, and the jobs of a plan."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kdriver.core.console import print_json
from kdriver.core.errors import ExitCode


@click.group(name="ci")
def command() -> None:
    """Workflow files that build, verify and publish drivers in your own CI, and the jobs of a plan."""


@command.command(name="render")
@click.option("--for", "service", type=click.Choice(["github", "gitlab"]), required=True, help="The CI service.")
@click.option("--distro", "distros", multiple=True, required=True, help="A distribution or a family. Repeatable.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the file here.  [default: stdout]")
@click.option("--most", type=click.IntRange(1, 256), default=200, show_default=True, help="Jobs of one run, at most.")
@click.option("--parallel", type=click.IntRange(1, 200), default=4, show_default=True, help="Jobs at a time (gitlab).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: the service and the file's text.")
def render(service: str, distros: tuple[str, ...], out: Path | None, most: int, parallel: int, as_json: bool) -> int:
    """Write a workflow file for your distributions: plan, build and verify in parallel jobs, publish what passed.

    The file says in its head which variables and secrets it needs. Rendered ones for Debian 12 stand in ci/workflows.

    \b
    Examples:
      kdriver ci render --for github --distro debian12 --out drivers.yml
      kdriver ci render --for gitlab --distro centos7 --distro ubuntu22.04
    """
    from builder.ci_files import CiService, render_ci
    from kernel_index.table import load_table, select_rows

    for distro in distros:
        select_rows(load_table(), distro)
    text = render_ci(CiService(service), distros, most=most, parallel=parallel)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)
    if as_json:
        print_json({"for": service, "distros": list(distros), "file": str(out) if out else "", "text": text})
    elif out is None:
        click.echo(text, nl=False)
    return int(ExitCode.DONE)


@command.command(name="matrix")
@click.argument("plans", nargs=-1, type=click.Path(path_type=Path))
@click.option("--most", type=click.IntRange(1, 256), default=200, show_default=True, help="Groups, at most.")
@click.option("--groups", type=click.Path(path_type=Path), help="With --part: what an earlier `ci matrix` printed.")
@click.option("--part", help="With --groups: the kernels of job I of N, as I/N.")
@click.option("--json", "as_json", is_flag=True, help="The same: what it prints is one JSON document without --part.")
def matrix(plans: tuple[Path, ...], most: int, groups: Path | None, part: str | None, as_json: bool) -> int:
    """Cut the kernels of `kdriver build --plan --json` into groups, one for each job of a CI's matrix.

    Prints one line: a JSON list of objects with `id`, `name` and `kernels` (their keys, with spaces between). With
    --groups and --part it prints the kernels of one of several equal jobs instead.

    \b
    Examples:
      kdriver build --distro debian12 --plan --json > plan.json
      kdriver ci matrix plan.json --most 50 > groups.json
      kdriver ci matrix --groups groups.json --part 2/4
    """
    from builder.ci_files import group_kernels, read_list, take_part

    if (groups is None) != (part is None) or bool(plans) == bool(groups):
        raise click.UsageError("name plans, or --groups with --part")
    if groups is not None and part is not None:
        number, _, total = part.partition("/")
        if not (number.isdigit() and total.isdigit() and 1 <= int(number) <= int(total)):
            raise click.UsageError(f"--part {part}: is not I/N with I from 1 to N")
        kernels = take_part(read_list(groups, {"kernels"}), int(number), int(total))
        if as_json:
            print_json({"kernels": kernels.split()})
        else:
            click.echo(kernels)
        return int(ExitCode.DONE)
    found = [plan for path in plans for plan in read_list(path, {"kernel", "action"})]
    click.echo(json.dumps([group.to_json() for group in group_kernels(found, most)]))
    return int(ExitCode.DONE)
