"""`kdriver build --explain`: which toolchain each driver gets, and by what evidence."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click

from kdriver.core.console import print_json, progress
from kdriver.core.errors import ExitCode
from kdriver.core.paths import cache_dir

if TYPE_CHECKING:
    from builder.choice import Toolchains
    from builder.explain import Explanation
    from builder.headers import HeaderTree
    from builder.plan import BuildPlan


def explain_plans(
    plans: Sequence[BuildPlan], toolchains: Toolchains, mirrors: Sequence[str], *, as_json: bool, offline: bool
) -> int:
    """Explain and print; the exit status. offline: by the index alone, without downloading headers."""
    from builder.explain import explain_builds, explain_from_index

    if offline:
        found = explain_from_index(plans, toolchains)
    else:
        with progress() as display:
            task = display.add_task("headers", total=len(plans), note="")

            def tree_of(plan: BuildPlan) -> HeaderTree:
                from builder.bench import fetch_package, unpack_package
                from builder.headers import prepare_headers

                display.update(task, advance=1, note=plan.kernel.release)
                fetch = functools.partial(fetch_package, mirrors=mirrors)
                return prepare_headers(plan.kernel, cache_dir() / "headers", fetch, unpack_package)

            found = explain_builds(plans, toolchains, tree_of)
    if as_json:
        print_json([one.to_json() for one in found])
    else:
        _print(found)
    lacking = [one for one in found if not one.choices and not one.plan.skip]
    if not lacking:
        return int(ExitCode.DONE)
    return int(ExitCode.BUILD if len({one.plan.kernel.key for one in found}) == 1 else ExitCode.SOME_FAILED)


def _print(found: Sequence[Explanation]) -> None:
    """A block for each kernel, in lines that a person reads from top to bottom."""
    for key, group in groupby(found, key=lambda one: one.plan.kernel.key):
        click.echo(key)
        for one in group:
            _print_one(one)


def _print_one(one: Explanation) -> None:
    from builder.explain import compiler_text

    kind = f"  {one.plan.kind:<5}"
    if not one.choices:
        click.echo(f"{kind}none: {one.reason}")
        if one.hint:
            click.echo(f"       hint: {one.hint}")
    for number, choice in enumerate(one.choices):
        lead = kind if number == 0 else "       else "
        click.echo(f"{lead}{compiler_text(choice)}")
        click.echo(f"       because {choice.why}")
    for fact in one.facts:
        click.echo(f"       {fact.name + ':':<22}{fact.value}  [{fact.source}]")
