"""The gate's own test (ci/bench mutants): drivers with one seeded defect each are built and verified on one kernel, and
every one of them must fail. The case programs are those of the driver source without the defect."""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutants import Mutant, apply_mutant, read_mutants

from builder.plan import plan_builds
from builder.run import RunOptions, run_builds
from builder.source import load_source
from builder.tools import build_tools
from kdriver.catalogue.load import load_catalogue
from kdriver.commands.verify_targets import from_builds
from kdriver.core import console
from kdriver.core.artifact import DriverKind
from kdriver.core.kernel import Kernel
from kdriver.core.paths import source_dir
from kdriver.core.verdict import Outcome
from kdriver.verifier.accelerator import find_qemu
from kdriver.verifier.run import Bench, verify_kernels
from kernel_index.query import find_kernels

KERNEL = "newest:6.1:cloud-amd64"
CAUGHT, SURVIVED, NOT_BUILT, NOT_VERIFIED = "caught", "SURVIVED", "not built", "not verified"
OTHERWISE = "OTHER FAILURE"


@dataclass(frozen=True)
class Trial:
    """What became of one mutant as one kind. by: the class of the verdict. first_line: the first failure that shows the
    defect, else the first one. failures: how many there are. seconds: of building and verifying all of the mutant's
    kinds."""

    mutant: str
    kind: str
    outcome: str
    by: str
    first_line: str
    failures: int
    seconds: float


def main() -> int:
    """Parse, try, print. Exit status 1 when a mutant was not caught."""
    parser = argparse.ArgumentParser(prog="ci/bench mutants")
    parser.add_argument("--kernel", default=KERNEL)
    parser.add_argument("--distro", default="debian12")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--list", action="store_true", dest="only_list")
    parser.add_argument("-j", "--jobs", type=int, default=1)
    parser.add_argument("--json", action="store_true", dest="as_json")
    words = parser.parse_args()
    mutants = [one for one in read_mutants() if not words.only or any(fnmatch.fnmatch(one.name, p) for p in words.only)]
    if not mutants:
        parser.error(f"no mutant is called {' or '.join(words.only)}")
    if words.only_list:
        print_mutants(mutants, as_json=words.as_json)
        return 0
    (kernel,) = find_kernels(distro=words.distro, kernel=words.kernel)
    trials: list[Trial] = []
    for number, mutant in enumerate(mutants, start=1):
        print(f"{number}/{len(mutants)} {mutant.name}", file=sys.stderr, flush=True)
        for trial in try_mutant(mutant, kernel, jobs=words.jobs):
            print(f"  {trial.kind}: {trial.outcome}: {trial.first_line}", file=sys.stderr, flush=True)
            trials.append(trial)
    if words.as_json:
        console.print_json([dataclasses.asdict(one) for one in trials])
    else:
        print_trials(trials, kernel)
    return int(any(one.outcome != CAUGHT for one in trials))


def try_mutant(mutant: Mutant, kernel: Kernel, *, jobs: int = 1, kinds: Sequence[DriverKind] = ()) -> list[Trial]:
    """Build and verify a mutant on a kernel; one trial for each of its kinds, or of these."""
    started = time.monotonic()
    sound = load_source()
    with tempfile.TemporaryDirectory(prefix="kdriver-mutant-") as folder:
        source = load_source(apply_mutant(mutant, source_dir("driver_src").resolve(), Path(folder) / "driver_src"))
        plans = plan_builds([kernel], kinds or mutant.kinds, source)
        results = run_builds(plans, source, RunOptions(jobs=jobs))
    bench = Bench(build_tools(source=sound), load_catalogue(sound.folder), find_qemu())
    verified = verify_kernels(from_builds([kernel], results), bench)
    seconds = time.monotonic() - started
    found = []
    for one in verified:
        verdict = one.verdict
        shown = next((text for text in verdict.failures if mutant.shows.search(text)), "")
        outcome = {Outcome.FAILED: CAUGHT if shown else OTHERWISE, Outcome.PASSED: SURVIVED}.get(
            verdict.outcome, NOT_VERIFIED
        )
        if verdict.reason.startswith("not built"):
            outcome = NOT_BUILT
        line = shown or verdict.reason
        found.append(
            Trial(mutant.name, verdict.kind, outcome, verdict.fault, line, len(verdict.failures), round(seconds, 1))
        )
    return found


def print_mutants(mutants: Sequence[Mutant], *, as_json: bool) -> None:
    """What there is."""
    if as_json:
        console.print_json([{**dataclasses.asdict(one), "shows": one.shows.pattern} for one in mutants])
        return
    rows = [(one.name, ", ".join(one.kinds), one.about, one.left_out) for one in mutants]
    console.print_table(("MUTANT", "KINDS", "WHAT IS WRONG", "THE OTHER KINDS"), rows)


def print_trials(trials: Sequence[Trial], kernel: Kernel) -> None:
    """As a table, with a line that counts."""
    rows = [(one.mutant, one.kind, one.outcome, one.by, str(one.failures), one.first_line) for one in trials]
    console.print_table(("MUTANT", "KIND", "OUTCOME", "BY", "FAILURES", "FIRST LINE"), rows)
    caught = sum(one.outcome == CAUGHT for one in trials)
    print(f"{caught} of {len(trials)} caught on {kernel.key}, in {len({one.mutant for one in trials})} mutants")


if __name__ == "__main__":
    sys.exit(main())
