"""From what a guest said to verdicts: every check names what was expected and what was seen; the first that fails is
the verdict's reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kdriver.catalogue.model import Catalogue
from kdriver.core.verdict import POLICY, CaseCounts, CheckCounts, Fault, Outcome, Verdict
from kdriver.verifier.compare import Comparison, compare
from kdriver.verifier.expectation import of_hooks
from kdriver.verifier.guest import Ending, GuestRun
from kdriver.verifier.kernel_log import complaints, memory_complaints, taint_complaints
from kdriver.verifier.plan import DriverUnderTest
from kdriver.verifier.results import DriverRun, Record, Step
from kdriver.verifier.strace import LEFT_OUT, Agreement, agreement

_TIMED_OUT = 124
_LOAD_REFUSED = 7
_CLOCK_NOISE_NS = 10_000_000
_FAILURES_KEPT = 50
_DIFFERENCES_KEPT = 50
_TRIALS = ("switch", "pressure", "snaplen", "ports", "call", "overrun")
Found = tuple[Fault, str]
"""What kind of failure, and one line about it."""
_STEP_WORDS = {
    "load": "the kernel refused the module",
    "open": "the driver could not be opened",
    "cases": "the case program failed",
    "flush": "kd-capture did not answer",
    "stats": "kd-capture gave no counters",
    "others-flush": "kd-capture did not answer",
    "strace": "the case program failed under strace",
    "switch": "switching events off and on failed",
    "pressure": "the trial under load failed",
    "snaplen": "setting the capture length failed",
    "asked": "the case program of events that must be named failed",
    "asked-flush": "kd-capture did not answer",
    "ports": "setting the dynamic capture length failed",
    "call": "selecting the generic event of one call failed",
    "quit": "kd-capture did not end well",
    "overrun": "the trial with a small buffer failed",
    "reopen": "the driver could not be opened a second time",
    "unload": "the driver could not be unloaded",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """One driver's run, judged. comparison: of its events, where it came so far. fault: what kind of failure the first
    is; empty without any."""

    driver: DriverUnderTest
    failures: tuple[str, ...]
    comparison: Comparison | None
    seconds: float
    facts: tuple[tuple[str, str], ...] = field(default=())
    steps: tuple[tuple[str, int], ...] = field(default=())
    durations: tuple[tuple[str, float], ...] = field(default=())
    fault: str = ""

    @property
    def compared(self) -> bool:
        """Whether its events could be compared with what the cases expected."""
        return self.comparison is not None


def judge_run(driver: DriverUnderTest, guest: GuestRun, catalogue: Catalogue, *, traced: bool = False) -> Judged:
    """Everything that one driver's run says about it alone. The run must be in the guest's result. traced: the cases
    had to run under strace as well."""
    run = guest.result.runs[str(driver.kind)]
    comparison = _compare(run, catalogue) if run.step("flush") else None
    saw = run.traced
    agreed = agreement(saw.calls, saw.events, catalogue, saw.expectations) if traced else None
    found = [
        *_steps(run),
        *_tag(Fault.TRIAL, _left_out(run)),
        *_tag(Fault.GUEST_BROKE, _ending(run, guest)),
        *_events(run, comparison),
        *_tag(Fault.WRONG_EVENTS, _order(run.events)),
        *_tag(Fault.WRONG_EVENTS, _clock(run)),
        *_tag(Fault.LOST_EVENTS, _losses(run)),
        *_tag(Fault.TRIAL, _trials(run)),
        *_tag(Fault.WRONG_EVENTS, _traced(run, agreed) if agreed else ()),
        *_tag(Fault.UNLOAD, memory_complaints(run.pages_kept_kb)),
        *_tag(Fault.KERNEL_WARNED, (f"kernel log: {text}" for text in complaints(run.messages))),
        *_tag(
            Fault.KERNEL_WARNED,
            (f"kernel taint: {text}" for text in taint_complaints(run.taint_before, run.taint_after)),
        ),
    ]
    if run.messages_left_out:
        found.append((Fault.KERNEL_WARNED, f"kernel log: {run.messages_left_out} messages more than could be reported"))
    return Judged(
        driver,
        tuple(dict.fromkeys(text for _, text in found)),
        comparison,
        sum(step.ms for step in run.steps) / 1000,
        (*_facts(run), *(_strace_fact(agreed) if agreed else ())),
        tuple((step.name, step.status) for step in run.steps),
        tuple((step.name, step.ms / 1000) for step in run.steps),
        next((str(fault) for fault, _ in found), ""),
    )


def _tag(fault: Fault, texts: Iterable[str]) -> Iterator[Found]:
    return ((fault, text) for text in texts)


def _compare(run: DriverRun, catalogue: Catalogue) -> Comparison:
    lines = [*run.case_notes, *(of_hooks(one, run.ready) for one in run.expectations)]
    return compare(lines, run.events, catalogue, unavailable=frozenset(_unavailable(run)))


def _unavailable(run: DriverRun) -> dict[str, str]:
    """Events that the driver cannot give on this kernel, with the reason. It fails where another driver can
    (kdriver.verifier.agreement)."""
    return {str(one["event"]): str(one.get("reason", "")) for one in run.ready.get("unavailable", ())}


def _steps(run: DriverRun) -> Iterator[Found]:
    for step in run.steps:
        if step.status:
            yield _step_fault(step, run.kind), f"{step.name}: {_step_words(step)}: {_step_detail(step, run)}"


def _step_fault(step: Step, kind: str) -> Fault:
    """What a step that failed says about the driver."""
    if step.name == "load":
        return Fault.NO_DEVICE if "no device" in step.detail else Fault.LOAD_REFUSED
    if step.name in ("open", "reopen"):
        if "verifier:" in step.detail or "refuses the program" in step.detail:
            return Fault.VERIFIER
        return Fault.NO_DEVICE if kind == "kmod" else Fault.LOAD_REFUSED
    if step.name == "unload":
        return Fault.UNLOAD_HUNG if step.status == _TIMED_OUT or "hung" in step.detail else Fault.UNLOAD
    if step.name == "cases":
        return Fault.CASES
    return Fault.TRIAL if step.name in _TRIALS else Fault.NO_ANSWER


def _left_out(run: DriverRun) -> Iterator[str]:
    """Steps and trials that must have been: one that nobody made proves nothing, and must not pass."""
    if not run.done or any(step.status for step in run.steps):
        return  # what went wrong is named, and may have left out the rest
    for name in ("cases", "flush", "asked", "asked-flush", *_TRIALS):
        if run.step(name) is None:
            yield f"{name}: this step never ran"
        elif name in _TRIALS and name not in run.trials:
            yield f"{name}: the guest reported nothing of this trial"


def _step_words(step: Step) -> str:
    if step.status == _TIMED_OUT and step.name not in ("load", "unload"):
        return f"{_STEP_WORDS.get(step.name, 'failed')} in time"
    if step.name in ("open", "reopen") and step.status == _LOAD_REFUSED:
        return f"{_STEP_WORDS[step.name]} (exit status 7)"
    return _STEP_WORDS.get(step.name, "failed")


def _step_detail(step: Step, run: DriverRun) -> str:
    """What the program said last; for a module the kernel's own words, which say more than an errno."""
    said = " | ".join(line.strip() for line in step.detail.strip().splitlines()[-6:])
    log = next((text for text in complaints(run.messages) if run.kind == "kmod" and step.name == "load"), "")
    parts = [part for part in (said or f"status {step.status}", log) if part]
    return "; kernel log: ".join(parts)


