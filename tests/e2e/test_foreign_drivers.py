"""Drivers of other projects: what docs/bring-your-own-driver.md says is done as it stands there, on a real kernel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Kdriver

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.slow]

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "bring-your-own-driver.md"
FIXTURE = ROOT / "tests" / "fixtures" / "foreign_driver"
KERNEL = ("--distro", "debian12", "--kernel", "newest:6.1:cloud-amd64")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


@pytest.mark.usefixtures("kdriver")
def test_the_example_of_the_documentation(user_environment: dict[str, str], tmp_path: Path) -> None:
    (settings,), (check,) = _blocks("toml"), _blocks("c")
    (tmp_path / "driver.toml").write_text(settings)
    (tmp_path / "vpoll-check.c").write_text(check)
    said = []
    for commands in _blocks("sh"):
        done = subprocess.run(
            ["bash", "-euc", commands],
            cwd=tmp_path,
            env=user_environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert (tmp_path / "drivers").is_dir() and list((tmp_path / "drivers").rglob("vpoll.ko"))
    assert "none: loaded and unloaded only" in " ".join(said[0].split())
    assert "POLLIN came when it was asked for" in " ".join(said[1].split())
    assert "passed" in said[1] and "failed" not in said[1]


def test_every_kind_passes_its_own_check(kdriver: Kdriver) -> None:
    done = kdriver("verify", *KERNEL, "--driver-src", FIXTURE, "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["kind"]: row for row in json.loads(done.stdout)}
    assert {kind: row["outcome"] for kind, row in rows.items()} == dict.fromkeys(("kmod", "bpf", "core"), "passed")
    assert "21 became 42" in rows["kmod"]["facts"]["check"]
    assert rows["bpf"]["steps"] == {"check": 0, "unload": 0}
    assert rows["kmod"]["steps"] == {"load": 0, "check": 0, "unload": 0}


def test_what_its_check_says_no_to_fails(kdriver: Kdriver, tmp_path: Path) -> None:
    folder = tmp_path / "driver"
    shutil.copytree(FIXTURE, folder)
    module = folder / "src" / "knock.c"
    module.write_text(module.read_text().replace("doubled *= 2;", "doubled *= 3;"))
    done = kdriver("verify", *KERNEL, "--driver-src", folder, "--kind", "kmod", "--json")
    assert done.returncode == 5
    (row,) = json.loads(done.stdout)
    assert row["outcome"] == "failed"
    assert row["reason"] == "check: the driver's own check failed: exit status 1; doubled: 42 expected, 63 seen"
