"""`ci/bench build`: how fast 20 real Debian kernels are built, cold and warm, beside bare make and clang.

All is in a cache of its own in a folder of /dev/shm or, where that is too small, of TMPDIR; packages that the user's
own cache has are taken from there and counted as downloaded. CPU time is what is compared: it hardly depends on what
else the machine does, and wall time does. Each program that a build starts is timed by the shell that runs it, and what
kdriver does itself by the clock of its thread, so that builds are told apart that run at the same time.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from build_meter import Meter, MeteredExecutor

from builder.bench import Bench
from builder.choice import Choice, Toolchains
from builder.kinds.bpf import build_bpf
from builder.kinds.kmod import build_kmod
from builder.kinds.step import Workplace
from builder.known_bad import load_known_bad
from builder.places import local_place
from builder.plan import BuildPlan, plan_builds
from builder.result import BuildOutcome, BuildResult
from builder.run import RunOptions, run_builds
from builder.source import DriverSource, copy_source, load_source, render_headers
from builder.toolchain import Compiler, Llvm
from kdriver.core.artifact import DriverKind
from kdriver.core.console import print_json, print_table, size
from kdriver.core.errors import BuildError, KdriverError
from kdriver.core.kernel import Kernel
from kdriver.core.paths import cache_dir
from kdriver.core.process import stopped_by_sigterm
from kernel_index.query import find_kernels
from kernel_index.table import load_table

MOST_RATIO = 1.10
MOST_IDLE_S = 1.0
_NEEDED_BYTES = 6_000_000_000
_FLAVOURS = ("cloud-amd64", "amd64", "rt-amd64")
_KINDS = (DriverKind.KMOD, DriverKind.BPF)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a part took. cpu_s: of kdriver and all that it started. wall_s: by the clock, on a machine as it is; 0 for a
    part of something that ran beside others."""

    cpu_s: float
    wall_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """All numbers. cold: a batch into an empty cache but for packages; unpack and probe are the parts of it that come
    once for each header set. warm: every file built again with headers and probes there, none shared; bare: make and
    clang alone, of the same source in the same place. ratios: of each build, warm to bare, sorted. idle: the same with
    nothing to do, in a process of its own. compiler_bytes, kdriver_bytes: peak memory of the
    largest process that was started, and of kdriver."""

    kernels: int
    builds: int
    cold: Cost
    unpack: Cost
    probe: Cost
    shared: int
    bare: Cost
    warm: Cost
    ratios: tuple[float, ...]
    idle: Cost
    compiler_bytes: int
    kdriver_bytes: int
    downloaded_bytes: int
    kept_bytes: int

    @property
    def ratio(self) -> float:
        """CPU time of whole builds to that of make and clang in the same place."""
        return self.warm.cpu_s / self.bare.cpu_s

    def to_json(self) -> dict[str, Any]:
        """All fields, costs as objects, and what is worked out of them."""
        return {
            **asdict(self),
            "ratio": round(self.ratio, 3),
            "cold_kernels_per_minute": round(self.kernels / self.cold.wall_s * 60, 2),
            "warm_kernels_per_minute": round(self.kernels / self.warm.wall_s * 60, 2),
        }