def _ending(run: DriverRun, guest: GuestRun) -> Iterator[str]:
    if not run.done:
        yield guest.reason or f"the guest ended in stage {run.stage}"
    elif guest.ending is Ending.GARBLED:
        yield guest.reason


def _events(run: DriverRun, comparison: Comparison | None) -> Iterator[Found]:
    if comparison is None:
        return
    if not run.expectations:
        yield Fault.CASES, "events: the case program expected nothing"
    elif not run.events:
        yield Fault.NO_EVENTS, f"events: {len(run.expectations)} expected, none came"
    if run.events_left_out:
        yield Fault.LOST_EVENTS, f"events: {run.events_left_out} more than could be reported"
    # Events that came wrong weigh more than those that did not come: the former explain the latter.
    lost = Fault.LOST_EVENTS if comparison.missing and not comparison.differences else Fault.WRONG_EVENTS
    yield from ((lost, text) for text in comparison.failures)


def _order(events: list[Record]) -> Iterator[str]:
    """Time stamps of one thread never go back in the order that its events came out."""
    latest: dict[int, Record] = {}
    for event in events:
        before = latest.get(event["tid"])
        if before is not None and event["ts"] < before["ts"]:
            yield (
                f"order: thread {event['tid']}: {event['name']} at {event['ts']} came after "
                f"{before['name']} at {before['ts']}"
            )
        latest[event["tid"]] = event


