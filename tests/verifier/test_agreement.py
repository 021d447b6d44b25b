"""Three drivers that saw the same cases must tell the same story."""

from __future__ import annotations

from typing import Any

from kdriver.core.artifact import DriverKind
from kdriver.verifier.agreement import compare_kinds, disagreements
from kdriver.verifier.results import DriverRun

KMOD, BPF, CORE = DriverKind.KMOD, DriverKind.BPF, DriverKind.CORE


def _run(tid: int, *events: dict[str, Any], expected: dict[str, Any] | None = None) -> DriverRun:
    """A run of one case that expects one openat of thread `tid`, and the events that came."""
    run = DriverRun("x")
    run.expectations.append({"case": "open-file", "event": "openat", "tid": tid, "params": expected or {"name": "/a"}})
    run.events.extend({"ts": 1, "tid": tid, "name": "openat", "params": params} for params in events)
    return run


def test_equal_stories_of_different_threads_agree() -> None:
    runs = {kind: _run(tid, {"name": "/a", "dev": tid}) for kind, tid in ((KMOD, 7), (BPF, 8), (CORE, 9))}
    assert disagreements(runs) == {}


def test_the_odd_one_out_is_named_with_both_values() -> None:
    runs = {KMOD: _run(7, {"name": "/a"}), BPF: _run(8, {"name": "/b"}), CORE: _run(9, {"name": "/a"})}
    assert disagreements(runs) == {BPF: ("agreement: case open-file, openat.name: '/b' here, kmod: '/a'; core: '/a'",)}


def test_two_that_differ_are_both_named_when_neither_is_right() -> None:
    assert set(disagreements({KMOD: _run(7, {"name": "/b"}), CORE: _run(9, {"name": "/c"})})) == {KMOD, CORE}


def test_one_that_is_right_is_not_blamed_by_two_that_are_wrong() -> None:
    runs = {KMOD: _run(7, {"name": "/a"}), BPF: _run(8, {"name": None}), CORE: _run(9, {"name": None})}
    assert set(disagreements(runs)) == {BPF, CORE}


def test_three_that_all_differ_are_all_named() -> None:
    runs = {KMOD: _run(7, {"name": "/d"}), BPF: _run(8, {"name": "/b"}), CORE: _run(9, {"name": "/c"})}
    assert set(disagreements(runs)) == {KMOD, BPF, CORE}


def test_a_value_that_only_one_driver_could_read_is_a_disagreement() -> None:
    runs = {KMOD: _run(7, {"ino": 5}), BPF: _run(8, {"ino": 6}), CORE: _run(9, {"ino": None})}
    assert disagreements(runs) == {
        CORE: ("agreement: case open-file, openat.ino: nothing here, kmod: a value; bpf: a value",)
    }


def test_a_parameter_that_is_missing_is_a_disagreement() -> None:
    runs = {
        KMOD: _run(7, {"name": "/a", "ino": 1}),
        BPF: _run(8, {"name": "/a", "ino": 1}),
        CORE: _run(9, {"name": "/a"}),
    }
    assert disagreements(runs)[CORE][0].startswith("agreement: case open-file, openat.ino: no such parameter here")


def test_an_event_that_did_not_come_is_a_disagreement() -> None:
    runs = {KMOD: _run(7, {"name": "/a"}), BPF: _run(8), CORE: _run(9, {"name": "/a"})}
    assert disagreements(runs)[BPF] == (
        "agreement: case open-file, openat: no event here, kmod: an event; core: an event",
    )


def test_values_that_differ_from_run_to_run_are_compared_only_for_being_there() -> None:
    runs = {
        KMOD: _run(7, {"res": 7}, expected={"res": 7}),
        BPF: _run(8, {"res": 8}, expected={"res": 8}),
        CORE: _run(9, {"res": 9}, expected={"res": 9}),
    }
    assert disagreements(runs) == {}


def test_a_single_driver_agrees_with_itself() -> None:
    assert disagreements({KMOD: _run(7, {"name": "/a"})}) == {}


def test_kernel_addresses_are_compared_only_for_being_there() -> None:
    expected = {"tuple": {"family": 1, "src_ptr": "nonzero", "path": "/s"}}
    runs = {
        KMOD: _run(7, {"tuple": {"family": 1, "src_ptr": 4711, "path": "/s"}}, expected=expected),
        BPF: _run(8, {"tuple": {"family": 1, "src_ptr": 4712, "path": "/s"}}, expected=expected),
        CORE: _run(9, {"tuple": {"family": 1, "src_ptr": 0, "path": "/s"}}, expected=expected),
    }
    assert set(disagreements(runs)) == {CORE}


def test_a_case_that_polled_more_often_in_one_run_is_no_disagreement() -> None:
    runs = {KMOD: _run(7, {"name": "/a"}, {"name": "/a"}), CORE: _run(9, {"name": "/a"})}
    runs[KMOD].expectations.append(dict(runs[KMOD].expectations[0]))
    assert disagreements(runs) == {}


def test_the_order_of_the_calls_counts_not_that_of_the_lines() -> None:
    first = {"case": "c", "event": "openat", "tid": 7, "order": 1, "params": {"name": "/a"}}
    second = {"case": "c", "event": "openat", "tid": 7, "order": 2, "params": {"name": "/b"}}
    runs = {}
    for kind, lines in ((KMOD, [first, second]), (CORE, [second, first])):
        runs[kind] = DriverRun("x", expectations=list(lines))
        runs[kind].events += [
            {"ts": ts, "tid": 7, "name": "openat", "params": {"name": name}} for ts, name in ((1, "/a"), (2, "/b"))
        ]
    assert disagreements(runs) == {}


def _many(first: int, count: int, **params: Any) -> DriverRun:
    """A run that expects and saw `count` events of one case each."""
    run = DriverRun("x")
    for n in range(first, first + count):
        run.expectations.append({"case": f"case-{n}", "event": "close", "tid": n, "params": params or {"fd": n}})
        run.events.append({"ts": 1, "tid": n, "name": "close", "params": params or {"fd": n}})
    return run


def test_what_was_compared_is_counted() -> None:
    agreed = compare_kinds({KMOD: _many(1, 50), BPF: _many(1, 50), CORE: _many(1, 50)})
    assert (agreed.events, agreed.values, agreed.presences, agreed.complaints) == (50, 50, 0, {})
    assert str(agreed) == "50 events, 50 parameters by value and 0 by presence"


def test_runs_without_a_common_event_do_not_agree() -> None:
    agreed = compare_kinds({KMOD: _many(1, 50), CORE: _many(100, 50)})
    assert agreed.complaints == dict.fromkeys(
        (KMOD, CORE), ("agreement: 100 events were expected of some runs only, 0 of all",)
    )


def test_a_few_events_of_one_run_alone_are_no_complaint() -> None:
    assert compare_kinds({KMOD: _many(1, 50), CORE: _many(1, 60)}).complaints == {}


def test_parameters_that_one_run_does_not_expect_are_no_agreement() -> None:
    runs = {KMOD: _many(1, 50, name="/a"), CORE: _many(1, 50, name=None)}
    assert "50 parameters were expected in one run and not in another" in compare_kinds(runs).complaints[KMOD][0]
