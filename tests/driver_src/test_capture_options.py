"""kd-capture's command line: what it teaches, and how it says no."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile


def run(tool: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(tool), *options], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )


def test_program_needs_no_library(capture_tool: Path) -> None:
    with capture_tool.open("rb") as file:
        elf = ELFFile(file)
        assert [
            one.header.p_type for one in elf.iter_segments() if one.header.p_type in ("PT_INTERP", "PT_DYNAMIC")
        ] == []


def test_help_names_every_public_option(capture_tool: Path) -> None:
    done = run(capture_tool, "--help")
    assert done.returncode == 0
    options = (
        "driver events pid comm snaplen dynamic-snaplen fullcapture-ports statsd-port buffer-bytes json duration "
        "max-events enter-time program-type btf control check"
    )
    assert [name for name in options.split() if f"--{name} " not in done.stdout] == []


def test_a_call_without_an_event_is_taken_by_its_name(capture_tool: Path) -> None:
    done = run(capture_tool, "--driver", "/nowhere/k.o", "--events", "getppid,openat_e,all")
    assert done.stderr == "kd-capture: /nowhere/k.o: No such file or directory\n"
    typed = run(capture_tool, "--driver", "/nowhere/k.o", "--events", "newfstatat,pread64")
    assert typed.stderr.startswith("kd-capture: --events: no event is called pread64\n"), "its event is called pread"


@pytest.mark.parametrize(
    ("options", "status", "message", "hint"),
    [
        pytest.param((), 2, "--driver is missing", "Name the eBPF object, or kmod for the kernel module.",
                     id="nothing"),
        pytest.param(("--driver", "x", "--events", "open,opennat"), 2, "--events: no event is called opennat",
                     "Did you mean: openat, open, openat2, open_e, openat_e?", id="unknown event"),
        pytest.param(("--driver", "x", "--events", "zzzzzzzzz"), 2, "--events: no event is called zzzzzzzzz",
                     "Run `kdriver events list` for all names.", id="event like no other"),
        pytest.param(("--driver", "x", "--program-type", "kprobe"), 2,
                     "--program-type kprobe: expected auto, raw or tp", None, id="unknown program type"),
        pytest.param(("--driver", "x", "--snaplen", "16385"), 2,
                     "--snaplen 16385: expected a number from 0 to 16384", None, id="snaplen too large"),
        pytest.param(("--driver", "x", "--fullcapture-ports", "90-80"), 2,
                     "--fullcapture-ports 90-80: expected a range of ports, like 7000-7010", None,
                     id="ports backwards"),
        pytest.param(("--driver", "x", "--fullcapture-ports", "80-90000"), 2,
                     "--fullcapture-ports 80-90000: expected a range of ports, like 7000-7010", None, id="no ports"),
        pytest.param(("--driver", "x", "--statsd-port", "65536"), 2,
                     "--statsd-port 65536: expected a number from 0 to 65535", None, id="no port"),
        pytest.param(("--driver", "x", "--pid", "-1"), 2, "--pid -1: expected a process id", None, id="bad pid"),
        pytest.param(("--driver", "x", "--duration", "soon"), 2, "--duration soon: expected seconds, more than 0", None,
                     id="bad duration"),
        pytest.param(("--driver", "x", "y"), 2, "y: expected only options", "Run kd-capture --help.", id="an argument"),
        pytest.param(("--driver", "/nowhere/k.o"), 3, "/nowhere/k.o: No such file or directory", None, id="no file"),
        pytest.param(("--driver", "kmod:absent"), 3, "/dev/absent0: no such device; the module absent is not loaded",
                     "Load the module first: kdriver load, or insmod.", id="no module"),
        pytest.param(("--driver", "/etc/passwd"), 7, "/etc/passwd: not an ELF file, expected an eBPF object", None,
                     id="no ELF file"),
        pytest.param(("--driver", "/bin/sh"), 7, "/bin/sh: an ELF file for another machine, expected an eBPF object",
                     "A kernel module is loaded by kdriver load, then opened by --driver kmod.", id="not for bpf"),
    ],
)  # fmt: skip
def test_wrong_use_gets_one_line_a_hint_and_its_status(
    capture_tool: Path, options: tuple[str, ...], status: int, message: str, hint: str | None
) -> None:
    done = run(capture_tool, *options)
    assert done.stderr == f"kd-capture: {message}\n" + (f"  hint: {hint}\n" if hint else "")
    assert (done.returncode, done.stdout) == (status, "")