def _clock(run: DriverRun) -> Iterator[str]:
    """Times are of the guest's wall clock while the driver's turn lasted."""
    if not run.done:
        return
    first, last = run.time_before - _CLOCK_NOISE_NS, run.time_after + _CLOCK_NOISE_NS
    outside = [event for event in run.events if not first <= event["ts"] <= last]
    if outside:
        yield (
            f"clock: {len(outside)} events are not of the time of the run, the first is {outside[0]['name']} at "
            f"{outside[0]['ts']}; {run.time_before} to {run.time_after} was expected"
        )


def _losses(run: DriverRun) -> Iterator[str]:
    for after, stats in run.stats.items():
        drops = stats.get("drops")
        if drops != 0:
            yield f"drops: 0 expected after the {after}, {drops} seen"
        if stats.get("malformed"):
            yield f"blocks: 0 malformed expected after the {after}, {stats['malformed']} seen"
        missed = stats.get("missed_runs")
        if missed:
            yield f"missed runs: 0 expected after the {after}, {missed} seen: the kernel skipped the driver's program"
    if run.step("flush") and run.step("quit") and not run.stats:
        yield "stats: kd-capture reported none"


def _trials(run: DriverRun) -> Iterator[str]:
    switch = run.trials.get("switch")
    if switch is not None:
        yield from _differ("switch: events of a call that was switched off", 0, switch["while_off"])
        yield from _differ("switch: events after it was switched on again", switch["made"], switch["while_on"])
        if not switch["others_while_off"]:
            yield "switch: another process's events stopped while one event was switched off"
    pressure = run.trials.get("pressure")
    if pressure is not None:
        yield from _differ("load: events of counted calls beside a busy process", pressure["made"], pressure["seen"])
        yield from _differ("load: time stamps that went back", 0, pressure["backwards"])
    snaplen = run.trials.get("snaplen")
    if snaplen is not None:
        yield from _differ("capture length: bytes of a longer write", snaplen["asked"], snaplen["seen"])
    ports = run.trials.get("ports")
    if ports is not None:
        if ports["right"] != ports["made"]:
            yield (
                f"dynamic capture length: {ports['made']} messages of the right length expected, "
                f"{ports['right']} seen; of number {ports['wrong']}, the first wrong one, {ports['wrong_seen']} bytes"
            )
        yield from _differ("dynamic capture length: bytes while it is off", ports["off_wanted"], ports["off"])
    call = run.trials.get("call")
    if call is not None:
        yield from _differ("generic event: events of the one call that was selected", call["made"], call["seen"])
        yield from _differ("generic event: events after it was switched off", 0, call["while_off"])
    overrun = run.trials.get("overrun")
    if overrun is not None:
        stats = (overrun["stats"] or {}).get("stats", {})
        yield from _differ(
            "overrun: events and drops together", overrun["made"], overrun["seen"] + (stats.get("drops") or 0)
        )
        yield from _differ("entry time: events that carry it", overrun["entry_asked"], overrun["entry_seen"])
        if not overrun["entry_asked"]:
            yield "entry time: no event came while it was asked for"


