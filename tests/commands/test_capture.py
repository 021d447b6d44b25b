"""`kdriver capture`: which kd-capture it runs, on which driver, with which options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kdriver.cli import run
from kdriver.commands.capture import CaptureRequest, driver_of, find_tool, plan_capture
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ExitCode, NotFoundError
from kdriver.loader.state import Installed

Capture = pytest.CaptureFixture[str]

ECHO = '#!/bin/sh\nfor word in "$@"; do echo "$word"; done\nexit 7\n'


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """A program in kd-capture's place: prints its words and ends with status 7."""
    path = tmp_path / "kd-capture"
    path.write_text(ECHO)
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The loader's folder, empty, and no capture tool named."""
    folder = tmp_path / "state"
    folder.mkdir()
    monkeypatch.setenv("KDRIVER_STATE", str(folder))
    monkeypatch.delenv("KDRIVER_CAPTURE", raising=False)
    return folder


def installed(kind: DriverKind, capture: Path | str = "") -> Installed:
    return Installed(
        kind=kind, name="kdriver", artifact="a" * 64, path="/var/lib/kdriver/kdriver.core.o", capture=str(capture),
        kernel="k", repo="r", boot_id="", outcome="loaded", parameters="", expires="", at="", entry={},
    )  # fmt: skip


def test_command_line_carries_every_option() -> None:
    request = CaptureRequest(
        driver="k.core.o", events=("open,close", "read"), pids=(1, 2), comms=("nginx",), snaplen=0, buffer_bytes=4096,
        fullcapture_ports="80-90", statsd_port=8126, duration_s=1.5, max_events=9, program_type="tp", btf=Path("/b"),
        switches=("json", "enter-time"),
    )  # fmt: skip
    assert plan_capture(Path("/bin/kd-capture"), request) == [
        "/bin/kd-capture", "--driver", "k.core.o", "--events", "open,close,read", "--pid", "1", "--pid", "2",
        "--comm", "nginx", "--snaplen", "0", "--fullcapture-ports", "80-90", "--statsd-port", "8126",
        "--buffer-bytes", "4096", "--duration", "1.5", "--max-events", "9", "--program-type", "tp", "--btf", "/b",
        "--json", "--enter-time",
    ]  # fmt: skip


def test_what_is_left_out_is_left_to_the_tool() -> None:
    assert plan_capture(Path("t"), CaptureRequest(driver="kmod")) == ["t", "--driver", "kmod"]


def test_tool_takes_the_place_of_the_command_with_its_status(echo: Path) -> None:
    argv = [sys.executable, "-m", "kdriver", "capture", "--driver", "kmod:kd", "--events", "open", "--json"]
    environment = {**os.environ, "KDRIVER_CAPTURE": str(echo)}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.stdout.split() == ["--driver", "kmod:kd", "--events", "open", "--json"]
    assert done.returncode == 7


def test_installed_driver_is_the_default(
    echo: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (place / "installed.json").write_text(json.dumps(installed(DriverKind.CORE, echo).to_json()))
    assert run(["capture", "--dry-run"]) == ExitCode.DONE
    assert capsys.readouterr().out == f"{echo} --driver /var/lib/kdriver/kdriver.core.o\n"
    assert driver_of(installed(DriverKind.KMOD)) == "kmod:kdriver"


def test_tool_that_was_published_with_the_installed_driver_opens_it(echo: Path) -> None:
    there = installed(DriverKind.KMOD, echo)
    assert find_tool("kmod:kdriver", there) == echo


def test_without_an_installed_driver_one_must_be_named(capsys: Capture) -> None:
    assert run(["capture"]) == ExitCode.NOT_FOUND
    assert capsys.readouterr().err == (
        "kdriver: no driver is in place on this host\n"
        "  hint: Name one with --driver: the path of an eBPF object, or kmod for a loaded module.\n"
    )
    with pytest.raises(NotFoundError):
        driver_of(None)


def test_variable_that_names_no_program_is_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("KDRIVER_CAPTURE", str(tmp_path / "absent"))
    assert run(["capture", "--driver", "kmod"]) == ExitCode.USAGE
    assert capsys.readouterr().err == (
        f"kdriver: KDRIVER_CAPTURE={tmp_path}/absent: is no program\n"
        "  hint: Set it to the path of kd-capture, or unset it.\n"
    )


def test_options_out_of_bounds_are_refused_before_the_tool_runs(capsys: Capture) -> None:
    assert run(["capture", "--driver", "kmod", "--snaplen", "16385"]) == ExitCode.USAGE
    assert "16385 is not in the range 0<=x<=16384" in capsys.readouterr().err
    assert run(["capture", "--driver", "kmod", "--program-type", "kprobe"]) == ExitCode.USAGE
    assert "'kprobe' is not one of 'auto', 'raw', 'tp'" in capsys.readouterr().err


def test_help_shows_how_to_begin(capsys: Capture) -> None:
    assert run(["capture", "--help"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "kdriver capture --events execve,procexit" in shown
    assert "--enter-time" in shown


def test_a_driver_file_that_is_not_there_is_one_line_with_a_hint(
    echo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("KDRIVER_CAPTURE", str(echo))
    gone = tmp_path / "gone.core.o"
    assert run(["capture", "--driver", str(gone)]) == ExitCode.NOT_FOUND
    assert capsys.readouterr().err.splitlines() == [
        f"kdriver: {gone}: no such driver file",
        "  hint: Name an eBPF object, or kmod for the loaded module.",
    ]
