"""The whole path on a real kernel: what ci/quickstart shows to a newcomer is what happened."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from kdriver.core.paths import cache_dir
from kdriver.verifier.accelerator import find_qemu

ROOT = Path(__file__).resolve().parent.parent

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def transcript(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run prints; its own index and repository, the downloads and builds of this user."""
    find_qemu()
    folder = tmp_path_factory.mktemp("quickstart")
    environment = {
        **os.environ,
        "KDRIVER_QUICKSTART_DIR": str(folder),
        "KDRIVER_CACHE": str(cache_dir()),
        "KDRIVER_INDEX": str(folder / "index"),
    }
    done = subprocess.run(
        ["ci/quickstart"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert (folder / "transcript.txt").read_text() == done.stdout
    return done.stdout


def test_every_driver_is_built_and_passes_on_the_newest_kernel(transcript: str) -> None:
    for kind in ("kmod", "bpf", "core"):
        assert re.search(rf"^debian/x86_64/6\S+ +{kind} +(built|cached) ", transcript, re.MULTILINE), kind
        passed = re.search(rf"^debian/x86_64/6\S+ +{kind} +passed +(\d+) ", transcript, re.MULTILINE)
        assert passed is not None, kind
        assert int(passed[1]) > 500, "so few events cannot be all calls of the catalogue"


def test_the_guest_loads_the_published_module_over_http_once(transcript: str) -> None:
    guest = transcript[transcript.index("guest# kdriver load --repo http://") :]
    assert re.search(r"^  loaded: kdriver ", guest, re.MULTILINE)
    assert re.search(r"^  already loaded: kdriver ", guest, re.MULTILINE)


def test_the_guest_prints_live_events_of_a_process_that_ran_there(transcript: str) -> None:
    guest = transcript[transcript.index("guest# kdriver capture ") :]
    assert re.search(r"openat.*/etc/hostname", guest)


def test_the_guest_is_left_without_a_driver(transcript: str) -> None:
    guest = transcript[transcript.index("guest# kdriver unload") :]
    assert "  kdriver: unloaded" in guest
    assert "  no driver is in place" in guest
