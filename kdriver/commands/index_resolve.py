"""`kdriver index resolve`: which kernel of the index a host runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdriver.core import console
from kdriver.core.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from kernel_index.hosts import HostFacts
    from kernel_index.resolve import Resolution


@click.command("resolve")
@click.option("--release", metavar="R", help="The host's `uname -r`. Without it this host is asked for everything.")
@click.option("--version", "uname_v", metavar="V", help="The host's `uname -v`: tells builds of one release apart.")
@click.option("--os-release", "os_release", metavar="FILE", type=click.Path(path_type=Path), help="Its os-release.")
@click.option("--arch", metavar="ARCH", help="The host's `uname -m`; without it this machine's.")
@click.option(
    "--root",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("/"),
    help="Where this host's root is mounted: /host in a container. Its os-release is read there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: kernel, nearest, reasons, host.")
def command(
    release: str | None, uname_v: str | None, os_release: Path | None, arch: str | None, root: Path, as_json: bool
) -> int:
    """Say which kernel of the index a host runs; without options: this host.

    The kernel's own strings decide whose kernel it is; os-release fills in what they leave open, and contradictions
    (a container, an upgraded host) are told. Where the index does not have exactly this kernel, the nearest is named
    with what tells them apart.

    \b
    Examples:
      kdriver index resolve
      kdriver index resolve --release 6.1.0-56-amd64 --version "#1 SMP Debian 6.1.192-2" --os-release ./os-release
      kdriver index resolve --root /host --json

    Exit status 3: the index does not have exactly this kernel.
    """
    from kernel_index.resolve import resolve_in_index

    answer = resolve_in_index(_host(release, uname_v, os_release, arch, root))
    if as_json:
        console.print_json(answer.to_json())
    else:
        _print(answer)
    return int(ExitCode.DONE if answer.kernel is not None else ExitCode.NOT_FOUND)


def _host(release: str | None, uname_v: str | None, os_release: Path | None, arch: str | None, root: Path) -> HostFacts:
    from kernel_index.hosts import Uname, host_facts, parse_os_release, read_host_facts, running_uname

    here = running_uname()
    if release is None and (uname_v is not None or os_release is not None):
        raise ConfigError("--version and --os-release describe a host by its --release", hint="Add --release R.")
    if release is None:
        return read_host_facts(root, Uname(here.release, here.version, arch or here.machine))
    text = ""
    if os_release is not None:
        try:
            text = os_release.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise ConfigError(
                f"{os_release}: {error.strerror}", hint="Name the host's os-release, or leave --os-release out."
            ) from error
    return host_facts(Uname(release, uname_v or "", arch or here.machine), parse_os_release(text))


def _print(answer: Resolution) -> None:
    host = answer.host
    told = f"{host.distro or 'unknown distribution'} {host.distro_version}".strip()
    click.echo(f"{'host':8} {told}, {host.release or 'no release'} ({host.build or 'no build'}), {host.arch}")
    if answer.kernel is not None:
        click.echo(f"{'kernel':8} {answer.kernel.key} of {answer.kernel.distro_release}")
    elif answer.nearest is not None:
        click.echo(f"{'kernel':8} not in the index")
        click.echo(f"{'nearest':8} {answer.nearest.key} of {answer.nearest.distro_release}")
    else:
        click.echo(f"{'kernel':8} not in the index, and none that is near")
    for reason in answer.reasons:
        click.echo(f"  {reason}")
