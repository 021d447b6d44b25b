"""The processes of a cluster: a scheduler, and workers that build."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from builder.choice import ExecutorName
from builder.cluster import job
from builder.cluster.client import BOOT, SLOT, ClusterError, first_line, security
from builder.places import Place
from builder.toolchain import gcc_name, load_table
from kdriver.core.paths import cache_dir

_ANY_PORT = ":0"
"""Of dask's own pages of state, which it serves in any case: two processes of one machine must not want the same."""
Announce = Callable[[str], None]
"""Told one line: that a process is ready, and where."""


def worker_resources(jobs: int, executor: ExecutorName) -> dict[str, float]:
    """What a worker offers: a slot for each build at a time, and each compiler that it has, by the name that header
    packages and the table of clangs call it. Raises what make_toolchains raises."""
    job.set_executor(executor)
    found = job.toolchains()
    places: list[Place] = [found.local] if found.local is not None else []
    if found.images is not None:
        places += [place for name in found.images.names() if (place := found.images.place(name)) is not None]
    names = {gcc_name(gcc.version) for place in places for gcc in place.gccs}
    names |= {Path(llvm.clang.path).name for place in places for llvm in place.llvms}
    if found.local is not None:
        names |= {name for name in load_table().clangs if shutil.which(name)}
    return {SLOT: float(jobs), **{name: float(jobs) for name in sorted(names)}}


def run_scheduler(host: str, port: int, announce: Announce) -> None:
    """A scheduler until SIGINT or SIGTERM. Raises ClusterError when the port cannot be had."""
    _be_quiet()
    asyncio.run(_scheduler(host, port, announce))


async def _scheduler(host: str, port: int, announce: Announce) -> None:
    from distributed import Scheduler

    try:
        scheduler = await Scheduler(
            host=host, port=port, dashboard_address=_ANY_PORT, dashboard=False, security=security()
        )
    except OSError as error:
        raise ClusterError(
            f"scheduler {host}:{port}: {error.strerror or error}", hint="Name another --port."
        ) from error
    announce(str(scheduler.address))
    await _until_signal()
    await scheduler.close()


def run_worker(
    address: str,
    *,
    jobs: int,
    executor: ExecutorName,
    name: str | None,
    death_timeout_s: float,
    announce: Announce,
    boots: bool = False,
    stop: Callable[[], None] = lambda: None,
) -> None:
    """A worker until SIGINT or SIGTERM, or until its scheduler has been away for a time. boots: whether it can boot
    kernels. stop: ends its guests, when it ends. Raises ClusterError when the scheduler does not answer in that
    time."""
    _be_quiet()
    resources = worker_resources(jobs, executor) | ({BOOT: float(jobs)} if boots else {})
    asyncio.run(_worker(address, jobs, resources, name, death_timeout_s, announce, stop))


async def _worker(
    address: str,
    jobs: int,
    resources: dict[str, float],
    name: str | None,
    death_timeout_s: float,
    announce: Announce,
    stop: Callable[[], None],
) -> None:
    from distributed import Worker

    folder = cache_dir() / "cluster"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        worker = await Worker(
            address,
            nthreads=jobs,
            name=name or f"{os.uname().nodename}-{os.getpid()}",
            resources=resources,
            local_directory=str(Path(folder)),
            death_timeout=death_timeout_s,
            # The work is done by compilers in processes of their own; what this process holds is small.
            memory_limit=0,
            dashboard_address=_ANY_PORT,
            dashboard=False,
            security=security(),
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"cluster {address}: its scheduler does not answer: {first_line(error)}",
            hint="Start it: kdriver scheduler.",
        ) from error
    offered = ", ".join(word for word in resources if word != SLOT)
    announce(f"{worker.name} at {worker.address}: {jobs} jobs at a time; {offered}")
    stopped = asyncio.ensure_future(_until_signal())
    ended = asyncio.ensure_future(worker.finished())
    await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        stop()
        job.toolchains().stop()
        await worker.close(timeout=5)


def _be_quiet() -> None:
    """dask tells every step of its own; what matters is announced."""
    import distributed

    logging.getLogger(distributed.__name__).setLevel(logging.WARNING)


async def _until_signal() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
