"""What the guest is told of its time stamp counter is what this machine's counter does."""

from __future__ import annotations

import platform

import pytest

from kdriver.verifier.host_clock import host_tsc_khz


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the counter of x86_64")
def test_the_counter_is_measured_to_the_thousandth() -> None:
    first = host_tsc_khz()
    host_tsc_khz.cache_clear()
    second = host_tsc_khz()
    assert 100_000 < first < 20_000_000
    assert abs(first - second) < first / 1000


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the counter of x86_64")
def test_it_is_measured_once() -> None:
    assert host_tsc_khz() == host_tsc_khz()
    assert host_tsc_khz.cache_info().misses == 1


def test_another_machine_has_no_such_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    host_tsc_khz.cache_clear()
    assert host_tsc_khz() == 0
    host_tsc_khz.cache_clear()
