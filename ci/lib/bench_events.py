"""What the drivers cost (ci/bench events): instructions that each adds to calls, its size, and what its start takes.

A guest counts them: under QEMU's -icount one instruction takes one nanosecond of the guest's time, so the numbers are
the same on every machine and do not depend on what else it does. Everything is selected, a consumer has rings that are
large enough, and a run in which an event was lost is an error. Beside ours stand the numbers of the published drivers.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from builder.known_bad import load_known_bad
from builder.plan import plan_builds
from builder.run import RunOptions, run_builds
from builder.source import load_source
from builder.tools import build_tools
from kdriver.commands.verify_targets import from_builds, kernel_image
from kdriver.core import console
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import KdriverError, VerifyError
from kdriver.core.kernel import Kernel
from kdriver.verifier.accelerator import find_qemu
from kdriver.verifier.guest import Ending, GuestRun, boot_guest
from kdriver.verifier.machine import MachinePlan
from kdriver.verifier.plan import DriverUnderTest, GuestPlan
from kdriver.verifier.results import DriverRun, Record
from kernel_index.query import find_kernels
from kernel_index.table import load_table

LOOPS = {"getppid": 1, "write64": 1, "open_read_close": 3}
"""Name of a loop to the calls that a round of it makes."""
GENERIC = "syscall"
"""The event of calls that have none of their own, like getppid; a driver may be without it."""
MEASURES = (*LOOPS, "unselected")
CALLS = 10
BATCHES = 201
SAME_WITHIN = 0.001
KERNEL = "newest:6.1:cloud-amd64"
BUFFER_BYTES = 32 << 20
_KNOWN_PER_CALL = 200
_BPF_INSTRUCTION_BYTES = 8


@dataclass(frozen=True, slots=True)
class Published:
    """What another driver of the kind adds, as it was measured on `date` on the same kernel line in the same way."""

    name: str
    added: Mapping[str, int]


PUBLISHED_SOURCE = "Falco libs, 2026-11, Debian's 6.1.0-56-cloud-amd64, the same way: -icount, snaplen 80, all calls"
PUBLISHED = {
    DriverKind.KMOD: Published(
        "kernel module (HEAD)", {"getppid": 646, "write64": 1167, "open_read_close": 1728, "unselected": 321}
    ),
    DriverKind.BPF: Published(
        "legacy eBPF (9.1)", {"getppid": 2388, "write64": 3576, "open_read_close": 4936, "unselected": 586}
    ),
    DriverKind.CORE: Published(
        "modern eBPF (HEAD)", {"getppid": 697, "write64": 1456, "open_read_close": 2228, "unselected": 180}
    ),
}


@dataclass(frozen=True, slots=True)
class Size:
    """An artifact. programs, largest, instructions: of eBPF objects; 0 of a module."""

    size_bytes: int
    programs: int = 0
    largest: int = 0
    instructions: int = 0


@dataclass(frozen=True, slots=True)
class Costs:
    """All numbers of one run. base: instructions of a call without a driver, by loop. added: by kind and measure.

    None where the driver has no event for the loop's call. `unselected` is a call beside which all others are selected.
    added: with all events of calls' exits; with_entries: with those of entries (open_e) as well, the default of `all`.
    start: millions of instructions until a consumer of the kind is ready.
    """

    kernel: str
    base: dict[str, float]
    added: dict[DriverKind, dict[str, float | None]]
    with_entries: dict[DriverKind, dict[str, float | None]]
    start: dict[DriverKind, float]
    sizes: dict[DriverKind, Size]

    def dearer(self) -> tuple[tuple[DriverKind, str], ...]:
        """The cells in which a driver costs more than the published one of its kind, with the events of entries or
        without them."""
        return tuple(
            (kind, measure)
            for kind, numbers in self.added.items()
            for measure, alone in numbers.items()
            if any(
                value is not None and value > PUBLISHED[kind].added[measure]
                for value in (alone, self.with_entries[kind][measure])
            )
        )

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        return {
            "kernel": self.kernel,
            "instructions_added": {str(kind): numbers for kind, numbers in self.added.items()},
            "published": {
                "source": PUBLISHED_SOURCE,
                **{str(kind): {"driver": one.name, **one.added} for kind, one in PUBLISHED.items()},
            },
            "instructions_added_with_entries": {str(kind): numbers for kind, numbers in self.with_entries.items()},
            "instructions_without_driver": self.base,
            "start_million_instructions": {str(kind): value for kind, value in self.start.items()},
            "sizes": {
                str(kind): {
                    "bytes": one.size_bytes,
                    "programs": one.programs,
                    "largest_program": one.largest,
                    "program_instructions": one.instructions,
                }
                for kind, one in self.sizes.items()
            },
            "dearer_than_published": [f"{kind} {measure}" for kind, measure in self.dearer()],
        }


def main() -> int:
    """Parse, measure, print. Exit status 1 with --check when a number is above the published driver's."""
    parser = argparse.ArgumentParser(prog="ci/bench events")
    parser.add_argument("--kernel", default=KERNEL)
    parser.add_argument("--distro", default="debian12")
    parser.add_argument("--kind", action="append", choices=[str(kind) for kind in DriverKind])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", action="store_true", dest="as_json")
    words = parser.parse_args()
    try:
        (kernel,) = find_kernels(distro=words.distro, kernel=words.kernel)
        costs = measure(kernel, tuple(DriverKind(kind) for kind in words.kind or DriverKind))
    except KdriverError as error:
        print(f"ci/bench: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)
        return int(error.exit_code)
    if words.as_json:
        console.print_json(costs.to_json())
    else:
        print_costs(costs)
    return int(words.check and bool(costs.dearer()))


def measure(kernel: Kernel, kinds: Sequence[DriverKind]) -> Costs:
    """Build what is not built yet, boot one guest, and count. Raises KdriverError."""
    source = load_source()
    results = run_builds(
        plan_builds([kernel], tuple(kinds), source, known_bad=load_known_bad(load_table())), source, RunOptions()
    )
    (verification,) = from_builds([kernel], results)
    for kind, reason in verification.missing:
        raise VerifyError(f"{kernel.key} {kind}: {reason}")
    with tempfile.TemporaryDirectory(prefix="kdriver-bench-") as name:
        work = Path(name)
        plan = GuestPlan(
            kernel_image(kernel, ()),
            verification.drivers,
            buffer_bytes=BUFFER_BYTES,
            cost_calls=CALLS,
            cost_batches=BATCHES,
        )
        machine = MachinePlan(
            find_qemu(), plan.kernel.path, work / "initramfs", work / "console", work / "results", cpus=1, counted=True
        )
        guest = boot_guest(plan, build_tools(source=source), machine)
        return costs_of(kernel.key, guest, verification.drivers)


def costs_of(kernel: str, guest: GuestRun, drivers: Sequence[DriverUnderTest]) -> Costs:
    """What a guest counted. Raises VerifyError where a run is none: something was lost, or the clock counts no
    instructions."""
    if guest.ending is not Ending.COMPLETE:
        raise VerifyError(f"{kernel}: the guest did not complete: {guest.reason}")
    runs = guest.result.runs
    base = _base(kernel, runs.get("base"))
    added: dict[DriverKind, dict[str, float | None]] = {}
    with_entries: dict[DriverKind, dict[str, float | None]] = {}
    for driver in drivers:
        run = runs[str(driver.kind)]
        for step in run.steps:
            if step.status:
                raise VerifyError(f"{kernel} {driver.kind}: {step.name} ended with status {step.status}: {step.detail}")
        subject = f"{kernel} {driver.kind}"
        added[driver.kind] = _added(subject, run, base, "")
        with_entries[driver.kind] = _added(subject, run, base, " both")
    start = {driver.kind: round(runs[str(driver.kind)].costs["open"]["spent"] / 1e6, 1) for driver in drivers}
    return Costs(kernel, base, added, with_entries, start, {driver.kind: size_of(driver.path) for driver in drivers})


def _per_call(subject: str, numbers: Record) -> dict[str, float]:
    """Instructions of a call in each loop."""
    known = numbers["known"] / numbers["calls"]
    if abs(known / _KNOWN_PER_CALL - 1) > 0.05:
        raise VerifyError(
            f"{subject}: {_KNOWN_PER_CALL} instructions took {known:g} ns; the guest's clock counts no instructions",
            hint="Use a QEMU whose -icount works with -accel tcg.",
        )
    return {name: numbers[name] / numbers["calls"] / calls for name, calls in LOOPS.items()}


def _base(kernel: str, run: DriverRun | None) -> dict[str, float]:
    if run is None or not {"first", "second"} <= run.costs.keys():
        raise VerifyError(f"{kernel}: the guest counted nothing")
    first, second = (_per_call(f"{kernel} without driver", run.costs[name]) for name in ("first", "second"))
    for name, value in first.items():
        if abs(second[name] / value - 1) > SAME_WITHIN:
            raise VerifyError(f"{kernel}: {name} took {value:g} instructions, then {second[name]:g}; they must agree")
    return {name: round(value, 1) for name, value in first.items()}


def _added(subject: str, run: DriverRun, base: Mapping[str, float], ends: str) -> dict[str, float | None]:
    """What the driver adds to each loop's calls, and to one that is not selected. ends: of the states' names."""
    selected = _checked(subject, run, f"selected{ends}", expected=True)
    added: dict[str, float | None] = {name: round(selected[name] - base[name], 1) for name in LOOPS}
    if not run.costs[f"selected{ends} counted"]["events"][GENERIC]:
        added["getppid"] = None
    return {**added, "unselected": _unselected(subject, run, base, f"unselected{ends}")}


def _unselected(subject: str, run: DriverRun, base: Mapping[str, float], state: str) -> float:
    """What the driver adds to a call that nobody selected."""
    return round(_checked(subject, run, state, expected=False)["getppid"] - base["getppid"], 1)


def _checked(subject: str, run: DriverRun, state: str, *, expected: bool) -> dict[str, float]:
    """The loops' numbers in a state, after it is sure that every call's event came, or none."""
    numbers, counted = run.costs[state], run.costs[f"{state} counted"]
    stats = counted["stats_line"]["stats"]
    lost = {name: stats[name] for name in ("drops_buffer", "drops_scratch", "missed_runs") if stats.get(name)}
    if lost:
        raise VerifyError(f"{subject} {state}: events were lost: {lost}", hint="A run with losses says nothing.")
    for event, came in counted["events"].items():
        made = numbers["made"] if expected and (came or event != GENERIC) else 0
        if came < made or (not expected and came):
            raise VerifyError(f"{subject} {state}: {came} events of {event} came, {made} were expected")
    return _per_call(f"{subject} {state}", numbers)


def size_of(path: Path) -> Size:
    """An artifact's size, and of an eBPF object its programs' (each a function symbol of an executable section)."""
    size_bytes = path.stat().st_size
    if path.suffix == ".ko":
        return Size(size_bytes)
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        symbols = elf.get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection), f"{path}: has no table of symbols"
        functions = [one for one in symbols.iter_symbols() if one["st_info"]["type"] == "STT_FUNC"]
        counts = [one["st_size"] // _BPF_INSTRUCTION_BYTES for one in functions]
    return Size(size_bytes, len(counts), max(counts), sum(counts))


def said(value: float | None) -> str:
    """A number as the table shows it."""
    return "no event" if value is None else f"+{value:.0f}"


def verdict_of(ours: float | None, theirs: int) -> str:
    """Ours, the dearer of the two, as a part of the published driver's number."""
    if ours is None:
        return "-"
    return f"{ours / theirs:.0%}" + ("" if ours <= theirs else "  DEARER")


def print_costs(costs: Costs) -> None:
    """As tables that fit 80 columns."""
    print(f"Instructions that a driver adds to a call of\n{costs.kernel}")
    rows = []
    for kind, numbers in costs.added.items():
        for name, value in numbers.items():
            theirs = PUBLISHED[kind].added[name]
            base = costs.base["getppid" if name == "unselected" else name]
            both = costs.with_entries[kind][name]
            dearer = None if value is None or both is None else max(value, both)
            rows.append(
                (str(kind), name, f"{base:.0f}", said(value), said(both), f"+{theirs}", verdict_of(dearer, theirs))
            )
    console.print_table(("KIND", "CALL", "WITHOUT", "OURS", "ENTRIES TOO", "PUBLISHED", "OF IT"), rows)
    print()
    console.print_table(
        ("KIND", "SIZE", "PROGRAMS", "LARGEST", "INSTRUCTIONS", "START"),
        [
            (
                str(kind),
                f"{one.size_bytes / 1000:,.0f} kB",
                f"{one.programs or ''}",
                f"{one.largest or ''}",
                f"{one.instructions or ''}",
                f"{costs.start[kind]:,.0f} M",
            )
            for kind, one in costs.sizes.items()
        ],
    )
    notes = (
        "PUBLISHED: " + ", ".join(f"{kind}: {one.name}" for kind, one in PUBLISHED.items()),
        PUBLISHED_SOURCE,
        "OURS: with all events of calls' exits selected; ENTRIES TOO: with those of entries (exit, open_e) as well, "
        "which makes two events of an open. unselected: a call that nobody selected "
        "while all others are. open_read_close is the mean of its three calls. START: million instructions until a "
        "consumer is ready.",
    )
    for note in notes:
        print("\n" + textwrap.fill(note, 80))


if __name__ == "__main__":
    sys.exit(main())
