"""`kdriver status`: what is loaded on this host."""

from __future__ import annotations

import click

from kdriver.core.console import print_json


@click.command(name="status")
@click.option("--name", default="kdriver", show_default=True, help="The module to look for when none was installed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, as_json: bool) -> None:
    """Say which driver is in place, who uses it, and until when its repository's signature holds.

    \b
    Examples:
      kdriver status
      kdriver status --json
    """
    from kdriver.loader.modules import LinuxModules
    from kdriver.loader.state import state_from_environment
    from kdriver.loader.status import read_status

    status = read_status(state_from_environment(), LinuxModules(), name)
    if as_json:
        print_json(status.to_json())
        return
    installed, module = status.installed, status.module
    if not status.in_place:
        click.echo("no driver is in place" + (": the module that was loaded is gone" if installed else ""))
        return
    if installed:
        versions = installed.entry["driver"]
        click.echo(
            f"{installed.name} {versions['version']} ({installed.kind}): {installed.outcome} on {installed.kernel}"
        )
        click.echo(f"  file {installed.path}, sha256 {installed.artifact[:16]}")
        click.echo(f"  interface {versions['api']}, schema {versions['schema']}, since {installed.at}")
    if module:
        origin = "" if installed else ", not loaded by kdriver load"
        click.echo(f"  module {module.name} {module.version}: {module.refcount} references{origin}")
        for parameter, value in module.parameters:
            click.echo(f"    {parameter} = {value}")
    if installed:
        ended = " (ended: run `kdriver load` again)" if status.stale else ""
        click.echo(f"  repository {installed.repo}, signature holds until {installed.expires}{ended}")
