"""`kdriver load`: find, fetch, check and load the driver for this host."""

from __future__ import annotations

from pathlib import Path

import click

from kdriver.core.artifact import DriverKind
from kdriver.core.console import print_json, size
from kdriver.core.errors import ConfigError

KINDS = [str(kind) for kind in DriverKind]


@click.command(name="load")
@click.option("--repo", required=True, help="The repository: an http, https or file address, or a folder.")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    help="Only this kind of driver; repeat it for an order of preference. [default: core, bpf, kmod]",
)
@click.option("--trust", type=click.Path(path_type=Path), help="The repository's root.json, from its owner.")
@click.option("--trust-on-first-use", is_flag=True, help="Trust the root that the repository itself shows, this once.")
@click.option("--allow-unverified", is_flag=True, help="Accept a driver that was not verified on this kernel.")
@click.option("--param", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter for the module.")
@click.option("--explain", is_flag=True, help="Say why each kind was taken or not, and what was read of the host.")
@click.option("--dry-run", "-n", is_flag=True, help="Look and choose, change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    repo: str,
    kinds: tuple[str, ...],
    trust: Path | None,
    trust_on_first_use: bool,
    allow_unverified: bool,
    parameters: tuple[str, ...],
    explain: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Find, fetch, check and load the driver for the running kernel.

    Everything that is fetched is checked against signed metadata, whose root is trusted by --trust FILE, and from then
    on without it. A driver that is loaded already stays; another version is replaced only after the new file was
    checked. An eBPF driver (core, bpf) is installed and tried, and loaded by whoever opens it.

    \b
    Examples:
      kdriver load --repo http://mirror.example/repository --trust root.json
      kdriver load --repo http://mirror.example/repository --explain --dry-run

    Exit status: 0 done, 1 the repository cannot be reached, 2 wrong use, 3 no driver for this kernel (the nearest
    ones are named), 6 a signature or digest is wrong, 7 the kernel refused the driver.
    """
    from kdriver.loader.choice import DEFAULT_ORDER
    from kdriver.loader.host import read_host
    from kdriver.loader.load import LoadRequest, plan_load, run_load
    from kdriver.loader.modules import LinuxModules
    from kdriver.loader.state import state_from_environment

    bad = [one for one in parameters if "=" not in one or any(letter.isspace() for letter in one)]
    if bad:
        raise ConfigError(f"--param {bad[0]}: is not NAME=VALUE without spaces", hint="Write it like --param size=8.")
    request = LoadRequest(
        repo=repo,
        kinds=tuple(dict.fromkeys(DriverKind(kind) for kind in kinds)) or DEFAULT_ORDER,
        trust_file=trust,
        trust_on_first_use=trust_on_first_use,
        allow_unverified=allow_unverified,
        parameters=" ".join(parameters),
    )
    host, state = read_host(), state_from_environment()
    report = plan_load(request, host, state) if dry_run else run_load(request, host, state, LinuxModules())
    if as_json:
        print_json(report.to_json())
        return
    driver = report.choice.driver
    assert driver is not None
    click.echo(f"host: {host.distro} {host.release} ({host.build}), {host.os_name or 'unknown system'}")
    if explain:
        lockdown, btf = host.lockdown or "none", "yes" if host.btf else "no"
        click.echo(f"  machine {host.machine}, BTF {btf}, lockdown {lockdown}, container {host.container or 'no'}")
        for note in host.notes:
            click.echo(f"  note: {note}")
    for attempt in report.choice.attempts if explain else report.choice.attempts[-1:]:
        click.echo(f"{attempt.kind}: {'taken' if attempt.accepted else 'not taken'}: {attempt.reason}")
    click.echo(
        f"driver: {driver.artifact[:16]} {size(driver.size_bytes)}, {driver.compiler}, {report.choice.kernel.key}"
    )
    for line in report.evidence:
        click.echo(f"  {line}")
    if report.replaced:
        click.echo(f"  replaces {report.replaced[:16]}")
    where = f" at {report.installed.path}" if report.installed and driver.kind is not DriverKind.KMOD else ""
    click.echo(f"{report.outcome}: {driver.name} {driver.driver.version} ({driver.kind}){where}")
