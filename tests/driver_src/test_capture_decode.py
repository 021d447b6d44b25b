"""kd-capture's decoder: every type as JSON and as text, blocks that lie about themselves, the merge of rings."""

from __future__ import annotations

import random
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.driver_src.blocks import TS, block, decode, run_decode, s64, u32, u64
from tests.driver_src.conftest import MakeTool

CLOSE, OPENAT, READ, CONNECT, BIND, POLL, SETSOCKOPT, PTRACE = 5, 307, 7, 23, 21, 81, 45, 169
KILL, NANOSLEEP, CLONE, EXIT_GROUP = 129, 135, 223, 1025


def close_block(ts: int = TS, tid: int = 42, fd: int = 3) -> bytes:
    return block(CLOSE, [s64(0), s64(fd)], ts=ts, tid=tid)


def only_params(tool: Path, folder: Path, kind: int, params: list[bytes]) -> dict[str, Any]:
    lines, stats = decode(tool, folder, block(kind, params))
    assert (len(lines), stats["printed"], stats["malformed"]) == (1, 1, 0)
    found: dict[str, Any] = lines[0]["params"]
    return found


def test_event_has_time_cpu_thread_type_name_and_parameters(capture_tool: Path, tmp_path: Path) -> None:
    lines, _ = decode(capture_tool, tmp_path, close_block(fd=-9))
    assert lines == [
        {"ts": TS, "cpu": 0, "tid": 42, "type": 5, "name": "close", "params": {"res": 0, "fd": -9}},
    ]


def test_text_that_is_no_utf8_comes_back_byte_for_byte(capture_tool: Path, tmp_path: Path) -> None:
    name = b'\xff"\\\x01\t\xc3\xa4\xed\xa0\x80\xc0\xaf\xf0\x9f\x90\xa7\xe2\x82'
    params = [s64(-2), s64(-100), name + b"\0", u32(4097), u32(0), u32(0), u64(0)]
    found = only_params(capture_tool, tmp_path, OPENAT, params)["name"]
    assert found.encode("utf-8", "surrogateescape") == name


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(bytes([2]) + socket.inet_aton("127.0.0.1") + struct.pack("<H", 80),
                     {"family": 2, "addr": "127.0.0.1", "port": 80}, id="ipv4"),
        pytest.param(bytes([10]) + socket.inet_pton(socket.AF_INET6, "fe80::1") + struct.pack("<H", 443),
                     {"family": 10, "addr": "fe80::1", "port": 443}, id="ipv6"),
        pytest.param(bytes([1]) + b"/run/x.sock\0", {"family": 1, "path": "/run/x.sock"}, id="unix"),
        pytest.param(bytes([1]) + b"\0abstract\0", {"family": 1, "path": "\0abstract"}, id="abstract unix"),
        pytest.param(bytes([16, 1, 255]), {"family": 16, "bytes": "01ff"}, id="another family"),
        pytest.param(bytes([2, 127]), {"family": 2, "bytes": "7f"}, id="cut short"),
        pytest.param(b"", None, id="empty"),
    ],
)  # fmt: skip
def test_socket_address(capture_tool: Path, tmp_path: Path, value: bytes, expected: object) -> None:
    assert only_params(capture_tool, tmp_path, BIND, [s64(0), value, s64(3)])["addr"] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(bytes([2]) + socket.inet_aton("1.2.3.4") + struct.pack("<H", 1) + socket.inet_aton("5.6.7.8")
                     + struct.pack("<H", 2),
                     {"family": 2, "src": "1.2.3.4", "sport": 1, "dst": "5.6.7.8", "dport": 2}, id="ipv4"),
        pytest.param(bytes([10]) + bytes(16) + struct.pack("<H", 1) + bytes(15) + b"\1" + struct.pack("<H", 65535),
                     {"family": 10, "src": "::", "sport": 1, "dst": "::1", "dport": 65535}, id="ipv6"),
        pytest.param(bytes([1]) + u64(16) + u64(2**64 - 1) + b"/run/x\0",
                     {"family": 1, "src_ptr": 16, "dst_ptr": 2**64 - 1, "path": "/run/x"}, id="unix"),
    ],
)  # fmt: skip
def test_socket_tuple(capture_tool: Path, tmp_path: Path, value: bytes, expected: object) -> None:
    assert only_params(capture_tool, tmp_path, CONNECT, [s64(0), value, s64(3), b""])["tuple"] == expected


