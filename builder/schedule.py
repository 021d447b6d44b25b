"""The order of a batch: so many builds at a time, each result told as it comes, and what happens when one fails or a
person stops it. It holds no more than the plans that wait and the builds that run, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from builder.plan import BuildPlan
from builder.result import BuildOutcome, BuildResult
from kdriver.core.artifact import DriverKind

_LOOK_AHEAD = 64
"""How many waiting plans are looked at for one whose kernel nobody prepares now."""


def carry_out(
    plans: Sequence[BuildPlan],
    build: Callable[[BuildPlan], BuildResult],
    *,
    jobs: int,
    fail_fast: bool,
    tell: Callable[[BuildPlan, BuildResult], None],
    stop: Callable[[], None],
) -> None:
    """Build every plan and tell each result, as it comes, from the calling thread; exactly one for each plan.

    A plan that shares gets the result of the batch's CO-RE object. build: must not raise. stop: kills what runs, when
    this is interrupted; what had ended by then is told first.
    """
    waiting = [plan for plan in plans if not plan.shares]
    sharing = [plan for plan in plans if plan.shares]
    running: dict[Future[BuildResult], BuildPlan] = {}
    failed: BuildResult | None = None
    pool = ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="build")

    def ended(plan: BuildPlan, result: BuildResult) -> None:
        nonlocal failed
        tell(plan, result)
        if result.outcome is BuildOutcome.FAILED:
            failed = failed or result
        if sharing and plan.kind is DriverKind.CORE and not plan.skip:
            while sharing:
                sharer = sharing.pop(0)
                tell(sharer, of_shared(sharer, result))

    try:
        while waiting or running:
            if failed is not None and fail_fast:
                for plan in waiting:
                    ended(plan, _not_tried(plan, failed))
                waiting.clear()
            while waiting and len(running) < max(1, jobs):
                plan = waiting.pop(choose_next(waiting, tuple(running.values())))
                running[pool.submit(build, plan)] = plan
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                ended(running.pop(future), future.result())
    except BaseException:
        stop()
        pool.shutdown(wait=True, cancel_futures=True)
        for future, plan in running.items():
            if not future.cancelled() and future.exception() is None and future.result().ok:
                ended(plan, future.result())
        raise
    pool.shutdown()


def choose_next(waiting: Sequence[BuildPlan], running: Sequence[BuildPlan]) -> int:
    """The place of the plan to start next: the first whose kernel no running build is at, because two kinds of one
    kernel would wait for the same headers and compile probes; else the first."""
    busy = {plan.kernel.key for plan in running if plan.kind is not DriverKind.CORE}
    for place, plan in enumerate(waiting[:_LOOK_AHEAD]):
        if plan.kind is DriverKind.CORE or plan.kernel.key not in busy:
            return place
    return 0


def of_shared(plan: BuildPlan, built: BuildResult) -> BuildResult:
    """The result of a plan that another build's file serves; failed or skipped where that build was."""
    outcome = BuildOutcome.SHARED if built.ok else built.outcome
    return replace(built, kernel=plan.kernel.key, outcome=outcome, seconds=0.0)


def _not_tried(plan: BuildPlan, failed: BuildResult) -> BuildResult:
    reason = f"not tried: --fail-fast, and {failed.kernel} {failed.kind} failed"
    return BuildResult(plan.kernel.key, plan.kind, BuildOutcome.SKIPPED, reason=plan.skip or reason, line=plan.line)
