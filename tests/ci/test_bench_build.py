"""`ci/bench build` measures every part: run on kernels that do not exist, with a driver that does nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import bench_build
import build_meter
import pytest

from builder.source import load_source
from kdriver.core.errors import BuildError
from kdriver.executors.local import LocalExecutor
from kdriver.executors.task import Task
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite, TinyKernel


def test_every_part_is_measured_in_a_cache_of_its_own(site: BuildSite) -> None:
    site.add()
    site.add(TinyKernel(release="1.2.4-tiny-amd64", version="1.2.4-1", settings="#define CONFIG_OTHER 1\n"))
    with bench_build.scratch_cache() as cache:
        assert cache != site.cache
        found = bench_build.measure(list(site.kernels), load_source(TOY_DRIVER), cache, 2)
    assert not cache.exists()
    # The configuration keeps the modules apart; the code of the eBPF probes is the same.
    assert (found.kernels, found.builds, found.shared) == (2, 4, 1)
    assert all(part.cpu_s > 0 and part.wall_s > 0 for part in (found.cold, found.bare, found.warm, found.idle))
    assert 0 < found.unpack.cpu_s < found.cold.cpu_s and 0 < found.probe.cpu_s < found.cold.cpu_s
    # Both compile the same once, so neither can be a multiple of the other: single ones of 0.94 were measured.
    assert 0.5 < found.ratio == found.warm.cpu_s / found.bare.cpu_s
    assert len(found.ratios) == 4 and min(found.ratios) > 0.5
    assert found.downloaded_bytes == sum(one.size_bytes for kernel in site.kernels for one in kernel.packages)
    assert found.kept_bytes > 0 and found.compiler_bytes > 1_000_000 and found.kdriver_bytes > 1_000_000
    assert found.to_json()["cold_kernels_per_minute"] > 0


def test_a_build_that_fails_is_no_measurement(site: BuildSite) -> None:
    kernel = site.add(TinyKernel(gcc=99))
    with bench_build.scratch_cache() as cache, pytest.raises(BuildError, match=kernel.key):
        bench_build.measure([kernel], load_source(TOY_DRIVER), cache, 1)


def test_cpu_time_of_a_program_and_what_it_starts_counts(tmp_path: Path) -> None:
    meter = build_meter.Meter()
    code = "import subprocess,sys; subprocess.run([sys.executable, '-c', 'sum(range(9000000))']); sys.exit(3)"
    task = Task((sys.executable, "-c", code), tmp_path, tmp_path / "log", 60.0, env={"PATH": "/usr/bin:/bin"})
    completed = build_meter.MeteredExecutor(LocalExecutor(), meter).run(task)
    assert completed.status == 3
    assert meter.children_s() > 0.05


def test_times_of_a_shell_are_read() -> None:
    assert build_meter.read_times("0m0.002s 0m0.001s\n1m2.500s 0m0.500s\n") == pytest.approx(63.003)


def test_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    cost = bench_build.Cost(10.0, 20.0)
    part = bench_build.Cost(3.0)
    found = bench_build.Measured(20, 40, cost, part, part, 3, cost, cost, (1.01, 1.05, 1.09), cost, 1, 2, 3, 4)
    bench_build.print_measured(replace(found, warm=bench_build.Cost(10.5, 20.0)))
    said = capsys.readouterr().out
    assert "ratio 1.050, at most 1.10" in said
    assert "60.0 kernels a minute" in said
    assert "3 files were shared" in said
    assert "each 1.010 to 1.090" in said
    assert max(map(len, said.splitlines())) <= 80