def test_bytes_are_hexadecimal_and_an_empty_parameter_is_null(capture_tool: Path, tmp_path: Path) -> None:
    assert only_params(capture_tool, tmp_path, READ, [s64(3), b"\x00\xff\x7f", b"", u32(3)]) == {
        "res": 3, "data": "00ff7f", "fd": None, "size": 3,
    }  # fmt: skip


def test_lists_of_strings_keep_empty_ones_and_a_cut_last_one(capture_tool: Path, tmp_path: Path) -> None:
    params = [s64(7), b"sh\0", b"-c\0\0tru"]
    assert only_params(capture_tool, tmp_path, CLONE, params)["args"] == ["-c", "", "tru"]


def test_list_of_descriptors(capture_tool: Path, tmp_path: Path) -> None:
    value = struct.pack("<HqHqH", 2, 3, 1, -1, 4)
    assert only_params(capture_tool, tmp_path, POLL, [s64(1), value, s64(-1)])["fds"] == [
        {"fd": 3, "events": 1},
        {"fd": -1, "events": 4},
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b"\x00" + u32(1), {"kind": 0, "value": "01000000"}, id="an option of no known type is bytes"),
        pytest.param(b"\x01" + s64(-5), {"kind": 1, "value": -5}, id="errno"),
        pytest.param(b"\x02" + u32(1), {"kind": 2, "value": 1}, id="u32"),
        pytest.param(b"\x04" + u64(10**9), {"kind": 4, "value": 10**9}, id="time"),
        pytest.param(b"\x00", {"kind": 0, "value": None}, id="nothing"),
    ],
)
def test_socket_option_by_its_kind(capture_tool: Path, tmp_path: Path, value: bytes, expected: object) -> None:
    params = [s64(0), s64(3), b"\1", b"\2", value, u32(4)]
    assert only_params(capture_tool, tmp_path, SETSOCKOPT, params)["val"] == expected


def test_ptrace_words_are_numbers(capture_tool: Path, tmp_path: Path) -> None:
    params = [s64(0), b"\x00" + u64(2**63), b"\x01\x09", struct.pack("<H", 0), s64(7)]
    found = only_params(capture_tool, tmp_path, PTRACE, params)
    assert (found["addr"], found["data"]) == ({"kind": 0, "value": 2**63}, {"kind": 1, "value": 9})


def test_trailing_parameter_is_the_time_of_entry(capture_tool: Path, tmp_path: Path) -> None:
    seen, unseen = block(CLOSE, [s64(0), s64(3), u64(TS - 5)]), block(CLOSE, [s64(0), s64(3), b""])
    lines, _ = decode(capture_tool, tmp_path, seen + unseen + close_block())
    assert [line.get("enter_ts", "absent") for line in lines] == [TS - 5, None, "absent"]


def test_parameters_that_an_older_driver_does_not_know_are_left_out(capture_tool: Path, tmp_path: Path) -> None:
    assert only_params(capture_tool, tmp_path, READ, [s64(0), b""]) == {"res": 0, "data": None}


def corrupt(at: int, value: bytes) -> bytes:
    good = close_block()
    return good[:at] + value + good[at + len(value) :]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"\1\2\3", "shorter than a header", id="a few bytes"),
        pytest.param(corrupt(16, u32(25)), "its length is not that of the block", id="shorter than its header"),
        pytest.param(corrupt(16, u32(4000)), "its length is not that of the block", id="longer than the ring"),
        pytest.param(corrupt(22, u32(2**32 - 1)), "more parameters than the block has room for", id="billions"),
        pytest.param(corrupt(22, u32(64)), "more parameters than the block has room for", id="lengths beyond the end"),
        pytest.param(corrupt(26, b"\xff\xff"), "a parameter reaches beyond the block's end", id="value beyond the end"),
        pytest.param(corrupt(26, b"\x07"), "the parameters do not fill the block", id="bytes left over"),
        pytest.param(corrupt(20, b"\x00\x00"), "an event that the catalogue does not know", id="unknown event"),
        pytest.param(block(CLOSE, [s64(0)] * 4), "more parameters than the event has", id="two too many"),
        pytest.param(block(CLOSE, [u32(0), s64(3)]), "a parameter whose size is not its type's", id="half a number"),
        pytest.param(block(CLOSE, [s64(0), s64(3), b"x"]), "an entry time of the wrong size", id="entry time"),
        pytest.param(block(POLL, [s64(0), struct.pack("<HqH", 2, 3, 1), s64(0)]),
                     "a parameter whose size is not its type's", id="list that counts too many"),
    ],
)  # fmt: skip
def test_malformed_block_is_reported_and_counted(
    capture_tool: Path, tmp_path: Path, content: bytes, reason: str
) -> None:
    lines, stats = decode(capture_tool, tmp_path, content)
    assert [line["malformed"] for line in lines] == [reason]
    assert (stats["malformed"], stats["printed"]) == (1, 0)


