"""`--require-markers`: a run that ran no test of a kind that it was asked for has not passed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent

SAMPLE = """
import pytest

@pytest.mark.qemu
def test_guest():
    pass

@pytest.mark.network
def test_mirror():
    pytest.skip("no network")

def test_plain():
    pass
"""


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(TESTS / "conftest.py", folder / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    qemu: a\n    network: b\n")
    (folder / "test_sample.py").write_text(SAMPLE)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("workers", [pytest.param((), id="alone"), pytest.param(("-n", "1"), id="worker")])
def test_a_marker_with_a_passed_test_is_satisfied(tmp_path: Path, workers: tuple[str, ...]) -> None:
    done = _run(tmp_path, "--require-markers", "qemu", *workers)
    assert done.returncode == 0, done.stdout
    assert "2 passed, 1 skipped" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("workers", [pytest.param((), id="alone"), pytest.param(("-n", "1"), id="worker")])
def test_a_marker_whose_tests_were_all_skipped_fails_the_run(tmp_path: Path, workers: tuple[str, ...]) -> None:
    done = _run(tmp_path, "--require-markers", "qemu,network", *workers)
    assert done.returncode == 1, done.stdout
    assert "required marker network: no test of it passed in this run" in done.stdout
    assert "required marker qemu" not in done.stdout
    assert "2 passed, 1 skipped" in done.stdout.splitlines()[-1]


def test_without_the_option_nothing_is_required(tmp_path: Path) -> None:
    done = _run(tmp_path, "-k", "plain")
    assert done.returncode == 0, done.stdout
