"""`ci/bench build` measures every part: run on kernels that do not exist, with a driver that does nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bench_build
import pytest

from builder.source import load_source
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite, TinyKernel, build_site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BuildSite]:
    with build_site(tmp_path) as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


def test_every_part_is_measured_in_a_cache_of_its_own(site: BuildSite) -> None:
    site.add()
    site.add(TinyKernel(release="1.2.4-tiny-amd64", version="1.2.4-1", settings="#define CONFIG_OTHER 1\n"))
    with bench_build.scratch_cache() as cache:
        assert cache != site.cache
        found = bench_build.measure(list(site.kernels), load_source(TOY_DRIVER), cache, 1)
    assert not cache.exists()
    assert (found.kernels, found.builds, found.shared) == (2, 4, 0)
    parts = (found.unpack, found.probe, found.bare, found.ours, found.cold, found.warm, found.idle)
    assert all(part.cpu_s > 0 and part.wall_s > 0 for part in parts)
    assert found.ratio == found.ours.cpu_s / found.bare.cpu_s
    assert found.downloaded_bytes == sum(one.size_bytes for kernel in site.kernels for one in kernel.packages)
    assert found.kept_bytes > 0 and found.peak_bytes > 1_000_000
    assert found.to_json()["cold_kernels_per_minute"] > 0


def test_cpu_time_of_children_counts() -> None:
    busy = bench_build.timed(lambda: subprocess.run([sys.executable, "-c", "sum(range(3000000))"], check=True))
    assert busy.cpu_s > 0.02


def test_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    cost = bench_build.Cost(10.0, 20.0)
    found = bench_build.Measured(20, 40, cost, cost, cost, cost, cost, 3, cost, cost, 1, 2, 3)
    bench_build.print_measured(replace(found, ours=bench_build.Cost(10.5, 1.0)))
    said = capsys.readouterr().out
    assert "ratio 1.050, at most 1.10" in said
    assert "60.0 kernels a minute" in said
    assert "3 modules were shared" in said
