"""What strace says against what a driver says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdriver.catalogue.load import load_catalogue
from kdriver.verifier.strace import LEFT_OUT, Agreement, Call, agreement, read_calls
from kdriver.verifier.strace_files import libraries_of

CATALOGUE = load_catalogue()
ROOT = Path(__file__).resolve().parents[2]


def _event(name: str, tid: int = 7, **params: Any) -> dict[str, Any]:
    return {"ts": 1, "tid": tid, "name": name, "params": params}


def _close(fd: int, res: int) -> dict[str, Any]:
    return _event("close", res=res, fd=fd)


def _chdir(path: str | None, res: int) -> dict[str, Any]:
    return _event("chdir", res=res, path=path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("7 close(3)    = 0", Call(7, "close", ("3",), 0), id="success"),
        pytest.param("7 close(-1) = -1 EBADF (Bad file descriptor)", Call(7, "close", ("-1",), -9), id="failure"),
        pytest.param("7 exit_group(0) = ?", Call(7, "exit_group", ("0",), None), id="no-return"),
        pytest.param(
            "7 nanosleep({tv_sec=20, tv_nsec=0}, NULL) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)",
            Call(7, "nanosleep", ("{tv_sec=20, tv_nsec=0}", "NULL"), -516),
            id="restart",
        ),
        pytest.param("7 brk(NULL) = 0x1afa1000", Call(7, "brk", ("NULL",), 0x1AFA1000), id="address"),
        pytest.param(
            r'7 execve("\x2f", ["\x2c\x29", "\x62"], []) = -1 ENOENT (No such file)',
            Call(7, "execve", (r'"\x2f"', r'["\x2c\x29", "\x62"]', "[]"), -2),
            id="commas-in-brackets",
        ),
        pytest.param(
            r'7 execveat(-1, "\x2f", [], 0x4007 /* 1 var, unterminated */, 0x10) = -1 EFAULT (Bad address)',
            Call(7, "execveat", ("-1", r'"\x2f"', "[]", "0x4007 /* 1 var, unterminated */", "0x10"), -14),
            id="comma-in-a-remark",
        ),
    ],
)
def test_a_line_is_a_call(line: str, expected: Call) -> None:
    assert list(read_calls([line])) == [expected]


def test_a_call_that_was_interrupted_in_print_is_put_together() -> None:
    lines = ["7 read(3,  <unfinished ...>", "8 close(4) = 0", '7 <... read resumed>"\\x61", 1) = 1']
    assert [(call.tid, call.name, call.arguments) for call in read_calls(lines)] == [
        (8, "close", ("4",)),
        (7, "read", ("3", '"\\x61"', "1")),
    ]


def test_what_is_no_call_is_left_out() -> None:
    assert (
        list(read_calls(["7 +++ exited with 0 +++", "7 --- SIGCHLD {...} ---", "strace: attached", "7 read(3, "])) == []
    )


def test_equal_calls_agree_and_are_counted() -> None:
    lines = [r'7 chdir("\x2f\x74") = 0', "7 getppid() = 1", "7 close(-1) = -1 EBADF (x)"]
    told = agreement(lines, [_chdir("/t", 0), _close(-1, -9)], CATALOGUE)
    assert told == Agreement(calls=2, arguments=4, failures=[])


@pytest.mark.parametrize(
    ("events", "words"),
    [
        pytest.param([_chdir("/t", 0)], "thread 7: strace has chdir close, the driver chdir (call 2)", id="missing"),
        pytest.param(
            [_chdir("/t", 0), _close(-1, -9), _close(-1, -9)],
            "thread 7: strace has close, the driver close close (call 3)",
            id="one-too-many",
        ),
        pytest.param(
            [_close(-1, -9), _chdir("/t", 0)], "strace has chdir close, the driver close chdir (call 1)", id="order"
        ),
        pytest.param([_chdir("/x", 0), _close(-1, -9)], "chdir.path: strace has b'/t', the driver b'/x'", id="string"),
        pytest.param([_chdir(None, 0), _close(-1, -9)], "chdir.path: strace has b'/t', the driver nothing", id="empty"),
        pytest.param([_chdir("/t", 0), _close(-1, 0)], "close.res: strace has -9, the driver 0", id="result"),
        pytest.param([_chdir("/t", 0), _close(5, -9)], "close.fd: strace has -1, the driver 5", id="number"),
        pytest.param([], "strace and the driver have no thread in common", id="nothing"),
    ],
)
def test_what_differs_is_told(events: list[dict[str, Any]], words: str) -> None:
    lines = [r'7 chdir("\x2f\x74") = 0', "7 close(-1) = -1 EBADF (x)"]
    told = agreement(lines, events, CATALOGUE)
    assert words in told.failures[0]


def test_a_string_that_strace_cut_is_compared_as_far_as_it_goes() -> None:
    lines = [r'7 chdir("\x2f\x74"...) = 0']
    assert agreement(lines, [_chdir("/tmp/longer", 0)], CATALOGUE).failures == []
    assert agreement(lines, [_chdir("/xmp", 0)], CATALOGUE).failures != []


def test_a_string_that_strace_could_not_read_must_be_empty() -> None:
    lines = ["7 chdir(0x8000) = -1 EFAULT (Bad address)"]
    assert agreement(lines, [_chdir(None, -14)], CATALOGUE).failures == []
    assert agreement(lines, [_chdir("/", -14)], CATALOGUE).failures != []


def test_wider_calls_of_i386_are_the_event_of_the_plain_one() -> None:
    told = agreement(["7 getuid32() = 0"], [_event("getuid", uid=0)], CATALOGUE)
    assert (told.calls, told.failures) == (1, [])


def test_the_return_of_a_child_is_not_strace_s() -> None:
    events = [_event("fork", tid=8, res=0), _close(-1, -9)]
    assert agreement(["7 close(-1) = -1 EBADF (x)"], events, CATALOGUE).failures == []


def test_execveat_that_succeeded_is_an_execve() -> None:
    told = agreement([r'7 execveat(3, "\x61", [], [], 0) = 0'], [_event("execve", res=0)], CATALOGUE)
    assert told.failures == []


def test_every_case_that_is_left_out_exists_and_has_its_reason_in_the_documents() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "driver_src" / "cases").glob("cases_*.c"))
    page = (ROOT / "docs" / "strace.md").read_text()
    for pattern, reason in LEFT_OUT.items():
        assert f'"{pattern}"' in source
        assert f"| `{pattern}` | {reason} |" in page


def test_the_libraries_of_a_program_are_those_that_ldd_names() -> None:
    listing = (
        "\tlinux-vdso.so.1 (0x00007f9561ac2000)\n"
        "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f956161e000)\n"
        "\t/lib64/ld-linux-x86-64.so.2 (0x00007f9561ac4000)\n"
    )
    assert libraries_of(listing) == ("/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2")
    assert libraries_of("\tnot a dynamic executable\n") == ()


def _made(args: list[int], event: str = "close", ret: int = -9) -> dict[str, Any]:
    return {"case": "c", "event": event, "tid": 7, "order": 1, "ret": ret, "args": [*args, *[0] * (6 - len(args))]}


def test_what_the_cases_passed_is_compared_as_well() -> None:
    lines, events = ["7 getppid() = 1", "7 close(-1) = -1 EBADF (x)"], [_close(-1, -9)]
    assert agreement(lines, events, CATALOGUE, [_made([0xFFFFFFFF])]).failures == []
    told = agreement(lines, events, CATALOGUE, [_made([5])])
    assert told.failures == ["thread 7: close: argument 1 is -1, was 0x5"]


def test_a_call_of_the_cases_that_strace_has_not_is_told() -> None:
    told = agreement(["7 close(-1) = -1 EBADF (x)"], [_close(-1, -9)], CATALOGUE, [_made([1], "dup")])
    assert told.failures == ["thread 7: the cases made a dup that strace has not"]


def test_modes_are_compared_as_the_16_bits_that_they_are() -> None:
    line = r'7 chmod("\x2f", 0177777) = -1 EPERM (x)'
    event = _event("chmod", res=-1, filename="/", mode=4095)
    assert agreement([line], [event], CATALOGUE, [_made([0x1000, 0xFFFF], "chmod", -1)]).failures == []