def main(argv: list[str] | None = None) -> int:
    """Measure and print. Status 1 with --check when a target is missed."""
    parser = argparse.ArgumentParser(prog="ci/bench build", description=__doc__)
    parser.add_argument("--kernels", type=int, default=20, metavar="N", help="so many kernels (20)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="builds at a time")
    parser.add_argument("--check", action="store_true", help="exit with status 1 when a number misses its target")
    parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON document instead of a table")
    words = parser.parse_args(argv)
    try:
        with stopped_by_sigterm(), scratch_cache() as cache:
            found = measure(choose_kernels(words.kernels), load_source(), cache, words.jobs)
    except KdriverError as error:
        print(f"ci/bench: {error.message}", file=sys.stderr)
        print(f"  hint: {error.hint or 'Run kdriver index update --distro debian12 first.'}", file=sys.stderr)
        return int(error.exit_code)
    if words.as_json:
        print_json(found.to_json())
    else:
        print_measured(found)
    missed = found.ratio > MOST_RATIO or found.idle.cpu_s > MOST_IDLE_S
    return int(words.check and missed)


def choose_kernels(count: int) -> list[Kernel]:
    """So many Debian 12 kernels with headers that can be had, the newest of each flavour first."""
    known = [kernel for kernel in find_kernels(distro="debian12") if kernel.flavour in _FLAVOURS]
    plans = plan_builds(known, [DriverKind.KMOD], load_source(), known_bad=load_known_bad(load_table()))
    usable = [plan.kernel for plan in plans if not plan.skip and all(str(p.state) != "gone" for p in plan.packages)]
    by_flavour = [[one for one in reversed(usable) if one.flavour == flavour] for flavour in _FLAVOURS]
    mixed = [kernel for row in zip(*by_flavour, strict=False) for kernel in row]
    return mixed[:count]


@contextmanager
def scratch_cache() -> Iterator[Path]:
    """An empty cache that only has the downloads of the user's own, in memory where that is large enough."""
    downloads = cache_dir() / "downloads"
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _NEEDED_BYTES
    mine = {"KDRIVER_CACHE": "", "KDRIVER_HEADERS_MEMORY": "0"}  # all of it is in memory
    before = {name: os.environ.get(name) for name in mine}
    with tempfile.TemporaryDirectory(prefix="kdriver-bench-", dir=memory if roomy else None) as name:
        downloads.mkdir(parents=True, exist_ok=True)
        (Path(name) / "downloads").symlink_to(downloads)
        os.environ.update({**mine, "KDRIVER_CACHE": name})
        try:
            yield Path(name)
        finally:
            for variable, value in before.items():
                os.environ.pop(variable)
                if value is not None:
                    os.environ[variable] = value


def measure(kernels: Sequence[Kernel], source: DriverSource, cache: Path, jobs: int) -> Measured:
    """Every number, one after the other in the same cache. Raises KdriverError."""
    plans = plan_builds(kernels, _KINDS, source)
    say(f"{len(plans)} files, with nothing but packages in the cache")
    cold, prepared, outcomes = measure_batch(plans, source, RunOptions(jobs=jobs))
    shutil.rmtree(cache / "artifacts")
    say(f"{len(plans)} files, with headers and compile probes in the cache")
    warm, built, _ = measure_batch(plans, source, RunOptions(jobs=jobs, share=False))
    say(f"{len(plans)} files by make and clang alone")
    bare, alone = build_all_bare(plans, source, cache, jobs)
    say("nothing to do")
    packages = {package.digest: package.size_bytes for plan in plans for package in plan.packages}
    return Measured(
        kernels=len(kernels),
        builds=len(plans),
        cold=cold,
        unpack=Cost(round(prepared.total("unpack"), 2)),
        probe=Cost(round(prepared.total("probe"), 2)),
        shared=outcomes.count(BuildOutcome.SHARED),
        bare=bare,
        warm=warm,
        ratios=tuple(sorted(round(built.of_plan(plan) / alone[plan], 3) for plan in plans)),
        idle=measure_idle(kernels, source, cache),
        compiler_bytes=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        kdriver_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        downloaded_bytes=sum(packages.values()),
        kept_bytes=_kept(cache),
    )


def measure_batch(
    plans: Sequence[BuildPlan], source: DriverSource, options: RunOptions
) -> tuple[Cost, Meter, list[BuildOutcome]]:
    """Build all: together, each by itself, and how each ended. Raises BuildError when one failed."""
    meter = Meter()
    results: list[BuildResult] = []
    toolchains = metered_toolchains(meter)
    cost = timed(lambda: results.extend(run_builds(plans, source, options, toolchains=toolchains, on_step=meter.step)))
    bad = next((one for one in results if not one.ok), None)
    if bad is not None:
        raise BuildError(f"{bad.kernel} {bad.kind}: {bad.reason}", hint=f"Read {bad.log}.")
    return cost, meter, [one.outcome for one in results]


def metered_toolchains(meter: Meter) -> Toolchains:
    """The compilers of this machine, below a meter."""
    place = local_place()
    return Toolchains(replace(place, executor=MeteredExecutor(place.executor, meter)))


def build_all_bare(
    plans: Sequence[BuildPlan], source: DriverSource, cache: Path, jobs: int
) -> tuple[Cost, dict[BuildPlan, float]]:
    """make and clang alone, as many at a time as builds: all together, and each."""
    meter = Meter()
    generated = render_headers(source, cache / "generated")
    bench = Bench(cache, source, generated, metered_toolchains(meter), force=True, on_step=lambda plan, step: None)

    def build(plan: BuildPlan) -> float:
        before = meter.children_s()
        build_bare(plan, bench)
        return meter.children_s() - before

    started = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        alone = dict(zip(plans, pool.map(build, plans), strict=True))
    return Cost(round(sum(alone.values()), 2), round(time.monotonic() - started, 2)), alone


def measure_idle(kernels: Sequence[Kernel], source: DriverSource, cache: Path) -> Cost:
    """The command of a batch of which all is in the cache, run again: with Python's own compiled files, as those of an
    installed program are there."""
    words = [word for kernel in kernels for word in ("--kernel", kernel.key)]
    argv = [sys.executable, "-m", "kdriver", "build", "--json", *words, "--kind", "kmod", "--kind", "bpf"]
    argv += ["--executor", "local", "--driver-src", str(source.folder)]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(cache / "pycache")

    def run() -> None:
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)

    run()
    return timed(run)


