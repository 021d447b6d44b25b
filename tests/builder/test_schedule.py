"""The order of a batch: one result for each plan, cores kept busy, a failure or ctrl-C ends it as it should."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from builder.plan import BuildPlan
from builder.result import BuildOutcome, BuildResult
from builder.schedule import carry_out, choose_next
from kdriver.core.artifact import DriverKind
from kdriver.core.kernel import Kernel

KERNEL = Kernel("debian", "debian12", "6.1.0-52-amd64", "1", "1", "x86_64", "amd64", ())


def plan(number: int, kind: DriverKind = DriverKind.KMOD, **fields: object) -> BuildPlan:
    made = BuildPlan(replace(KERNEL, release=f"6.1.0-{number}-amd64"), kind, "kdriver")
    return replace(made, **fields)  # type: ignore[arg-type]


def built(one: BuildPlan) -> BuildResult:
    return BuildResult(one.kernel.key, one.kind, BuildOutcome.BUILT, artifact=Path("/a"))


def failed(one: BuildPlan) -> BuildResult:
    return BuildResult(one.kernel.key, one.kind, BuildOutcome.FAILED, reason="compile: x", failure="compile")


class Told:
    """What was told, in order."""

    def __init__(self) -> None:
        self.results: list[BuildResult] = []
        self.stopped = False

    def tell(self, one: BuildPlan, result: BuildResult) -> None:
        self.results.append(result)

    def stop(self) -> None:
        self.stopped = True

    def outcomes(self) -> Counter[str]:
        return Counter(str(result.outcome) for result in self.results)


def test_kernel_whose_headers_are_being_prepared_waits_for_others() -> None:
    waiting = [plan(1, DriverKind.BPF), plan(2), plan(3)]
    assert choose_next(waiting, []) == 0
    assert choose_next(waiting, [plan(1)]) == 1
    assert choose_next(waiting[:1], [plan(1)]) == 0, "rather the same kernel than nothing"
    assert choose_next([plan(1, DriverKind.BPF), plan(1, DriverKind.CORE)], [plan(1)]) == 1
    assert choose_next([plan(1, DriverKind.BPF)], [plan(1, DriverKind.CORE)]) == 0


def test_no_more_than_jobs_run_and_each_has_one_result() -> None:
    running = most = 0
    lock = threading.Lock()
    told = Told()

    def build(one: BuildPlan) -> BuildResult:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return built(one)

    plans = [plan(number) for number in range(20)]
    carry_out(plans, build, jobs=3, fail_fast=False, tell=told.tell, stop=told.stop)
    assert most == 3
    assert sorted(result.kernel for result in told.results) == sorted(one.kernel.key for one in plans)


def test_failure_stops_nothing_unless_it_is_asked_for() -> None:
    def build(one: BuildPlan) -> BuildResult:
        return failed(one) if one.kernel.release == "6.1.0-3-amd64" else built(one)

    plans = [plan(number) for number in range(10)]
    on, fast = Told(), Told()
    carry_out(plans, build, jobs=1, fail_fast=False, tell=on.tell, stop=on.stop)
    carry_out(plans, build, jobs=1, fail_fast=True, tell=fast.tell, stop=fast.stop)
    assert on.outcomes() == {"built": 9, "failed": 1}
    assert fast.outcomes() == {"built": 3, "failed": 1, "skipped": 6}
    assert fast.results[-1].reason == f"not tried: --fail-fast, and {plans[3].kernel.key} kmod failed"


@pytest.mark.parametrize(("ok", "outcome"), [(True, "shared"), (False, "failed")])
def test_core_object_is_the_result_of_all_that_share_it(ok: bool, outcome: str) -> None:
    told = Told()
    plans = [plan(1, DriverKind.CORE), *(plan(number, DriverKind.CORE, shares=True) for number in (2, 3))]
    carry_out(plans, built if ok else failed, jobs=2, fail_fast=False, tell=told.tell, stop=told.stop)
    assert [str(result.outcome) for result in told.results[1:]] == [outcome, outcome]
    assert [result.kernel for result in told.results] == [one.kernel.key for one in plans]


def test_what_had_ended_is_told_before_an_interrupt_is_passed_on() -> None:
    told = Told()
    plans = [plan(number) for number in range(4)]
    both = threading.Barrier(2)

    def build(one: BuildPlan) -> BuildResult:
        if one in plans[:2]:
            both.wait(timeout=30)
        return built(one)

    def interrupt(one: BuildPlan, result: BuildResult) -> None:
        told.tell(one, result)
        if len(told.results) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(plans, build, jobs=2, fail_fast=False, tell=interrupt, stop=told.stop)
    assert told.stopped
    assert told.outcomes() == {"built": 2}, "the second one had ended, the other two never began"


def test_memory_does_not_grow_with_what_waits() -> None:
    def peak(count: int) -> int:
        plans = [plan(number) for number in range(count)]
        tracemalloc.start()
        carry_out(plans, built, jobs=4, fail_fast=False, tell=lambda one, result: None, stop=lambda: None)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(4000) < peak(400) + 4000 * 64, "a waiting plan costs a place in a list, not a future"
