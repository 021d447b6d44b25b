"""Each way in which events can differ from what was expected is found and named, with both sides."""

from __future__ import annotations

from typing import Any

import pytest

from kdriver.catalogue.load import load_catalogue
from kdriver.core.verdict import CaseCounts, CheckCounts
from kdriver.verifier.compare import Comparison, compare

CATALOGUE = load_catalogue()


def _expected(event: str, params: dict[str, Any], order: int = 1, tid: int = 7, **more: Any) -> dict[str, Any]:
    return {"case": "c", "event": event, "tid": tid, "order": order, "params": params, **more}


def _seen(name: str, params: dict[str, Any], ts: int = 1, tid: int = 7) -> dict[str, Any]:
    return {"ts": ts, "cpu": 0, "tid": tid, "type": 1, "name": name, "params": params}


def _compare(expected: list[dict[str, Any]], seen: list[dict[str, Any]]) -> Comparison:
    return compare(expected, seen, CATALOGUE)


def _dup(res: int) -> dict[str, Any]:
    return {"res": res, "oldfd": 0}


def _close(fd: int, res: int = 0) -> dict[str, Any]:
    return {"res": res, "fd": fd}


DUPS = [_expected("dup", _dup(number), number) for number in range(3, 9)]


def test_events_as_expected_pass_and_are_counted() -> None:
    comparison = _compare(
        [
            _expected("close", _close(3), 1),
            _expected(
                "munmap",
                {"res": 0, "addr": 1, "length": 2},
                2,
                between={"vm_size": [4, 4], "vm_rss": [0, 9], "vm_swap": [0, 0]},
            ),
        ],
        [
            _seen("close", _close(3)),
            _seen("munmap", {"res": 0, "vm_size": 4, "vm_rss": 9, "vm_swap": 0, "addr": 1, "length": 2}),
        ],
    )
    assert comparison.failures == ()
    assert (comparison.events, comparison.checks) == (2, CheckCounts(exact=5, between=3, unchecked=0))


def test_threads_without_an_expectation_are_not_looked_at() -> None:
    assert _compare([_expected("close", _close(3))], [_seen("close", _close(3)), _seen("dup", _dup(5), tid=8)]) == (
        Comparison((), 1, CheckCounts(exact=2), cases=CaseCounts(1))
    )


def test_a_wrong_value_is_shown_beside_the_expected_one() -> None:
    comparison = _compare([_expected("dup", _dup(3))], [_seen("dup", _dup(4))])
    assert comparison.failures == ("c: dup of thread 7: res: expected 3, seen 4",)


def test_all_wrong_values_of_an_event_are_in_its_one_line() -> None:
    comparison = _compare([_expected("dup", _dup(3))], [_seen("dup", {"res": 4, "oldfd": 1})])
    assert comparison.failures == ("c: dup of thread 7: res: expected 3, seen 4; oldfd: expected 0, seen 1",)


@pytest.mark.parametrize(
    ("value", "failure"),
    [
        pytest.param(3, "c: munmap of thread 7: vm_size: expected 4 to 6, seen 3", id="below"),
        pytest.param(7, "c: munmap of thread 7: vm_size: expected 4 to 6, seen 7", id="above"),
        pytest.param(None, "c: munmap of thread 7: vm_size: expected 4 to 6, seen nothing", id="empty"),
    ],
)
def test_a_value_outside_its_readings_fails(value: int | None, failure: str) -> None:
    between = {"vm_size": [4, 6], "vm_rss": [0, 0], "vm_swap": [0, 0]}
    expected = _expected("munmap", {"res": 0, "addr": 1, "length": 2}, between=between)
    event = _seen("munmap", {"res": 0, "vm_size": value, "vm_rss": 0, "vm_swap": 0, "addr": 1, "length": 2})
    assert _compare([expected], [event]).failures == (failure,)


