"""Each way in which a driver can fail gives a verdict that names it, with what was expected and what was seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdriver.catalogue.load import load_catalogue
from kdriver.core.artifact import DriverKind
from kdriver.core.verdict import Outcome, Verdict
from kdriver.verifier.guest import Ending, GuestRun
from kdriver.verifier.judge import judge_run, verdict
from kdriver.verifier.plan import DriverUnderTest
from kdriver.verifier.results import DriverRun, GuestResult, KernelMessage, Step

CATALOGUE = load_catalogue()
KMOD = DriverUnderTest(DriverKind.KMOD, "kdriver", Path("kdriver.ko"), "a" * 64, "1.0.0")
STEPS = (
    "load",
    "open",
    "cases",
    "flush",
    "asked",
    "asked-flush",
    "switch",
    "pressure",
    "snaplen",
    "ports",
    "call",
    "quit",
    "overrun",
    "unload",
)

Change = Callable[[DriverRun], object]


def _dup(ts: int, res: int = 3, tid: int = 71) -> dict[str, Any]:
    return {"ts": ts, "cpu": 0, "tid": tid, "type": 155, "name": "dup", "params": {"res": res, "oldfd": 0}}


def _good_run() -> DriverRun:
    """A run of two cases in which everything is as it must be."""
    stats = {"driver": "kmod", "program_type": None, "events": 9, "drops": 0, "missed_runs": 0, "malformed": 0}
    return DriverRun(
        kind="kmod",
        stage="unload",
        steps=[Step(name, 0, 10, "") for name in STEPS],
        ready={"ready": True, "program_type": "raw"},
        expectations=[
            {"case": f"dup-{number}", "event": "dup", "tid": 71, "params": {"res": 3 + number, "oldfd": 0}}
            for number in range(2)
        ],
        events=[_dup(100, 3), _dup(200, 4)],
        stats={"cases": dict(stats), "trials": dict(stats)},
        trials={
            "switch": {"event": "dup", "made": 8, "while_off": 0, "others_while_off": 5, "while_on": 8},
            "snaplen": {"asked": 16, "written": 64, "events": 1, "seen": 16},
            "ports": {"made": 13, "right": 13, "wrong": -1, "wrong_seen": 0, "off": 16, "off_wanted": 16},
            "call": {"made": 8, "seen": 8, "while_off": 0},
            "pressure": {"made": 2000, "seen": 2000, "backwards": 0},
            "overrun": {
                "made": 4016, "seen": 1186, "entry_asked": 8, "entry_seen": 8,
                "stats": {"stats": {**stats, "drops": 2830}},
            },
        },
        messages=[KernelMessage(4, "kdriver: loading out-of-tree module taints kernel.")],
        taint_after=1 << 12,
        done=True,
    )  # fmt: skip


def _verdict(run: DriverRun, *, ending: Ending = Ending.COMPLETE, reason: str = "") -> Verdict:
    result = GuestResult(release="6.1.0", runs={"kmod": run}, ended=ending is Ending.COMPLETE)
    guest = GuestRun(ending, result, reason, 9.0, 2.0, Path("console"))
    judged = judge_run(KMOD, guest, CATALOGUE)
    return verdict(judged, kernel="debian/x86_64/6.1.0/1", date="2026-01-01T00:00:00Z", case_set="c", image_sha256="d")


@pytest.mark.parametrize("name", ["switch", "pressure", "snaplen", "ports", "call", "overrun"])
def test_a_trial_that_was_not_made_or_not_reported_does_not_pass(name: str) -> None:
    run = _good_run()
    del run.trials[name]
    assert _verdict(run).failures == (f"{name}: the guest reported nothing of this trial",)
    run.steps[:] = [step for step in run.steps if step.name != name]
    assert _verdict(run).failures == (f"{name}: this step never ran",)


def test_an_event_that_the_kernel_cannot_give_is_a_fact_and_no_failure() -> None:
    run = _good_run()
    run.ready["unavailable"] = [{"event": "tcp_connect", "reason": "no kprobes"}]
    run.expectations.append({"case": "connect", "event": "tcp_connect", "tid": 71, "params": {"tuple": {}}})
    found = _verdict(run)
    assert (found.outcome, found.events) == (Outcome.PASSED, 2)
    assert dict(found.facts)["unavailable"] == "tcp_connect: no kprobes"


def test_a_driver_that_can_give_nothing_does_not_pass() -> None:
    run = _good_run()
    run.ready["unavailable"] = [{"event": "dup", "reason": "who knows"}]
    run.events.clear()
    assert _verdict(run).outcome is Outcome.FAILED


def _signal_run(program_type: str, spid: int | None) -> DriverRun:
    run = _good_run()
    run.ready["program_type"] = program_type
    params = {"spid": 71, "dpid": 71, "sig": 10}
    run.expectations.append({"case": "asked", "event": "signaldeliver", "tid": 71, "order": 9, "params": params})
    seen = {**params, "spid": spid}
    run.events.append({"ts": 300, "cpu": 0, "tid": 71, "type": 1, "name": "signaldeliver", "params": seen})
    return run


@pytest.mark.parametrize(
    ("program_type", "spid", "outcome"),
    [
        ("tp", None, Outcome.PASSED),
        ("tp", 71, Outcome.FAILED),
        ("raw", None, Outcome.FAILED),
        ("raw", 71, Outcome.PASSED),
    ],
)
def test_who_sent_a_signal_is_empty_where_programs_hang_at_classic_tracepoints_and_only_there(
    program_type: str, spid: int | None, outcome: Outcome
) -> None:
    assert _verdict(_signal_run(program_type, spid)).outcome is outcome


def test_signals_of_kernels_with_ring_buffers_have_their_source_where_calls_avoid_raw_tracepoints() -> None:
    run = _signal_run("tp", 71)
    run.ready["buffer"] = "ringbuf"
    assert _verdict(run).outcome is Outcome.PASSED


def test_a_run_in_which_all_is_right_passes_with_its_counts_and_facts() -> None:
    found = _verdict(_good_run())
    assert (found.outcome, found.reason, found.failures) == (Outcome.PASSED, "", ())
    assert (found.events, found.checks.exact) == (2, 4)
    assert found.steps == tuple((name, 0) for name in STEPS)
    assert (found.schema, found.artifact_sha256, found.case_set, found.image_sha256) == ("1.0.0", "a" * 64, "c", "d")
    facts = dict(found.facts)
    assert (facts["program_type"], facts["drops"], facts["missed_runs"]) == ("raw", "0", "0")
    assert facts["overrun"] == "4016 calls, 1186 events, 2830 drops"


def _set_trial(trial: str, **numbers: Any) -> Change:
    return lambda run: run.trials[trial].update(numbers)


def _set_stats(after: str, **numbers: Any) -> Change:
    return lambda run: run.stats[after].update(numbers)


def _set_step(name: str, status: int, detail: str = "") -> Change:
    def change(run: DriverRun) -> None:
        place = STEPS.index(name)
        run.steps[place] = Step(name, status, 10, detail)

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            _set_step("load", 8, "finit_module: Exec format error"),
            "load: the kernel refused the module: finit_module: Exec format error",
            id="load-refused",
        ),
        pytest.param(
            _set_step("open", 7, "prog kd_exit_raw: load failed\nR2 invalid mem access 'scalar'\n"),
            "open: the driver could not be opened (exit status 7): prog kd_exit_raw: load failed | R2 invalid mem "
            "access 'scalar'",
            id="verifier-said-no",
        ),
        pytest.param(
            _set_step("open", 124), "open: the driver could not be opened in time: status 124", id="never-ready"
        ),
        pytest.param(
            _set_step("unload", 16, "delete_module: hung"),
            "unload: the driver could not be unloaded: delete_module: hung",
            id="unload-hung",
        ),
        pytest.param(_set_stats("cases", drops=3), "drops: 0 expected after the cases, 3 seen", id="drops"),
        pytest.param(
            _set_stats("trials", missed_runs=498),
            "missed runs: 0 expected after the trials, 498 seen: the kernel skipped the driver's program",
            id="missed-runs",
        ),
        pytest.param(
            _set_stats("cases", malformed=1), "blocks: 0 malformed expected after the cases, 1 seen", id="malformed"
        ),
        pytest.param(lambda run: run.stats.clear(), "stats: kd-capture reported none", id="no-stats"),
        pytest.param(
            lambda run: run.steps.append(Step("stats", 124, 10, "after the trials")),
            "stats: kd-capture gave no counters in time: after the trials",
            id="stats-unanswered",
        ),
        pytest.param(
            lambda run: run.steps.append(Step("others-flush", -1, 10, "kd-capture: ended")),
            "others-flush: kd-capture did not answer: kd-capture: ended",
            id="others-flush-unanswered",
        ),
        pytest.param(
            _set_trial("switch", while_off=2),
            "switch: events of a call that was switched off: 0 expected, 2 seen",
            id="not-switched-off",
        ),
        pytest.param(
            _set_trial("switch", while_on=7),
            "switch: events after it was switched on again: 8 expected, 7 seen",
            id="not-switched-on",
        ),
        pytest.param(
            _set_trial("switch", others_while_off=0),
            "switch: another process's events stopped while one event was switched off",
            id="others-stopped",
        ),
        pytest.param(
            _set_trial("pressure", seen=1502),
            "load: events of counted calls beside a busy process: 2000 expected, 1502 seen",
            id="lost-under-load",
        ),
        pytest.param(
            _set_trial("pressure", backwards=1), "load: time stamps that went back: 0 expected, 1 seen", id="backwards"
        ),
        pytest.param(
            _set_trial("snaplen", seen=64),
            "capture length: bytes of a longer write: 16 expected, 64 seen",
            id="length-not-bounded",
        ),
        pytest.param(
            _set_trial("overrun", seen=1180),
            "overrun: events and drops together: 4016 expected, 4010 seen",
            id="drops-not-counted",
        ),
        pytest.param(
            _set_trial("overrun", entry_seen=0),
            "entry time: events that carry it: 8 expected, 0 seen",
            id="no-entry-time",
        ),
        pytest.param(
            lambda run: run.messages.append(KernelMessage(4, "WARNING: CPU: 0 PID: 71 at kdriver")),
            "kernel log: WARNING: CPU: 0 PID: 71 at kdriver",
            id="kernel-warned",
        ),
        pytest.param(
            lambda run: setattr(run, "taint_after", 1 << 9),
            "kernel taint: the kernel issued a warning",
            id="kernel-tainted",
        ),
        pytest.param(
            lambda run: setattr(run, "messages_left_out", 3),
            "kernel log: 3 messages more than could be reported",
            id="log-too-long",
        ),
        pytest.param(
            lambda run: run.events.clear(), "events: 2 expected, none came", id="no-events"
        ),
        pytest.param(
            lambda run: setattr(run, "events_left_out", 5),
            "events: 5 more than could be reported",
            id="too-many-events",
        ),
    ],
)  # fmt: skip
def test_a_failure_is_the_reason(change: Change, reason: str) -> None:
    run = _good_run()
    change(run)
    found = _verdict(run)
    assert found.outcome is Outcome.FAILED
    assert found.reason == reason
    assert found.failures[0] == reason


def test_a_wrong_parameter_is_named_with_both_values() -> None:
    run = _good_run()
    run.events[1]["params"]["res"] = 9
    found = _verdict(run)
    assert found.outcome is Outcome.FAILED
    assert "dup" in found.reason and "res" in found.reason
    assert "4" in found.reason and "9" in found.reason


def test_an_event_that_is_missing_is_named() -> None:
    run = _good_run()
    del run.events[1]
    found = _verdict(run)
    assert found.outcome is Outcome.FAILED
    assert "dup" in found.reason


def test_events_of_one_thread_that_come_out_of_order_fail() -> None:
    run = _good_run()
    run.events[1]["ts"] = 50
    assert "order: thread 71: dup at 50 came after dup at 100" in _verdict(run).failures


@pytest.mark.parametrize("ts", [100 - 20_000_000, 300 + 20_000_000])
def test_events_of_another_time_than_the_run_fail(ts: int) -> None:
    run = _good_run()
    run.time_before, run.time_after, run.done = 100, 300, True
    assert _verdict(run).outcome is Outcome.PASSED
    run.events[1]["ts"] = ts
    run.events = run.events[1:] if ts < 100 else run.events
    assert [
        text for text in _verdict(run).failures if text.startswith("clock: 1 events are not of the time of the run")
    ]


def test_pages_that_were_not_given_back_fail() -> None:
    run = _good_run()
    run.pages_kept_kb = 3000
    assert _verdict(run).outcome is Outcome.PASSED
    run.pages_kept_kb = 16384
    assert _verdict(run).failures == ("memory: 16384 kB of pages were not given back when the driver had gone",)


def test_events_of_two_threads_may_be_out_of_order() -> None:
    run = _good_run()
    run.expectations[1]["tid"] = 72
    run.events[1] = _dup(50, 4, tid=72)
    assert _verdict(run).outcome is Outcome.PASSED


def test_a_refused_module_is_explained_by_the_kernels_own_words() -> None:
    run = DriverRun("kmod", stage="load", steps=[Step("load", 8, 10, "finit_module: Exec format error")], done=True)
    run.messages = [KernelMessage(3, "kdriver: disagrees about version of symbol module_layout")]
    assert _verdict(run).reason == (
        "load: the kernel refused the module: finit_module: Exec format error; "
        "kernel log: kdriver: disagrees about version of symbol module_layout"
    )


def test_a_crash_is_the_reason_of_the_driver_whose_turn_it_was() -> None:
    run = DriverRun("kmod", stage="cases", steps=[Step("load", 0, 10, ""), Step("open", 0, 5, "")])
    reason = "the guest ended in stage kmod cases: BUG: unable to handle page fault"
    found = _verdict(run, ending=Ending.CRASHED, reason=reason)
    assert (found.outcome, found.reason) == (Outcome.FAILED, reason)


def test_a_run_that_never_came_to_the_cases_does_not_pass() -> None:
    run = DriverRun("kmod", stage="open", steps=[Step("load", 0, 10, "")], done=True)
    assert _verdict(run).reason == "cases: this step never ran"


def test_missed_runs_that_the_kernel_does_not_count_are_said_to_be_uncountable() -> None:
    run = _good_run()
    for stats in run.stats.values():
        stats["missed_runs"] = None
    found = _verdict(run)
    assert found.outcome is Outcome.PASSED
    assert dict(found.facts)["missed_runs"] == "uncountable"
