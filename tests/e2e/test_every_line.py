"""All three drivers are right on the newest kernels of Debian 12's 6.12 line, generic and cloud.

The 6.1 line has its verdicts on the whole path: generic in tests/test_quickstart.py, cloud in test_whole_path.py.
"""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Kdriver

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.slow]

KERNELS = ("newest:6.12", "newest:6.12:cloud-amd64")


@pytest.mark.parametrize("kernel", KERNELS)
def test_all_three_drivers_pass(kdriver: Kdriver, kernel: str) -> None:
    done = kdriver("verify", "--distro", "debian12", "--kernel", kernel, "--json")
    verdicts = json.loads(done.stdout)
    assert [(verdict["kind"], verdict["outcome"], verdict["reason"]) for verdict in verdicts] == [
        ("kmod", "passed", ""),
        ("bpf", "passed", ""),
        ("core", "passed", ""),
    ], done.stderr
    assert done.returncode == 0
    for verdict in verdicts:
        assert "/6.12." in verdict["kernel"]
        assert verdict["events"] > 1000
        assert verdict["checks"]["exact"] > verdict["checks"]["between"] > 0
        assert verdict["facts"]["drops"] == "0"