@pytest.mark.parametrize(
    ("expected", "seen", "words"),
    [
        pytest.param("/x", None, "expected '/x', seen nothing", id="value-expected-none-seen"),
        pytest.param(None, "", "expected nothing, seen ''", id="none-expected-value-seen"),
    ],
)
def test_empty_is_no_value(expected: str | None, seen: str | None, words: str) -> None:
    comparison = _compare(
        [_expected("chdir", {"res": 0, "path": expected})], [_seen("chdir", {"res": 0, "path": seen})]
    )
    assert comparison.failures == (f"c: chdir of thread 7: path: {words}",)


def test_a_lost_event_is_missing_and_the_later_ones_still_fit() -> None:
    events = [_seen("dup", _dup(number)) for number in (3, 4, 6, 7, 8)]
    comparison = _compare(DUPS, events)
    assert comparison.failures == ("c: dup of thread 7: expected {'res': 5, 'oldfd': 0}, no such event seen",)
    assert ([one.order for one in comparison.missing], comparison.events) == ([5], 5)


def test_no_events_at_all_are_all_missing() -> None:
    comparison = _compare(DUPS, [])
    assert (len(comparison.failures), len(comparison.missing), comparison.events) == (6, 6, 0)


def test_an_unexpected_event_is_shown() -> None:
    comparison = _compare([_expected("close", _close(3))], [_seen("close", _close(3)), _seen("dup", _dup(9))])
    assert comparison.failures == ("dup of thread 7: not expected, seen {'res': 9, 'oldfd': 0}",)
    assert comparison.extra[0]["name"] == "dup"


def test_an_event_that_comes_twice_is_unexpected_once() -> None:
    comparison = _compare([_expected("close", _close(3))], [_seen("close", _close(3)), _seen("close", _close(3))])
    assert comparison.failures == ("close of thread 7: not expected, seen {'res': 0, 'fd': 3}",)


def test_events_in_another_order_than_the_calls_fail() -> None:
    comparison = _compare(
        [_expected("close", _close(3), 1), _expected("dup", _dup(3), 2)],
        [_seen("dup", _dup(3)), _seen("close", _close(3))],
    )
    (failure,) = comparison.failures
    assert "seen, but not in the order of the calls" in failure


def test_equal_names_in_another_order_than_the_calls_fail() -> None:
    events = [_seen("dup", _dup(number)) for number in (3, 5, 4, 6, 7, 8)]
    assert len(_compare(DUPS, events).failures) >= 1


def test_an_expectation_weaker_than_declared_is_a_failure() -> None:
    weak = _expected("dup", {"res": 3}, unchecked={"oldfd": "why not"})
    assert _compare([weak], [_seen("dup", _dup(3))]).failures == (
        "expectation: c: dup of thread 7: oldfd is only expected as unchecked; its declared check is exact",
    )


def test_a_parameter_too_many_or_too_few_is_a_failure() -> None:
    comparison = _compare([_expected("dup", _dup(3))], [_seen("dup", {"res": 3, "fd": 1})])
    assert comparison.failures == (
        "c: dup of thread 7: fd: not expected, seen 1; oldfd: expected 0, no such parameter seen",
    )


def test_a_case_that_went_wrong_is_a_failure_and_a_skipped_one_is_told() -> None:
    comparison = _compare([{"case": "a", "error": "no /proc"}, {"case": "b", "skipped": "no IPv6"}], [])
    assert comparison.failures == ("case a: no /proc",)
    assert comparison.skipped == (("b", "no IPv6"),)


SWITCHED = {"pgft_maj": 0, "pgft_min": 1, "vm_size": 4, "vm_rss": 4, "vm_swap": 0}


def test_further_switches_are_no_failure_but_the_expected_one_must_be_there() -> None:
    expected = [_expected("close", _close(3), 1), _expected("switch", {"next": 9, **SWITCHED}, 2)]
    switches = [_seen("switch", {"next": task, **SWITCHED}) for task in (5, 9, 6)]
    assert _compare(expected, [switches[0], _seen("close", _close(3)), *switches[1:]]).failures == ()
    assert _compare(expected, [_seen("close", _close(3)), switches[0]]).failures == (
        "c: switch of thread 7: next: expected 9, seen 5",
    )


