"""An expectation is checked before anything is compared with it: a test cannot quietly become weaker."""

from __future__ import annotations

from typing import Any

import pytest

from kdriver.catalogue.load import load_catalogue
from kdriver.core.errors import ExitCode, VerifyError
from kdriver.verifier.expectation import faults_of, read_case_lines

CATALOGUE = load_catalogue()


def _munmap(**changes: Any) -> dict[str, Any]:
    """A line that expects a munmap with every parameter in its place."""
    line = {
        "case": "unmap",
        "event": "munmap",
        "tid": 7,
        "order": 3,
        "params": {"res": 0, "addr": 4096, "length": 1},
        "between": {"vm_size": [10, 20], "vm_rss": [0, 5], "vm_swap": [0, 0]},
        "unchecked": {},
    }
    return {**line, **changes}


def _faults(line: dict[str, Any]) -> tuple[str, ...]:
    (expectation,) = read_case_lines([line]).expectations
    return faults_of(expectation, CATALOGUE)


def test_lines_are_sorted_by_what_they_are_and_by_order() -> None:
    lines = read_case_lines(
        [
            {"helpers": ["preadv", "fstat"]},
            _munmap(order=9),
            {"case": "tcp6", "skipped": "no IPv6"},
            _munmap(order=2),
            {"case": "mount", "error": "went wrong"},
        ]
    )
    assert [one.order for one in lines.expectations] == [2, 9]
    assert lines.helpers == {"preadv", "fstat"}
    assert lines.skipped == (("tcp6", "no IPv6"),)
    assert lines.errors == (("mount", "went wrong"),)


def test_an_expectation_as_declared_has_no_fault() -> None:
    assert _faults(_munmap()) == ()


def test_a_stricter_check_than_declared_has_no_fault() -> None:
    line = _munmap(
        params={"res": 0, "addr": 1, "length": 1, "vm_size": 4}, between={"vm_rss": [0, 1], "vm_swap": [0, 1]}
    )
    assert _faults(line) == ()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param(
            {"params": {"res": 0, "addr": 1}},
            "unmap: munmap of thread 7: length is not expected at all; its declared check is exact",
            id="parameter-left-out",
        ),
        pytest.param(
            {"params": {"res": 0, "addr": 1}, "between": {**_munmap()["between"], "length": [0, 9]}},
            "unmap: munmap of thread 7: length is only expected as between; its declared check is exact",
            id="between-for-exact",
        ),
        pytest.param(
            {"params": {"res": 0, "addr": 1}, "unchecked": {"length": "hard"}},
            "unmap: munmap of thread 7: length is only expected as unchecked; its declared check is exact",
            id="unchecked-for-exact",
        ),
        pytest.param(
            {"between": {"vm_size": [1, 2], "vm_rss": [0, 1]}, "unchecked": {"vm_swap": "hard"}},
            "unmap: munmap of thread 7: vm_swap is only expected as unchecked; its declared check is between",
            id="unchecked-for-between",
        ),
        pytest.param(
            {"unchecked": {"vm_swap": "twice"}},
            "unmap: munmap of thread 7: vm_swap is expected in more than one way",
            id="in-two-parts",
        ),
        pytest.param(
            {"params": {"res": 0, "addr": 1, "length": 1, "size": 1}},
            "unmap: munmap of thread 7: size is no parameter of the event",
            id="unknown-parameter",
        ),
        pytest.param(
            {"between": {"vm_size": [5, 2], "vm_rss": [0, 1], "vm_swap": [0, 0]}},
            "unmap: munmap of thread 7: vm_size is expected between 5 and 2, which nothing is",
            id="empty-range",
        ),
        pytest.param(
            {"event": "mumnap"}, "unmap: mumnap of thread 7: the catalogue has no such event", id="unknown-event"
        ),
    ],
)
def test_a_fault_is_named(changes: dict[str, Any], fault: str) -> None:
    assert fault in _faults(_munmap(**changes))


def test_an_unchecked_parameter_needs_a_reason() -> None:
    line = {
        "case": "switch",
        "event": "switch",
        "tid": 7,
        "params": {"pgft_maj": 0, "pgft_min": 0, "vm_size": 0, "vm_rss": 0, "vm_swap": 0},
        "unchecked": {"next": " "},
    }
    assert _faults(line) == ("switch: switch of thread 7: next is unchecked without a reason",)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param({}, id="empty"),
        pytest.param({"case": "x"}, id="says-nothing"),
        pytest.param(_munmap(tid="7"), id="thread-is-text"),
        pytest.param(_munmap(between={"vm_size": [1]}), id="half-a-range"),
        pytest.param(_munmap(between=[1]), id="ranges-are-a-list"),
    ],
)
def test_a_line_of_another_shape_is_refused(line: dict[str, Any]) -> None:
    with pytest.raises(VerifyError, match="kd-cases: a line is no expectation: ") as raised:
        read_case_lines([line])
    assert raised.value.exit_code is ExitCode.VERIFICATION
    assert raised.value.hint == "Build the tools anew: kd-cases and this kdriver are of different versions."
