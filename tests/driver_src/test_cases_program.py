"""The event cases as a program: built, run on this kernel, and judged by what they print. No driver is needed."""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from kdriver.catalogue.load import load_catalogue
from kdriver.core.paths import source_dir
from kdriver.verifier.expectation import CaseLines, faults_of, read_case_lines

CATALOGUE = load_catalogue()
Values = dict[tuple[str, str], set[str]]

NEVER_FAIL = {
    *("brk", "exit", "exit_group", "procexit", "switch", "tcp_connect"),
    *("getuid", "geteuid", "getgid", "getegid", "munlockall"),
    *("open_e", "openat_e", "openat2_e", "creat_e", "connect_e", "signaldeliver", "page_fault", "syscall"),
}
"""Events without a failure: brk says where the end stayed, calls that cannot fail, and events that are no results."""

NEVER_SUCCEED = {"execveat", "init_module", "finit_module", "delete_module", "umount"}
"""A success arrives as execve; no module fits every kernel; umount is a call of the 32-bit program only, which mounts
nothing."""

ONE_VALUE = {
    ("creat", "creat_flags"): "always 0 until overlay layers are captured",
    ("eventfd", "flags"): "the call has none",
    ("signalfd", "flags"): "the call has none",
    ("timerfd_create", "flags"): "no value of them is portable",
    ("inotify_init", "flags"): "the call has none",
    ("munlockall", "res"): "the call cannot fail",
    ("init_module", "res"): "a sandbox forbids it, whatever is passed",
    ("finit_module", "res"): "a sandbox forbids it, whatever is passed",
    ("delete_module", "res"): "a sandbox forbids it, whatever is passed",
    ("mmap2", "vm_size"): "described by another process, which knows one range for all its calls",
    ("mmap2", "vm_rss"): "described by another process, which knows one range for all its calls",
    ("mmap2", "vm_swap"): "described by another process, which knows one range for all its calls",
    ("quotactl", "quota_fmt_out"): "only a file system with quotas gives another one",
    ("procexit", "core"): "1 only where the kernel writes a core file",
}
"""Parameters that may have one value only, and why."""

ONE_VALUE_OF_TASKS = {"pgft_maj", "vm_swap", "cgroups", "tty", "loginuid"}
"""Of tasks: depend on the machine (swap, control groups, terminals, audit). The guest has a group for each one."""