def test_events_after_a_malformed_block_are_still_printed(capture_tool: Path, tmp_path: Path) -> None:
    lines, stats = decode(capture_tool, tmp_path, corrupt(20, b"\x00\x00") + close_block(fd=8))
    assert "malformed" in lines[0]
    assert lines[1]["params"]["fd"] == 8
    assert stats["malformed"] == 1


def test_random_blocks_never_make_the_decoder_read_out_of_bounds(make_capture: MakeTool, tmp_path: Path) -> None:
    """The program is built with the address and undefined-behaviour sanitizers, which end it at the first slip."""
    tool = make_capture("LDFLAGS=", "CFLAGS=-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all")
    chance = random.Random(20261122)
    kinds = [CLOSE, OPENAT, READ, CONNECT, BIND, POLL, SETSOCKOPT, PTRACE, KILL, NANOSLEEP, CLONE, EXIT_GROUP]
    content = bytearray()
    for _ in range(4000):
        params = [
            chance.randbytes(chance.choice([0, 1, 2, 4, 7, 8, 13, 19, 37, 90])) for _ in range(chance.randrange(9))
        ]
        one = bytearray(block(chance.choice(kinds), params, ts=chance.getrandbits(64), tid=chance.getrandbits(64)))
        for _ in range(chance.randrange(3)):
            one[chance.choice([*range(16), *range(20, len(one))])] = chance.getrandbits(8)
        content += one
    for options in (["--json"], []):
        done = run_decode(tool, tmp_path, [bytes(content), chance.randbytes(5000)], *options)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "malformed" in done.stdout + done.stderr


def test_rings_are_merged_by_time_and_each_keeps_its_order(capture_tool: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    rings: list[list[int]] = [[], [], []]
    for moment in range(1, 3001):
        rings[chance.randrange(3)].append(moment)
    lines, _ = decode(
        capture_tool,
        tmp_path,
        *[b"".join(close_block(ts=ts, tid=cpu) for ts in ring) for cpu, ring in enumerate(rings)],
    )
    assert [line["ts"] for line in lines] == list(range(1, 3001))
    assert all(line["cpu"] == line["tid"] for line in lines)


def human(tool: Path, folder: Path, content: bytes) -> str:
    done = run_decode(tool, folder, [content])
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(block(CLOSE, [s64(-9), s64(77)]),
                     "22:13:20.123456789 0 42 close() res=-9(EBADF) fd=77\n", id="error number"),
        pytest.param(block(OPENAT, [s64(3), s64(-100), b"/etc/\xffx\n\0", u32(4097), u32(0o644), u32(0xFE00), u64(5)]),
                     'fd=3 dirfd=AT_FDCWD name="/etc/\\xffx\\n" flags=O_RDONLY|O_CLOEXEC mode=0644 dev=0xfe00 ino=5\n',
                     id="names, flags, octal and hexadecimal"),
        pytest.param(block(KILL, [s64(0), s64(-1), b"\x09"]), "res=0 pid=-1 sig=SIGKILL\n", id="signal"),
        pytest.param(block(NANOSLEEP, [s64(-516), u64(1_500_000_000)]),
                     "res=-516(ERESTART_RESTARTBLOCK) interval=1.500000000s\n", id="duration"),
        pytest.param(block(CLOSE, [s64(0), s64(3), u64(TS - 2500)]), "took=2.500us\n", id="time of the call"),
        pytest.param(block(READ, [s64(0), b"", s64(3), u32(9)]), "data=? fd=3 size=9\n", id="empty"),
    ],
)  # fmt: skip
def test_line_for_a_person(capture_tool: Path, tmp_path: Path, content: bytes, expected: str) -> None:
    printed = human(capture_tool, tmp_path, content)
    assert printed.endswith(expected)
    assert "\033" not in printed


def test_counts_for_a_person_go_to_standard_error(capture_tool: Path, tmp_path: Path) -> None:
    done = run_decode(capture_tool, tmp_path, [close_block() + b"junk"])
    assert done.stderr == "0 events, 1 printed, 0 dropped, 0 missed runs, 1 malformed\n"
