"""The scripts of ci/: what they print, and what they do when a step fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FAKE_PROGRAM = """#!/bin/sh
echo "$(basename "$0") $*" >> "$FAKE_CALLS"
case "$*" in
    "$FAKE_FAILS"*) echo "a reason" >&2; exit 5 ;;
esac
"""


def _run(argv: list[str], *, cwd: Path = ROOT, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("script", ["ci/setup", "ci/test", "ci/quickstart"])
def test_script_explains_itself(script: str) -> None:
    done = _run([script, "--help"])
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: {script}")
    assert "Example" in done.stdout


@pytest.mark.parametrize("script", ["ci/setup", "ci/quickstart"])
def test_unknown_option_is_a_usage_error(script: str) -> None:
    done = _run([script, "--frobnicate"])
    assert done.returncode == 2
    assert done.stderr.startswith(f"Usage: {script}")
    assert done.stdout == ""


def test_setup_says_what_is_missing_and_changes_nothing(tmp_path: Path) -> None:
    checkout = _fake_checkout(tmp_path)
    (checkout / "ci" / "packages" / "run.txt").write_text("# comment\n\nno-such-package-as-this\n")
    done = _run(["ci/setup", "--for", "run", "--dry-run"], cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert "apt: would install: no-such-package-as-this" in done.stdout
    assert "python: would install kdriver in .venv" in done.stdout
    assert not (checkout / ".venv").exists()


def test_setup_refuses_an_old_python(tmp_path: Path) -> None:
    checkout = _fake_checkout(tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "dirname", "sed", "id", "dpkg-query", "env"):
        (programs / name).symlink_to(shutil.which(name) or name)
    (programs / "python3").write_text('#!/bin/bash\nif [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi\n')
    (programs / "python3").chmod(0o755)
    done = _run(["ci/setup", "--dry-run"], cwd=checkout, env={"PATH": str(programs)})
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "ci/setup: python3 is Python 3.9.2, and 3.11 or newer was expected",
        "  hint: install python3.11, as Debian 12 has it",
    ]


def _fake_checkout(folder: Path) -> Path:
    """A folder with the real scripts and nothing else of the project."""
    checkout = folder / "checkout"
    shutil.copytree(ROOT / "ci", checkout / "ci")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    return checkout


def _quickstart(folder: Path, *arguments: str, fails: str = "nothing") -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the real script with recorded programs in place of those that do the work; with what was called."""
    checkout = folder / "checkout"
    if not checkout.exists():
        _fake_checkout(folder)
        programs = checkout / ".venv" / "bin"
        programs.mkdir(parents=True)
        for program in (checkout / "ci" / "setup", programs / "kdriver", programs / "python"):
            program.write_text(FAKE_PROGRAM)
            program.chmod(0o755)
    calls = folder / "calls"
    calls.write_text("")
    env = {"FAKE_CALLS": str(calls), "FAKE_FAILS": fails, "KDRIVER_QUICKSTART_DIR": ""}
    done = _run(["ci/quickstart", *arguments], cwd=checkout, env=env)
    return done, calls.read_text()


def test_quickstart_goes_the_whole_path_in_order(tmp_path: Path) -> None:
    done, calls = _quickstart(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    commands = [" ".join(line.split()[:3]) for line in calls.splitlines()]
    assert commands[:3] == ["setup --for run", "kdriver index update", "kdriver index list"]
    assert [word.split()[1] for word in commands[3:7]] == ["build", "verify", "repo", "publish"]
    assert "host_guest.py" in calls.splitlines()[-1]
    transcript = (tmp_path / "checkout" / "quickstart.d" / "transcript.txt").read_text()
    assert "$ kdriver index update --distro debian12" in transcript
    assert done.stdout.startswith(transcript.splitlines()[0])


def test_quickstart_stops_at_the_first_failure_and_names_the_log(tmp_path: Path) -> None:
    done, calls = _quickstart(tmp_path, fails="verify")
    assert done.returncode == 5
    assert calls.splitlines()[-1].startswith("kdriver verify")
    last = done.stdout.splitlines()[-2:]
    assert "failed with exit status 5: kdriver verify" in last[0]
    log = tmp_path / "checkout" / last[1].split("log: ")[1]
    assert log.read_text() == "a reason\n"
    assert "log: quickstart.d/logs/" in last[1]
