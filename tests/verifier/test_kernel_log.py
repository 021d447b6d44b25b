"""Which kernel messages count against a driver."""

from __future__ import annotations

import pytest

from kdriver.verifier.kernel_log import complaints, taint_complaints
from kdriver.verifier.results import KernelMessage


@pytest.mark.parametrize(
    ("level", "text"),
    [
        pytest.param(4, "kdriver: something odd", id="warning"),
        pytest.param(3, "kdriver: disagrees about version of symbol module_layout", id="error"),
        pytest.param(6, "WARNING: CPU: 0 PID: 7 at kernel/trace/bpf_trace.c:1", id="report-at-info"),
        pytest.param(6, "Call Trace:", id="trace"),
        pytest.param(6, "BUG: sleeping function called from invalid context", id="bug"),
        pytest.param(5, "rcu: INFO: rcu_preempt self-detected stall on CPU", id="stall"),
    ],
)
def test_warnings_and_reports_count(level: int, text: str) -> None:
    assert complaints([KernelMessage(level, text)]) == (text,)


@pytest.mark.parametrize(
    ("level", "text"),
    [
        pytest.param(6, "tsc: Refined TSC clocksource calibration: 2596.105 MHz", id="info"),
        pytest.param(4, "kdriver: loading out-of-tree module taints kernel.", id="out-of-tree"),
        pytest.param(
            4,
            "kdriver: module verification failed: signature and/or required key missing - tainting kernel",
            id="unsigned",
        ),
        pytest.param(4, "clocksource: timekeeping watchdog on CPU1: hpet retried 2 times before success", id="busy"),
        pytest.param(4, "sched: RT throttling activated", id="real-time case on a busy host"),
    ],
)
def test_notices_and_known_messages_do_not(level: int, text: str) -> None:
    assert complaints([KernelMessage(level, text)]) == ()


def test_the_order_is_kept() -> None:
    messages = [KernelMessage(4, "b"), KernelMessage(6, "x"), KernelMessage(2, "a")]
    assert complaints(messages) == ("b", "a")


def test_only_fresh_taints_of_a_broken_kernel_count() -> None:
    out_of_tree, unsigned, warned, died = 1 << 12, 1 << 13, 1 << 9, 1 << 7
    assert taint_complaints(0, out_of_tree | unsigned) == ()
    assert taint_complaints(warned, warned | out_of_tree) == ()
    assert taint_complaints(0, warned | died) == ("the kernel died (Oops or BUG)", "the kernel issued a warning")
