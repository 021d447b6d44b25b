"""No driver costs more than the published one of its kind, counted in instructions on Debian 12's 6.1 cloud kernel."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Kdriver

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.slow]

BENCH = Path(__file__).resolve().parent.parent.parent / "ci" / "bench"


def test_no_kind_is_dearer_than_the_published_driver(kdriver: Kdriver, user_environment: dict[str, str]) -> None:
    argv = [str(BENCH), "events", "--json", "--check"]
    done = subprocess.run(argv, env=user_environment, capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    costs = json.loads(done.stdout)
    assert set(costs["instructions_added"]) == {"kmod", "bpf", "core"}
    for kind, exits in costs["instructions_added"].items():
        published = costs["published"][kind]
        for numbers in (exits, costs["instructions_added_with_entries"][kind]):
            for name in ("getppid", "write64", "open_read_close", "unselected"):
                assert numbers[name] is not None, (kind, name, numbers)
                assert 0 < numbers[name] <= published[name], (kind, name, numbers)
        assert costs["sizes"][kind]["bytes"] > 0