def test_calls_that_the_cases_make_for_themselves_are_no_failure() -> None:
    expected = [{"helpers": ["brk", "dup"]}, _expected("dup", _dup(3))]
    brk = {"res": 1, "vm_size": 1, "vm_rss": 1, "vm_swap": 0, "addr": 0}
    assert _compare(expected, [_seen("brk", brk), _seen("dup", _dup(3))]).failures == ()
    # A call that a thread's cases are about is never taken for a helper's.
    assert len(_compare(expected, [_seen("dup", _dup(3)), _seen("dup", _dup(4))]).failures) == 1


def test_events_that_a_kernel_cannot_give_are_not_expected() -> None:
    tuple_ = {"family": 2, "src": "127.0.0.1", "sport": 1, "dst": "127.0.0.1", "dport": 2}
    lines = [_expected("tcp_connect", {"tuple": tuple_}, 1), _expected("close", _close(3), 2)]
    comparison = compare(lines, [_seen("close", _close(3))], CATALOGUE, unavailable=frozenset({"tcp_connect"}))
    assert (comparison.failures, comparison.events) == ((), 1)


@pytest.mark.parametrize(
    ("expected", "seen", "equal"),
    [
        pytest.param(
            {"family": 10, "addr": "::1", "port": 1}, {"family": 10, "addr": "0::1", "port": 1}, True, id="v6"
        ),
        pytest.param(
            {"family": 10, "addr": "::ffff:127.0.0.1", "port": 1},
            {"family": 10, "addr": "::ffff:7f00:1", "port": 1},
            True,
            id="mapped",
        ),
        pytest.param(
            {"family": 2, "addr": "1.2.3.4", "port": 1}, {"family": 2, "addr": "4.3.2.1", "port": 1}, False, id="v4"
        ),
        pytest.param({"family": 1, "path": "/a"}, {"family": 1, "path": "/a", "more": 1}, False, id="member-too-many"),
    ],
)  # fmt: skip
def test_addresses_are_compared_as_addresses(expected: dict[str, Any], seen: dict[str, Any], equal: bool) -> None:
    comparison = _compare(
        [_expected("bind", {"res": 0, "addr": expected, "fd": 3})],
        [_seen("bind", {"res": 0, "addr": seen, "fd": 3})],
    )
    assert (comparison.failures == ()) is equal


@pytest.mark.parametrize(("pointer", "equal"), [pytest.param(5, True, id="some"), pytest.param(0, False, id="none")])
def test_a_kernel_address_must_be_there(pointer: int, equal: bool) -> None:
    wanted = {"family": 1, "src_ptr": "nonzero", "dst_ptr": 0, "path": ""}
    seen = {"family": 1, "src_ptr": pointer, "dst_ptr": 0, "path": ""}
    comparison = _compare(
        [_expected("accept", {"fd": 4, "tuple": wanted, "queuepct": 0, "queuelen": 0, "queuemax": 5})],
        [_seen("accept", {"fd": 4, "tuple": seen, "queuepct": 0, "queuelen": 0, "queuemax": 5})],
    )
    assert (comparison.failures == ()) is equal


def test_lists_are_compared_member_by_member() -> None:
    fds = [{"fd": 3, "events": 1}, {"fd": 4, "events": 0}]
    expected = [_expected("poll", {"res": 1, "fds": fds, "timeout": 0})]
    assert _compare(expected, [_seen("poll", {"res": 1, "fds": list(fds), "timeout": 0})]).failures == ()
    assert len(_compare(expected, [_seen("poll", {"res": 1, "fds": fds[:1], "timeout": 0})]).failures) == 1


def test_true_is_not_one() -> None:
    assert len(_compare([_expected("dup", _dup(1))], [_seen("dup", {"res": True, "oldfd": 0})]).failures) == 1


def test_a_long_value_is_cut_in_the_message() -> None:
    comparison = _compare(
        [_expected("chdir", {"res": 0, "path": "/" + "a" * 4000})], [_seen("chdir", {"res": 0, "path": "/b"})]
    )
    (failure,) = comparison.failures
    assert failure.endswith("... (4003 characters), seen '/b'")
    assert len(failure) < 300
