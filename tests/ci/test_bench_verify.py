"""What `ci/bench verify` counts, and that a real run adds up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import bench_verify
import pytest
from bench_verify import STAGES, Costs, Spent, Watch

from tests.e2e.conftest import update_index

ROOT = Path(__file__).resolve().parent.parent.parent


def _costs(cases_s: float, outcome: str = "passed") -> Costs:
    stages = {name: Spent(1.0, 2.0) for name in STAGES} | {"cases": Spent(cases_s, 9.0)}
    return Costs("debian/x86_64/6.1/1", 25_000_000, stages, Spent(2.0, 3.0), {"kmod": outcome})


def test_what_is_beyond_boot_and_load_is_cases_trials_and_verdict() -> None:
    assert _costs(3.5).beyond_s == 5.5
    assert _costs(3.5).whole == Spent(10.5, 23.0)


def test_kernels_an_hour_leave_fetching_and_unpacking_out() -> None:
    assert _costs(3.5).kernels_an_hour == pytest.approx(2 * 3600 / 8.5)


def test_stages_of_the_guest_are_added_up_by_what_they_are() -> None:
    watch = Watch()
    for stage in ("static checks", "boot", "start", "kmod load", "kmod open", "kmod cases", "kmod switch"):
        watch.stage("k", stage)
        time.sleep(0.02)
    found = watch.ended()
    assert set(found) == set(STAGES)
    walls = {name: spent.wall_s for name, spent in found.items()}
    assert walls["boot"] > 0.035 and walls["program load"] > 0.035
    assert all(walls[name] > 0.015 for name in ("static checks", "cases", "trials"))
    assert walls["fetch"] == walls["unpack"] == 0


def test_a_childs_processor_time_is_seen_while_it_runs() -> None:
    before = bench_verify.guest_cpu_s()
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        end = time.monotonic() + 60
        while bench_verify.guest_cpu_s() < before + 0.1:
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert bench_verify.guest_cpu_s() >= before + 0.1


def test_speed_ups_are_taken_back_on_the_command_line() -> None:
    argv = ["qemu", "-accel", "tcg,thread=single", "-cpu", "max,-cx16,-erms,-fsrm", "-append", "quiet nokaslr", "-x"]
    assert bench_verify.with_erms(argv)[4] == "max,-cx16"
    assert bench_verify.with_threads(argv)[2] == "tcg,thread=multi"
    plain = bench_verify.plain_parameters(argv)
    assert "nokaslr" not in plain[6] and "rdinit=/init" in plain[6] and plain[-1] == "-x"


@pytest.mark.qemu
@pytest.mark.network
@pytest.mark.slow
def test_a_real_verification_is_measured(tmp_path: Path) -> None:
    update_index(tmp_path / "index")
    done = subprocess.run(
        ["ci/bench", "verify", "--kernel", bench_verify.KERNELS[0], "--kind", "kmod", "--json"],
        cwd=ROOT,
        env={**os.environ, "KDRIVER_INDEX": str(tmp_path / "index")},
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr
    (kernel,) = json.loads(done.stdout)["kernels"]
    assert kernel["outcomes"] == {"kmod": "passed"}
    spent = {name: stage["cpu_s"] for name, stage in kernel["stages"].items()}
    assert set(spent) == set(STAGES)
    assert all(spent[name] > 0 for name in ("unpack", "boot", "cases", "verdict"))
    assert kernel["whole"]["cpu_s"] == pytest.approx(sum(spent.values()))
    assert kernel["ratio_to_bare_boot"] > 1
