"""The order of a batch: one kernel's guest runs while the next kernel is built, and no more run than were asked for."""

from __future__ import annotations

import threading
import time

import pytest

from kdriver.core.errors import DownloadError
from kdriver.verifier.pipeline import run_pipeline

WAIT_S = 30.0


def _nothing() -> None:
    """Nothing runs that could be stopped."""


def test_the_next_kernel_is_built_while_the_guest_of_one_runs() -> None:
    second_builds = threading.Event()

    def work(kernel: str) -> str:
        if kernel == "first":  # its guest waits for the build of the second
            return "overlapped" if second_builds.wait(WAIT_S) else "alone"
        second_builds.set()
        return "built"

    found = run_pipeline(["first", "second"], work, fetch=lambda one: None, jobs=2, ahead=1, stop=_nothing)
    assert found == ("overlapped", "built")


def test_as_many_work_at_a_time_as_were_asked_for_and_results_keep_the_order() -> None:
    now, most = 0, 0
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return -number

    found = run_pipeline(list(range(12)), work, fetch=lambda one: None, jobs=2, ahead=3, stop=_nothing)
    assert found == tuple(-number for number in range(12))
    assert most == 2


def test_packages_come_ahead_of_their_turn_and_not_further() -> None:
    fetched: list[int] = []
    come = threading.Condition()
    further: list[int] = []

    def fetch(number: int) -> None:
        with come:
            fetched.append(number)
            come.notify_all()

    def work(number: int) -> None:
        with come:  # those of the next two are here although this one is still worked on, however slow the machine is
            assert come.wait_for(lambda: {*range(min(number + 3, 8))} <= {*fetched}, WAIT_S)
            further.extend(one for one in fetched if one > number + 2)

    run_pipeline(list(range(8)), work, fetch=fetch, jobs=1, ahead=2, stop=_nothing)
    assert sorted(fetched) == list(range(8))
    assert further == []


def test_what_cannot_be_fetched_is_left_to_the_work_that_says_so() -> None:
    def fetch(kernel: str) -> None:
        raise DownloadError(f"{kernel}: 404") if kernel == "a" else ZeroDivisionError

    assert run_pipeline(["a", "b"], str.upper, fetch=fetch, jobs=1, ahead=1, stop=_nothing) == ("A", "B")


def test_an_interrupt_stops_what_runs_and_begins_nothing_more() -> None:
    stopped = threading.Event()
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise KeyboardInterrupt
        assert stopped.wait(WAIT_S)

    with pytest.raises(KeyboardInterrupt):
        run_pipeline(list(range(20)), work, fetch=lambda one: None, jobs=2, ahead=1, stop=stopped.set)
    assert len(begun) <= 4


def test_an_interrupt_does_not_wait_for_a_download() -> None:
    server = threading.Event()
    waiting = threading.Event()

    def fetch(number: int) -> None:
        if number == 1:
            waiting.set()
            server.wait(WAIT_S)

    def work(number: int) -> None:
        assert waiting.wait(WAIT_S)
        raise KeyboardInterrupt

    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_pipeline([0, 1, 2], work, fetch=fetch, jobs=2, ahead=1, stop=_nothing)
        assert time.monotonic() - began < WAIT_S / 2
    finally:
        server.set()
