"""The real thing: the newest Debian kernels booted, their three drivers judged, and a broken driver found out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DRIVER_SRC = Path(__file__).resolve().parent.parent.parent / "driver_src"
KERNELS = ("newest", "newest:cloud-amd64", "newest:6.12", "newest:6.12:cloud-amd64")

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def index(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An index of today's Debian 12; downloads and builds stay in the usual cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDRIVER_INDEX", str(tmp_path_factory.mktemp("index")))
        _kdriver("index", "update", "--distro", "debian12")
        yield


def _kdriver(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "kdriver", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=900)


def _verify(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    done = _kdriver("verify", "--distro", "debian12", "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("kernel", KERNELS)
def test_all_three_drivers_pass(kernel: str) -> None:
    status, rows, said = _verify("--kernel", kernel)
    assert [(row["kind"], row["outcome"]) for row in rows] == [
        ("kmod", "passed"),
        ("bpf", "passed"),
        ("core", "passed"),
    ], said
    assert status == 0
    for row in rows:
        assert row["events"] > 1000
        assert row["checks"]["exact"] > 5000
        assert row["checks"]["between"] > 0
        assert row["facts"]["drops"] == "0"
        assert all(step == 0 for step in row["steps"].values())
    # A driver has as many parameters to be compared as the others, but for what the cases poll for.
    counts = [row["checks"]["exact"] for row in rows]
    assert max(counts) - min(counts) < max(counts) / 20


def test_a_driver_that_is_wrong_in_one_parameter_fails(tmp_path: Path) -> None:
    """dup2 gives its first argument where the second belongs."""
    source = tmp_path / "driver_src"
    shutil.copytree(DRIVER_SRC, source)
    table = source / "catalogue" / "io.toml"
    text = table.read_text()
    right = '{ name = "newfd", type = "fd", capture = "fd(arg1)", check = "exact" }'
    start = text.index('name = "dup2"')
    place = text.index(right, start)
    table.write_text(text[:place] + right.replace("arg1", "arg0") + text[place + len(right) :])
    status, (row,), said = _verify("--kernel", "newest:cloud-amd64", "--kind", "core", "--driver-src", str(source))
    assert (status, row["outcome"]) == (5, "failed"), said
    assert "dup2" in row["reason"] and "newfd: expected " in row["reason"] and ", seen " in row["reason"]
    assert all("dup2" in failure and "newfd" in failure for failure in row["failures"]), row["failures"]
