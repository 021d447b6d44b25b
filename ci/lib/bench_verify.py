"""What a verification costs (ci/bench verify): processor and wall seconds from package to verdict, stage by stage,
beside a bare boot of the same kernel, and what each speed-up of the guest brings.

Processor seconds are those of QEMU and of this process together; on a busy machine they grow by a third or more, wall
seconds by far more. Stages of the guest are told apart as its /init reports them.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.bench import fetch_package
from builder.plan import plan_builds
from builder.run import run_builds
from builder.source import load_source
from builder.tools import Tools, build_tools
from kdriver.catalogue.load import load_catalogue
from kdriver.commands.verify_targets import from_builds, image_package
from kdriver.core import console
from kdriver.core.artifact import DriverKind
from kdriver.core.kernel import Kernel
from kdriver.packages.kernel_files import is_kernel_image, unpack_package
from kdriver.verifier.accelerator import find_qemu
from kdriver.verifier.host_clock import host_tsc_khz
from kdriver.verifier.image import GuestKernel, kernel_from_package
from kdriver.verifier.initramfs import write_initramfs
from kdriver.verifier.machine import MachinePlan, machine_argv
from kdriver.verifier.plan import GuestPlan, guest_entries
from kdriver.verifier.results import read_results
from kdriver.verifier.run import Bench, verify_kernels
from kernel_index.query import find_kernels

KERNELS = ("newest:6.1:cloud-amd64", "newest:6.1")
TARGET_S = 6.0
"""CPU seconds beyond boot and program load, all cases on all three kinds."""
_BOOT_LIMIT_S = 600.0
_TICKS = os.sysconf("SC_CLK_TCK")
_GROUPS = {
    "boot": "boot", "start": "boot", "load": "program load", "open": "program load", "cases": "cases",
    "flush": "cases", "static checks": "static checks",
}  # fmt: skip
"""The last word of a stage to what it counts as; all others are trials."""
STAGES = ("fetch", "unpack", "static checks", "boot", "program load", "cases", "trials", "verdict")


@dataclass(frozen=True)
class Spent:
    """Processor and wall seconds."""

    cpu_s: float = 0.0
    wall_s: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.cpu_s + other.cpu_s, self.wall_s + other.wall_s)


@dataclass(frozen=True)
class Costs:
    """One kernel's verification. stages: by name of STAGES. bare: a boot to the same /init without drivers.
    outcomes: of the kinds. size_bytes: of the package."""

    kernel: str
    size_bytes: int
    stages: dict[str, Spent]
    bare: Spent
    outcomes: dict[str, str]

    @property
    def whole(self) -> Spent:
        """From package to verdict."""
        return sum(self.stages.values(), Spent())

    @property
    def beyond_s(self) -> float:
        """CPU seconds of the guest beyond boot and program load."""
        return self.stages["cases"].cpu_s + self.stages["trials"].cpu_s + self.stages["verdict"].cpu_s

    @property
    def kernels_an_hour(self) -> float:
        """On two cores, fetched and unpacked before: by CPU seconds."""
        guest = self.whole.cpu_s - self.stages["fetch"].cpu_s - self.stages["unpack"].cpu_s
        return 2 * 3600 / guest


def main() -> int:
    """Parse, measure, print. Exit status 1 with --check when a target was missed or a driver did not pass."""
    parser = argparse.ArgumentParser(prog="ci/bench verify")
    parser.add_argument("--distro", default="debian12")
    parser.add_argument("--kernel", action="append", default=[])
    parser.add_argument("--kind", action="append", default=[], choices=[str(kind) for kind in DriverKind])
    parser.add_argument("--speedups", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", action="store_true", dest="as_json")
    words = parser.parse_args()
    kinds = [DriverKind(kind) for kind in words.kind] or list(DriverKind)
    costs, gains = [], {}
    for name in words.kernel or KERNELS:
        (kernel,) = find_kernels(distro=words.distro, kernel=name)
        with tempfile.TemporaryDirectory(prefix="kdriver-bench-") as folder:
            print(f"{kernel.key}: verification", file=sys.stderr, flush=True)
            cost, guest = verification_costs(kernel, kinds, Path(folder))
            costs.append(cost)
            if words.speedups:
                gains[kernel.key] = speedups(kernel, guest, Path(folder))
    if words.as_json:
        console.print_json(document(costs, gains))
    else:
        print_costs(costs)
        for key, found in gains.items():
            print_gains(key, found)
    missed = any(one.beyond_s > TARGET_S or set(one.outcomes.values()) != {"passed"} for one in costs)
    return int(words.check and missed)


def verification_costs(kernel: Kernel, kinds: Sequence[DriverKind], folder: Path) -> tuple[Costs, GuestKernel]:
    """Fetch and unpack the kernel anew, verify its drivers (built before, not counted)."""
    source = load_source()
    tools = build_tools(source=source)
    results = run_builds(plan_builds([kernel], kinds, source), source)
    (verification,) = from_builds([kernel], results)
    stages = dict.fromkeys(STAGES, Spent())
    package = image_package(kernel)
    with another_cache(folder / "cache"):
        with measured(stages, "fetch"):
            file = fetch_package(kernel, package)
        with measured(stages, "unpack"):
            guest = kernel_from_package(file, kernel.release)
    bare = bare_boot(guest.path, guest, tools, folder)
    watch = Watch()
    bench = Bench(tools, load_catalogue(source.folder), find_qemu(), on_stage=watch.stage)
    verified = verify_kernels([dataclasses.replace(verification, image=lambda: guest)], bench)
    for name, spent in watch.ended().items():
        stages[name] += spent
    for one in verified:
        if one.verdict.reason:
            print(f"{kernel.key}: {one.verdict.kind}: {one.verdict.reason}", file=sys.stderr, flush=True)
    outcomes = {one.verdict.kind: str(one.verdict.outcome) for one in verified}
    return Costs(kernel.key, package.size_bytes, stages, bare, outcomes), guest


class Watch:
    """Takes the time at each stage of a verification. What follows the guest is the verdict's."""

    def __init__(self) -> None:
        self._marks: list[tuple[str, float, float, float]] = []

    def stage(self, kernel: str, stage: str) -> None:
        """A Bench's on_stage."""
        self._marks.append((stage, guest_cpu_s(), own_cpu_s(), time.monotonic()))

    def ended(self) -> dict[str, Spent]:
        """By name of STAGES. While a guest runs this process reads what it says, and that is the verdict's, too."""
        self._marks.append(("", guest_cpu_s(), own_cpu_s(), time.monotonic()))
        found = dict.fromkeys(STAGES, Spent())
        for (stage, guest, own, wall), (_, guest_later, own_later, later) in zip(
            self._marks, self._marks[1:], strict=False
        ):
            words = stage.split()
            group = _GROUPS.get(stage) or _GROUPS.get(words[-1], "trials")
            own_group = group if group == "static checks" else "verdict"
            found[group] += Spent(guest_later - guest, later - wall)
            found[own_group] += Spent(own_later - own)
        return found


