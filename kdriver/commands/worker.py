"""`kdriver worker`: this machine builds and boots kernels for a cluster."""

from __future__ import annotations

import os

import click


@click.command(name="worker")
@click.option("--scheduler", "address", required=True, metavar="ADDRESS", help="Of the scheduler: tcp://HOST:8786.")
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), help="Builds and guests at a time.  [default: the number of CPUs]"
)
@click.option(
    "--executor",
    type=click.Choice(["auto", "local", "container"]),
    default="auto",
    show_default=True,
    help="Where this worker compiles, as of kdriver build.",
)
@click.option("--name", help="What the cluster calls it.  [default: host name and process id]")
@click.option(
    "--death-timeout",
    type=click.FloatRange(min=1),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="End when the scheduler has been away for so long.",
)
def command(address: str, jobs: int | None, executor: str, name: str | None, death_timeout: float) -> None:
    """Build and boot kernels for a cluster, until ctrl-C.

    Its results go to whoever asked; what it built stays in its own cache, too.

    A worker has its own cache of headers and artifacts (KDRIVER_CACHE: another for each worker of one machine) and its
    own images; it fetches packages itself. It offers the compilers that it has, so that a kernel goes where its own
    compiler is; where it has QEMU it offers to boot, too. A worker that is killed loses nothing: what it had begun is
    built and verified elsewhere.

    Whoever reaches a scheduler can run code on its workers. Keep it in a network that you trust, or give scheduler,
    workers and clients certificates of one authority in KDRIVER_TLS_CA, KDRIVER_TLS_CERT and KDRIVER_TLS_KEY.

    \b
    Examples:
      kdriver worker --scheduler tcp://head:8786
      KDRIVER_CACHE=/var/cache/two kdriver worker --scheduler tcp://head:8786 -j 2

    Exit status: 0 stopped, or the scheduler went away; 1 the scheduler does not answer; 2 usage.
    """
    from builder.choice import ExecutorName
    from builder.cluster.processes import run_worker
    from kdriver.commands.verify_job import can_boot, stop_guests

    run_worker(
        address,
        jobs=jobs or len(os.sched_getaffinity(0)),
        executor=ExecutorName(executor),
        name=name,
        death_timeout_s=death_timeout,
        announce=lambda line: click.echo(f"kdriver worker: {line}", err=True),
        boots=can_boot(),
        stop=stop_guests,
    )