ONE_EXECUTABLE = {"exe_ino", "exe_ino_ctime", "exe_ino_mtime", "trusted_exepath"}
"""Of execveat: it fails in one program only; execve has several."""


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with kd-cases and kd-cases32; a warning ends the build."""
    out = tmp_path_factory.mktemp("cases")
    argv = ["make", "-C", str(source_dir("driver_src") / "cases"), f"OUT={out}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def printed(programs: Path) -> list[dict[str, Any]]:
    """What kd-cases prints on this kernel, in a mount namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    lines: list[dict[str, Any]] = []
    for only in ([], ["--only", "asked-*"]):
        argv = ["unshare", "-m", "--propagation", "private", str(programs / "kd-cases"), *only]
        done = subprocess.run(argv, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
        lines += [json.loads(line) for line in done.stdout.splitlines()]
    return lines


@pytest.fixture(scope="session")
def said(printed: list[dict[str, Any]]) -> CaseLines:
    """The printed lines, sorted by what they are."""
    return read_case_lines(printed)


@pytest.fixture(scope="session")
def values(said: CaseLines) -> Values:
    """All values that are expected of each parameter, as JSON."""
    found: Values = defaultdict(set)
    for one in said.expectations:
        for part in (one.params, one.between):
            for name, value in part.items():
                found[one.event, name].add(json.dumps(value))
    return found


@pytest.mark.parametrize("name", ["kd-cases", "kd-cases32"])
def test_programs_are_static(programs: Path, name: str) -> None:
    headers = subprocess.run(["readelf", "-lh", programs / name], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in headers
    assert ("ELF32" in headers) is (name == "kd-cases32")


def test_list_names_every_case_once(programs: Path) -> None:
    names = subprocess.run([programs / "kd-cases", "--list"], capture_output=True, text=True, check=True).stdout.split()
    assert len(names) == len(set(names)) > 60


@pytest.mark.root
def test_only_runs_the_named_cases(programs: Path) -> None:
    argv: list[str | Path] = [programs / "kd-cases", "--only", "clos*", "--only", "brk"]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    cases = {json.loads(line)["case"].removesuffix("@i386") for line in lines[1:]}
    assert cases == {"close", "close-range", "brk"}


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param(["--nonsense"], id="unknown-option"),
        pytest.param(["--only"], id="no-pattern"),
        pytest.param(["--snaplen", "0"], id="no-capture-length"),
        pytest.param(["--snaplen", "16385"], id="capture-length-too-large"),
    ],
)
def test_bad_usage_says_how_and_exits_2(programs: Path, argv: list[str]) -> None:
    done = subprocess.run([programs / "kd-cases", *argv], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: kd-cases [--list] [--only PATTERN]... [--skip PATTERN]... [--snaplen N]")


@pytest.mark.root
def test_no_case_goes_wrong(said: CaseLines) -> None:
    assert said.errors == ()


@pytest.mark.root
def test_every_skipped_case_says_why(said: CaseLines) -> None:
    assert all(reason for _, reason in said.skipped)


@pytest.mark.root
def test_every_expectation_is_as_strict_as_declared(said: CaseLines) -> None:
    assert [fault for one in said.expectations for fault in faults_of(one, CATALOGUE)] == []


@pytest.mark.root
@pytest.mark.parametrize("event", [event.name for event in CATALOGUE.events])
def test_every_event_has_a_success_and_a_failure(event: str, values: Values) -> None:
    params = CATALOGUE.event(event).params  # type: ignore[union-attr]
    if not params:
        pytest.skip("no parameter says how the call ended")
    first = params[0].name
    results = [json.loads(value) for value in values[event, first]]
    assert results, "no case expects this event"
    numbers = [value for value in results if isinstance(value, int)]
    assert event in NEVER_FAIL or any(number < 0 for number in numbers)
    assert event in NEVER_FAIL | NEVER_SUCCEED or any(number >= 0 for number in numbers)


@pytest.mark.root
@pytest.mark.parametrize(
    ("event", "param"), [(event.name, param.name) for event in CATALOGUE.events for param in event.params]
)
def test_every_parameter_takes_more_than_one_value(event: str, param: str, values: Values) -> None:
    """Else a driver that writes a constant would pass."""
    if (event, param) in ONE_VALUE:
        pytest.skip(ONE_VALUE[event, param])
    if param in ONE_VALUE_OF_TASKS or (event == "execveat" and param in ONE_EXECUTABLE):
        pytest.skip("depends on the machine, or on there being one program")
    assert len(values[event, param]) > 1


@pytest.mark.root
@pytest.mark.parametrize(
    ("event", "param"),
    [
        (event.name, param.name)
        for event in CATALOGUE.events
        for param in event.params
        if param.capture.startswith(("user_str", "user_buf", "iov_", "msg_buf", "sockaddr(", "poll_fds"))
    ],
)
def test_every_pointer_is_tried_unreadable(event: str, param: str, values: Values) -> None:
    assert "null" in values[event, param]


@pytest.mark.root
def test_order_rises_within_a_thread(printed: list[dict[str, Any]]) -> None:
    orders = [(line["case"].startswith("asked-"), line["order"]) for line in printed if "order" in line]
    assert len(orders) == len(set(orders)) > 1000


@pytest.mark.root
def test_the_capture_length_bounds_what_is_expected(programs: Path) -> None:
    def longest(snaplen: int) -> int:
        argv: list[str | Path] = [programs / "kd-cases", "--snaplen", str(snaplen), "--only", "write-success"]
        lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
        events = [json.loads(line) for line in lines]
        return max(len(line["params"]["data"] or "") for line in events if line.get("event") == "write") // 2

    assert (longest(16), longest(80), longest(2000)) == (16, 80, 2000)
