"""`kdriver unload`: take the driver off this host."""

from __future__ import annotations

import click

from kdriver.core.console import print_json


@click.command(name="unload")
@click.option("--name", default="kdriver", show_default=True, help="The module to unload when none was installed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, as_json: bool) -> None:
    """Unload the module and remove the driver's files. What the host trusts stays. Does nothing the second time."""
    from kdriver.loader.load import run_unload
    from kdriver.loader.modules import LinuxModules
    from kdriver.loader.state import state_from_environment

    done = run_unload(state_from_environment(), LinuxModules(), name)
    if as_json:
        print_json({"done": list(done)})
        return
    for line in done or ("no driver is in place",):
        click.echo(line)