def own_cpu_s() -> float:
    """Of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def guest_cpu_s() -> float:
    """Of this process's children, those that still run among them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            for pid in (task / "children").read_text().split():
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
    return used.ru_utime + used.ru_stime + ticks / _TICKS


@contextlib.contextmanager
def measured(stages: dict[str, Spent], name: str) -> Iterator[None]:
    """What the block costs is added to a stage."""
    cpu, wall = guest_cpu_s() + own_cpu_s(), time.monotonic()
    yield
    stages[name] += Spent(guest_cpu_s() + own_cpu_s() - cpu, time.monotonic() - wall)


@contextlib.contextmanager
def another_cache(folder: Path) -> Iterator[None]:
    """A cache that holds nothing."""
    before = os.environ.get("KDRIVER_CACHE")
    os.environ["KDRIVER_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["KDRIVER_CACHE"]
        else:
            os.environ["KDRIVER_CACHE"] = before


def bare_boot(
    image: Path,
    guest: GuestKernel,
    tools: Tools,
    folder: Path,
    change: Callable[[list[str]], list[str]] = list,
    name: str = "bare",
) -> Spent:
    """Boot an image to /init and its end, without any driver. change: of QEMU's command line."""
    work = folder / name
    work.mkdir(exist_ok=True)
    machine = MachinePlan(
        find_qemu(), image, work / "initramfs", work / "console", work / "results", tsc_khz=host_tsc_khz()
    )
    machine.initramfs.write_bytes(write_initramfs(guest_entries(GuestPlan(guest, ()), tools)))
    stages = {name: Spent()}
    with measured(stages, name):
        subprocess.run(change(machine_argv(machine)), check=True, timeout=_BOOT_LIMIT_S, stdin=subprocess.DEVNULL)
    if not read_results(machine.results.read_bytes(), machine.bulk).ended:
        raise SystemExit(f"ci/bench verify: {guest.release}: the guest did not come to its end ({machine.console})")
    return stages[name]


def speedups(kernel: Kernel, guest: GuestKernel, folder: Path) -> dict[str, tuple[Spent, Spent]]:
    """Each speed-up to a bare boot without it and with all of them."""
    tools = build_tools()
    with another_cache(folder / "cache"):
        package = fetch_package(kernel, image_package(kernel))
    names = unpack_package(package, folder / "image", members=is_kernel_image, count=1)
    compressed = next(path for path in (folder / "image").rglob("*") if path.is_file()) if names else guest.path
    without: dict[str, Callable[[], Spent]] = {
        "uncompressed kernel by PVH": lambda: bare_boot(compressed, guest, tools, folder, name="compressed"),
        "lean kernel parameters": lambda: bare_boot(guest.path, guest, tools, folder, plain_parameters, "plain"),
        "no erms and fsrm": lambda: bare_boot(guest.path, guest, tools, folder, with_erms, "erms"),
        "one thread for both CPUs": lambda: bare_boot(guest.path, guest, tools, folder, with_threads, "threads"),
    }
    found = {}
    for name, boot in without.items():
        print(f"{kernel.key}: without {name}", file=sys.stderr, flush=True)
        found[name] = (boot(), bare_boot(guest.path, guest, tools, folder))
    one_after_another = bare_boot(guest.path, guest, tools, folder) + bare_boot(guest.path, guest, tools, folder)
    found["two guests side by side"] = (one_after_another, side_by_side(guest, tools, folder))
    return found


def side_by_side(guest: GuestKernel, tools: Tools, folder: Path) -> Spent:
    """Two bare boots at a time."""
    stages = {"both": Spent()}
    threads = [
        threading.Thread(target=bare_boot, args=(guest.path, guest, tools, folder), kwargs={"name": f"side{number}"})
        for number in range(2)
    ]
    with measured(stages, "both"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return stages["both"]


def plain_parameters(argv: list[str]) -> list[str]:
    """Only what a boot without help needs."""
    at = argv.index("-append") + 1
    return [*argv[:at], "console=ttyS0 panic=-1 quiet rdinit=/init", *argv[at + 1 :]]


def with_erms(argv: list[str]) -> list[str]:
    """With the instructions that are dear when they are emulated."""
    return [word.replace(",-erms,-fsrm", "") for word in argv]


def with_threads(argv: list[str]) -> list[str]:
    """Each CPU in a thread of its own."""
    return [word.replace("thread=single", "thread=multi") for word in argv]


def document(costs: Sequence[Costs], gains: dict[str, dict[str, tuple[Spent, Spent]]]) -> dict[str, object]:
    """What --json prints."""
    return {
        "target_cpu_s": TARGET_S,
        "kernels": [
            {
                **dataclasses.asdict(one),
                "whole": dataclasses.asdict(one.whole),
                "beyond_boot_and_load_cpu_s": one.beyond_s,
                "kernels_an_hour_on_two_cores": one.kernels_an_hour,
                "ratio_to_bare_boot": one.whole.cpu_s / one.bare.cpu_s,
            }
            for one in costs
        ],
        "speedups": {
            key: {
                name: {"without": dataclasses.asdict(a), "with": dataclasses.asdict(b)} for name, (a, b) in of.items()
            }
            for key, of in gains.items()
        },
    }


def print_costs(costs: Sequence[Costs]) -> None:
    """A column for each kernel: CPU seconds, and wall seconds behind them."""
    rows = [(name, *(shown(one.stages[name]) for one in costs)) for name in STAGES]
    rows.append(("whole", *(shown(one.whole) for one in costs)))
    rows.append(("bare boot", *(shown(one.bare) for one in costs)))
    rows.append(("whole / bare boot, CPU", *(f"{one.whole.cpu_s / one.bare.cpu_s:.1f}" for one in costs)))
    target = f"beyond boot and load, CPU (target {TARGET_S:g})"
    rows.append((target, *(f"{one.beyond_s:.1f}{'' if one.beyond_s <= TARGET_S else '  MISSED'}" for one in costs)))
    rows.append(("kernels an hour on two cores, by CPU", *(f"{one.kernels_an_hour:.0f}" for one in costs)))
    rows.append(("package", *(console.size(one.size_bytes) for one in costs)))
    rows.append(("verdicts", *(", ".join(f"{kind} {said}" for kind, said in one.outcomes.items()) for one in costs)))
    console.print_table(("CPU s (wall s)", *(one.kernel.split("/")[2] for one in costs)), rows)


def print_gains(key: str, gains: dict[str, tuple[Spent, Spent]]) -> None:
    """What each speed-up brings to a bare boot."""
    rows = [(name, shown(without), shown(with_it)) for name, (without, with_it) in gains.items()]
    console.print_table((f"{key.split('/')[2]}: a bare boot, CPU s (wall s)", "WITHOUT", "WITH"), rows)


def shown(spent: Spent) -> str:
    """Both numbers."""
    return f"{spent.cpu_s:.2f} ({spent.wall_s:.1f})"


if __name__ == "__main__":
    sys.exit(main())
