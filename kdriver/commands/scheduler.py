"""`kdriver scheduler`: the head of a cluster."""

from __future__ import annotations

import click


@click.command(name="scheduler")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8786, show_default=True, help="0: any that is free.")
def command(host: str, port: int) -> None:
    """Hand out builds to workers, until ctrl-C. Its address is printed on stdout when it is ready.

    It is dask.distributed's scheduler (pip install 'kdriver[farm]'). Whoever reaches it can run code on its workers:
    see kdriver worker --help.

    \b
    Examples:
      kdriver scheduler --host 0.0.0.0
      kdriver worker --scheduler tcp://head:8786     # on each machine that builds
      kdriver build --distro debian --executor cluster --scheduler tcp://head:8786

    Exit status: 0 stopped, 1 the port cannot be had, 2 usage.
    """
    from builder.cluster.processes import run_scheduler

    run_scheduler(host, port, lambda address: click.echo(address))
