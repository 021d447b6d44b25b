"""`ci/bench build`: how fast 20 real Debian kernels are built, cold and warm, beside bare make and clang.

All is in a cache of its own in a folder of /dev/shm or, where that is too small, of TMPDIR; packages that the user's
own cache has are taken from there and counted as downloaded. CPU time is what is compared: it hardly depends on what
else the machine does, and wall time does.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builder.bench import Bench
from builder.choice import Choice, Toolchains
from builder.kinds.bpf import build_bpf
from builder.kinds.kmod import build_kmod
from builder.kinds.step import Workplace
from builder.known_bad import load_known_bad
from builder.one import build_one
from builder.places import local_place
from builder.plan import BuildPlan, plan_builds
from builder.run import RunOptions, run_builds
from builder.source import DriverSource, copy_source, load_source, render_headers
from builder.toolchain import Compiler, Llvm
from kdriver.core.artifact import DriverKind
from kdriver.core.console import print_json, print_table, size
from kdriver.core.errors import KdriverError
from kdriver.core.kernel import Kernel
from kdriver.core.paths import cache_dir
from kernel_index.query import find_kernels
from kernel_index.table import load_table

MOST_RATIO = 1.10
MOST_IDLE_S = 1.0
_NEEDED_BYTES = 6_000_000_000
_FLAVOURS = ("cloud-amd64", "amd64", "rt-amd64")
_KINDS = (DriverKind.KMOD, DriverKind.BPF)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a part took. cpu_s: of this process and all that it started. wall_s: by the clock, on a machine as it is."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All numbers. unpack, probe, layouts: of all kernels, each alone. bare, ours: make and clang alone, and whole
    builds with headers and compile probes there. cold: a batch into an empty cache but for packages; warm: all of it
    again with headers and probes there; idle: the same with nothing to do, in a process of its own."""

    kernels: int
    builds: int
    unpack: Cost
    probe: Cost
    bare: Cost
    ours: Cost
    cold: Cost
    shared: int
    warm: Cost
    idle: Cost
    peak_bytes: int
    downloaded_bytes: int
    kept_bytes: int

    @property
    def ratio(self) -> float:
        """CPU time of whole builds to that of make and clang in the same place."""
        return self.ours.cpu_s / self.bare.cpu_s

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
        with scratch_cache() as cache:
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
    before = os.environ.get("KDRIVER_CACHE")
    with tempfile.TemporaryDirectory(prefix="kdriver-bench-", dir=memory if roomy else None) as name:
        downloads.mkdir(parents=True, exist_ok=True)
        (Path(name) / "downloads").symlink_to(downloads)
        os.environ["KDRIVER_CACHE"] = name
        try:
            yield Path(name)
        finally:
            os.environ.pop("KDRIVER_CACHE")
            if before is not None:
                os.environ["KDRIVER_CACHE"] = before


def measure(kernels: Sequence[Kernel], source: DriverSource, cache: Path, jobs: int) -> Measured:
    """Every number, one after the other in the same cache. Raises KdriverError."""
    plans = plan_builds(kernels, _KINDS, source)
    generated = render_headers(source, cache / "generated")
    (cache / "work").mkdir()
    bench = Bench(cache, source, generated, Toolchains(local_place()), force=True, on_step=lambda plan, step: None)
    modules = [plan for plan in plans if plan.kind is DriverKind.KMOD]
    unpack = timed(lambda: [bench.tree(plan) for plan in modules])
    probe = timed(lambda: [bench.prepare(plan, bench.tree(plan)) for plan in modules])

    def make_all_bare() -> None:
        for plan in plans:
            build_bare(plan, bench)

    bare = timed(make_all_bare)
    ours = timed(lambda: [build_one(plan, bench) for plan in plans])
    for store in ("headers", "probes", "artifacts", "generated"):
        shutil.rmtree(cache / store)
    options = RunOptions(jobs=jobs)
    outcomes: list[str] = []
    cold = timed(lambda: outcomes.extend(str(one.outcome) for one in run_builds(plans, source, options)))
    shutil.rmtree(cache / "artifacts")
    shutil.rmtree(cache / "shares", ignore_errors=True)
    warm = timed(lambda: run_builds(plans, source, options))
    words = [word for kernel in kernels for word in ("--kernel", kernel.key)]
    argv = [sys.executable, "-m", "kdriver", "build", "--json", *words, "--kind", "kmod", "--kind", "bpf"]
    argv += ["--executor", "local", "--driver-src", str(source.folder)]
    idle = timed(lambda: subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    packages = {package.digest: package.size_bytes for plan in plans for package in plan.packages}
    return Measured(
        len(kernels), len(plans), unpack, probe, bare, ours, cold, outcomes.count("shared"), warm, idle,
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, sum(packages.values()), _kept(cache),
    )  # fmt: skip


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


def print_measured(found: Measured) -> None:
    """A table for people."""
    rows = [
        ("unpacking headers, all", found.unpack, ""),
        ("compile probes, all", found.probe, ""),
        (f"bare make and clang, {found.builds} files", found.bare, ""),
        (f"kdriver, the same {found.builds} files", found.ours, f"ratio {found.ratio:.3f}, at most {MOST_RATIO:.2f}"),
        ("cold batch", found.cold, f"{found.kernels / found.cold.wall_s * 60:.1f} kernels a minute"),
        ("warm batch", found.warm, f"{found.kernels / found.warm.wall_s * 60:.1f} kernels a minute"),
        ("nothing to do", found.idle, f"at most {MOST_IDLE_S:.1f} s of CPU"),
    ]
    cells = [(name, f"{cost.cpu_s:.1f}", f"{cost.wall_s:.1f}", note) for name, cost, note in rows]
    print_table(("part", "CPU s", "wall s", ""), cells, title=f"{found.kernels} kernels of Debian 12, kmod and bpf")
    print(f"{found.shared} modules were shared in the cold batch")
    print(f"peak memory of one process {size(found.peak_bytes)}; packages {size(found.downloaded_bytes)}; ", end="")
    print(f"kept in the cache besides them {size(found.kept_bytes)}")


def _cpu_s() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _kept(cache: Path) -> int:
    from builder.keep import list_items

    return sum(item.size_bytes for item in list_items(cache) if item.store != "downloads")


if __name__ == "__main__":
    sys.exit(main())
