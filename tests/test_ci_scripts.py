"""The scripts of ci/: what they print, and what they do when a step fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FAKE_PROGRAM = """#!/bin/sh
echo "$(basename "$0") $*" >> "$FAKE_CALLS"
case "$*" in
    "$FAKE_FAILS"*) echo "a reason" >&2; exit 5 ;;
    "$FAKE_HANGS"*) exec sleep 40 ;;
esac
"""


def _run(argv: list[str], *, cwd: Path = ROOT, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("script", ["ci/setup", "ci/test", "ci/quickstart", "ci/bench", "ci/engine", "ci/images"])
def test_script_explains_itself(script: str) -> None:
    done = _run([script, "--help"])
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: {script}")
    assert "Example" in done.stdout


@pytest.mark.parametrize("script", ["ci/setup", "ci/quickstart", "ci/engine", "ci/images"])
def test_unknown_option_is_a_usage_error(script: str) -> None:
    done = _run([script, "--frobnicate"])
    assert done.returncode == 2
    assert done.stderr.startswith(f"Usage: {script}")
    assert done.stdout == ""


def test_engine_ends_no_process_that_only_has_the_number_of_its_own(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            (tmp_path / "pid").write_text(f"{stranger.pid}\n")
            assert _run(["ci/engine", "stop", "--dir", str(tmp_path)]).returncode == 0
            assert stranger.poll() is None
            assert not (tmp_path / "pid").exists()
        finally:
            stranger.kill()


def test_quickstart_cleans_no_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    done = _run(["ci/quickstart", "--clean"], env={"KDRIVER_QUICKSTART_DIR": str(tmp_path)})
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"ci/quickstart: {tmp_path} has no transcript of an earlier run: it is not removed",
        "  hint: name another folder in KDRIVER_QUICKSTART_DIR, or remove it yourself",
    ]
    assert (tmp_path / "precious").read_text() == "mine"


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


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A checkout with the real ci/quickstart, and programs that only record their call in place of those that work."""
    checkout = _fake_checkout(tmp_path)
    programs = checkout / ".venv" / "bin"
    programs.mkdir(parents=True)
    for program in (checkout / "ci" / "setup", programs / "kdriver", programs / "python"):
        program.write_text(FAKE_PROGRAM)
        program.chmod(0o755)
    return checkout


def _recording(checkout: Path, *, fails: str = "nothing", hangs: str = "nothing") -> dict[str, str]:
    calls = str(checkout / "calls")
    return {"FAKE_CALLS": calls, "FAKE_FAILS": fails, "FAKE_HANGS": hangs, "KDRIVER_QUICKSTART_DIR": ""}


def test_quickstart_goes_the_whole_path_in_order(recorded: Path) -> None:
    done = _run(["ci/quickstart"], cwd=recorded, env=_recording(recorded))
    assert done.returncode == 0, done.stdout + done.stderr
    calls = (recorded / "calls").read_text().splitlines()
    commands = [" ".join(line.split()[:3]) for line in calls]
    assert commands[:3] == ["setup --for run", "kdriver index update", "kdriver index list"]
    assert [command.split()[1] for command in commands[3:7]] == ["build", "verify", "repo", "publish"]
    assert "host_guest.py" in calls[-1]
    assert (recorded / "quickstart.d" / "transcript.txt").read_text() == done.stdout
    assert "$ kdriver index update --distro debian12" in done.stdout


def test_quickstart_stops_at_the_first_failure_and_names_the_log(recorded: Path) -> None:
    done = _run(["ci/quickstart"], cwd=recorded, env=_recording(recorded, fails="verify"))
    assert done.returncode == 5
    assert (recorded / "calls").read_text().splitlines()[-1].startswith("kdriver verify")
    fault, where = done.stdout.splitlines()[-2:]
    assert "failed with exit status 5: kdriver verify" in fault
    log = where.split("log: ")[1]
    assert log.startswith("quickstart.d/logs/")
    assert (recorded / log).read_text() == "a reason\n"


def test_quickstart_that_is_ended_leaves_nothing_running(recorded: Path) -> None:
    environment = {**os.environ, **_recording(recorded, hangs="build")}
    with subprocess.Popen(
        ["ci/quickstart"], cwd=recorded, env=environment, stdout=subprocess.PIPE, text=True
    ) as script:
        while "kdriver build" not in ((recorded / "calls").read_text() if (recorded / "calls").exists() else ""):
            assert script.poll() is None
            time.sleep(0.05)
        script.terminate()
        # The end of its output: nothing that it started holds the pipe any more.
        script.communicate(timeout=20)
        assert script.returncode == 143
    assert "verify" not in (recorded / "calls").read_text()