def build_bare(plan: BuildPlan, bench: Bench) -> None:
    """make, or clang with llc, of the same source in the same place, and nothing else: no check and no record."""
    tree = bench.tree(plan)
    prepared = bench.prepare(plan, tree)
    with tempfile.TemporaryDirectory(prefix="bare-", dir=bench.cache / "work") as name:
        root = Path(name)
        copy_source(bench.source, plan.kind, bench.generated, root)
        if plan.kind is DriverKind.KMOD:
            choice: Choice = bench.gcc(plan, tree)
            assert isinstance(choice.compiler, Compiler)
            work = Workplace(root, root / "log", choice.place.executor, choice.compiler.text)
            build_kmod(work, tree, prepared.probes, choice.compiler, plan.name)
        else:
            choice = bench.toolchains.llvm(plan.kernel)
            assert isinstance(choice.compiler, Llvm)
            work = Workplace(root, root / "log", choice.place.executor, choice.compiler.clang.text)
            build_bpf(work, tree, prepared.probes, choice.compiler, plan.name)


def timed(work: Callable[[], object]) -> Cost:
    """What some work costs, its children included."""
    cpu, wall = _cpu_s(), time.monotonic()
    work()
    return Cost(round(_cpu_s() - cpu, 2), round(time.monotonic() - wall, 2))


def say(what: str) -> None:
    """What goes on, for whoever waits."""
    print(f"ci/bench: {what}", file=sys.stderr, flush=True)


def print_measured(found: Measured) -> None:
    """A table for people."""
    ratios = f"each {found.ratios[0]:.3f} to {found.ratios[-1]:.3f}, middle {statistics.median(found.ratios):.3f}"
    cold, warm = (f"{found.kernels / cost.wall_s * 60:.1f} kernels a minute" for cost in (found.cold, found.warm))
    rows = [
        ("cold batch", found.cold, cold),
        ("  unpacking headers", found.unpack, "once for each header set"),
        ("  compile probes, layouts", found.probe, "once for each header set"),
        (f"warm batch, {found.builds} files", found.warm, warm),
        ("  make and clang alone", found.bare, f"ratio {found.ratio:.3f}, at most {MOST_RATIO:.2f}"),
        ("nothing to do", found.idle, f"at most {MOST_IDLE_S:.1f} s of CPU"),
    ]  # fmt: skip
    cells = [
        (name, f"{cost.cpu_s:.1f}", f"{cost.wall_s:.1f}" if cost.wall_s else "", note) for name, cost, note in rows
    ]
    print_table(("part", "CPU s", "wall s", ""), cells, title=f"{found.kernels} kernels of Debian 12, kmod and bpf")
    print(f"{found.shared} files were shared in the cold batch")
    print(f"ratio of {ratios}")
    print(f"peak memory {size(found.compiler_bytes)} of a compiler, {size(found.kdriver_bytes)} of kdriver")
    print(f"packages {size(found.downloaded_bytes)}; kept in the cache besides them {size(found.kept_bytes)}")


def _cpu_s() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _kept(cache: Path) -> int:
    from builder.keep import list_items

    return sum(item.size_bytes for item in list_items(cache) if item.store != "downloads")


if __name__ == "__main__":
    sys.exit(main())
