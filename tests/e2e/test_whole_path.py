"""The main job, command by command, ending in a guest that loads what was published over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kdriver.repository.layout import metadata_path

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.root, pytest.mark.slow]

ROOT = Path(__file__).resolve().parent.parent.parent
KERNEL = ("--distro", "debian12", "--kernel", "newest:6.1:cloud-amd64")


class Desk:
    """A folder with an index, a repository and its keys. Downloads and builds come from this machine's own cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = ("--repo", str(folder / "repository"), "--keys", str(folder / "keys"))
        self.environment = {**os.environ, "KDRIVER_INDEX": str(folder / "index")}

    def run(self, *argv: str, status: int = 0) -> str:
        """A command; its standard output. Fails the test when it ends with another status."""
        done = subprocess.run(argv, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == status, f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def kdriver(self, *argv: str, status: int = 0) -> Any:
        """A kdriver command with --json; the document."""
        return json.loads(self.run(sys.executable, "-m", "kdriver", *argv, "--json", status=status))


@pytest.fixture(name="desk", scope="module")
def verified_and_published(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("whole"))
    desk.kdriver("index", "update", "--distro", "debian12")
    built = desk.kdriver("build", *KERNEL)
    assert {one["outcome"] for one in built} <= {"built", "cached"}
    verdicts = desk.kdriver("verify", *KERNEL)
    assert {one["kind"]: one["outcome"] for one in verdicts} == dict.fromkeys(("kmod", "bpf", "core"), "passed")
    desk.kdriver("repo", "init", *desk.repository)
    published = desk.kdriver("publish", *desk.repository, *KERNEL)
    assert {one["kind"]: one["outcome"] for one in published} == dict.fromkeys(("kmod", "bpf", "core"), "published")
    return desk


def test_what_was_published_passes_its_own_check(desk: Desk) -> None:
    report = desk.kdriver("repo", "check", "--repo", str(desk.folder / "repository"))
    assert report["faults"] == []
    # The kernel, and the CO-RE object for any kernel.
    assert report["kernels"] == 2
    assert (desk.folder / "repository" / metadata_path("root", 1)).is_file()


@pytest.mark.parametrize("kind", ["kmod", "core"])
def test_a_guest_loads_the_published_driver_over_http_and_prints_live_events(desk: Desk, kind: str) -> None:
    script = str(ROOT / "ci/lib/host_guest.py")
    work = desk.folder / f"host-{kind}"
    where = ("--repo", str(desk.folder / "repository"), "--work", str(work), "--timeout", "900")
    out = desk.run(sys.executable, script, *KERNEL, "--kind", kind, *where)
    assert "6 of 6 steps as they should be" in out
    assert 'name="/etc/hostname"' in out
    assert "GET /targets/artifacts/" in (work / "server.log").read_text()
