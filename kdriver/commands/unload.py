"""`kdriver unload`: take the driver off this host."""

from __future__ import annotations

import click

from kdriver.core.console import print_json


@click.command(name="unload")
@click.option("--name", default="kdriver", show_default=True, help="The module to unload when none was installed.")
@click.option("--dry-run", "-n", is_flag=True, help="Say what would be unloaded and removed, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, dry_run: bool, as_json: bool) -> None:
    """Unload the module and remove the driver's files. What the host trusts stays. Does nothing the second time.

    \b
    Examples:
      kdriver unload --dry-run
      kdriver unload
    """
    from kdriver.loader.load import plan_unload, run_unload
    from kdriver.loader.modules import LinuxModules
    from kdriver.loader.state import state_from_environment

    act = plan_unload if dry_run else run_unload
    done = act(state_from_environment(), LinuxModules(), name)
    if as_json:
        print_json({"would_do" if dry_run else "done": list(done)})
        return
    for line in done or ("no driver is in place",):
        click.echo(line)