def _traced(run: DriverRun, agreed: Agreement) -> Iterator[str]:
    if run.done and not any(one.status for one in run.steps) and run.step("strace") is None:
        yield "strace: this step never ran"
    step = run.step("strace")
    if step is None or step.status:
        return  # said with the steps
    yield from (f"strace: case {note['case']}: {note['error']}" for note in run.traced.notes)
    if run.traced.left_out:
        yield f"strace: {run.traced.left_out} events more than could be reported"
    yield from (f"strace: {text}" for text in agreed.failures)


def _strace_fact(agreed: Agreement) -> Iterator[tuple[str, str]]:
    left_out = ", ".join(LEFT_OUT)
    yield "strace", f"{agreed.calls} calls and {agreed.arguments} arguments agree; not run: {left_out}"


def _differ(what: str, expected: int, seen: int) -> Iterator[str]:
    if expected != seen:
        yield f"{what}: {expected} expected, {seen} seen"


def _facts(run: DriverRun) -> Iterator[tuple[str, str]]:
    stats = run.stats.get("trials") or run.stats.get("cases") or {}
    yield "program_type", str(run.ready.get("program_type") or "none")
    yield "drops", str(stats.get("drops", "unknown"))
    missed = stats.get("missed_runs", "unknown")
    yield "missed_runs", "uncountable" if missed is None else str(missed)
    if _unavailable(run):
        yield "unavailable", "; ".join(f"{name}: {reason}" for name, reason in _unavailable(run).items())
    skipped = [f"{note['case']}: {note['skipped']}" for note in run.case_notes if "skipped" in note]
    if skipped:
        yield "skipped_cases", "; ".join(skipped)
    overrun = run.trials.get("overrun")
    if overrun is not None:
        dropped = ((overrun["stats"] or {}).get("stats") or {}).get("drops")
        yield "overrun", f"{overrun['made']} calls, {overrun['seen']} events, {dropped} drops"
    pressure = run.trials.get("pressure")
    if pressure is not None:
        yield "load", f"{pressure['made']} calls, {pressure['seen']} events"


def verdict(
    judged: Judged,
    *,
    kernel: str,
    date: str,
    case_set: str,
    image_sha256: str,
    catalogue: str = "",
    facts: tuple[tuple[str, str], ...] = (),
    more_failures: tuple[str, ...] = (),
) -> Verdict:
    """The verdict of one driver. more_failures: what was found by looking at several drivers together."""
    failures = judged.failures + more_failures
    comparison = judged.comparison
    fault = judged.fault or (Fault.DISAGREEMENT if failures else "")
    if not failures and (comparison is None or not comparison.events):
        failures, fault = ("events: nothing was compared",), Fault.NO_EVENTS
    return Verdict(
        kernel=kernel,
        kind=str(judged.driver.kind),
        artifact_sha256=judged.driver.sha256,
        outcome=Outcome.FAILED if failures else Outcome.PASSED,
        reason=failures[0] if failures else "",
        seconds=judged.seconds,
        date=date,
        events=comparison.events if comparison else 0,
        checks=comparison.checks if comparison else CheckCounts(),
        failures=failures[:_FAILURES_KEPT],
        schema=judged.driver.schema,
        case_set=case_set,
        image_sha256=image_sha256,
        steps=judged.steps,
        facts=judged.facts + facts,
        fault=str(fault),
        policy=POLICY,
        catalogue=catalogue,
        cases=comparison.cases if comparison else CaseCounts(),
        durations=judged.durations,
        differences=comparison.differences[:_DIFFERENCES_KEPT] if comparison else (),
    )
