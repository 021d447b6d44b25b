"""The result channel is read strictly: what is cut, garbled or unknown is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdriver.verifier.results import ResultError, ResultReader, inflated, read_results
from tests.fakes.qemu import deflated

HELLO = b'{"hello":1,"release":"6.1.0","version":"#1"}\n'
EVENT = b'{"driver":"core","event":{"ts":5,"cpu":0,"tid":9,"type":307,"name":"openat","params":{"name":"\\udcff"}}}\n'
NO_BULK = Path("/nonexistent/bulk")
END = b'{"end":true,"rc":0,"lines":3}\n'


def test_a_whole_channel_is_read() -> None:
    result = read_results(deflated(HELLO + EVENT + END))
    assert result.ended
    assert result.release == "6.1.0"
    assert result.runs["core"].events[0]["params"] == {"name": "\udcff"}


def test_each_kind_of_line_finds_its_place() -> None:
    lines = [
        HELLO,
        b'{"driver":"kmod","stage":"load"}\n',
        b'{"driver":"kmod","step":"load","status":0,"ms":12,"detail":"x"}\n',
        b'{"driver":"kmod","ready_line":{"ready":true,"program_type":null}}\n',
        b'{"driver":"kmod","expect":{"case":"a","event":"dup","tid":7,"params":{"res":3}}}\n',
        b'{"driver":"kmod","stats_after":"cases","stats_line":{"stats":{"drops":0}}}\n',
        b'{"driver":"kmod","switch":{"made":8}}\n',
        b'{"driver":"kmod","cost":{"state":"open","spent":9}}\n',
        b'{"driver":"kmod","kmsg":{"level":4,"text":"bad"}}\n',
        b'{"driver":"kmod","kmsg_left_out":2}\n',
        b'{"driver":"kmod","reported":{"other_threads":5,"left_out":1}}\n',
        b'{"driver":"kmod","taint_before":0,"taint_after":4096,"time_before":1,"time_after":2,"pages_kept_kb":3}\n',
        b'{"driver":"kmod","done":true}\n',
        b'{"driver":"-","step":"module","status":2,"ms":0,"detail":"m"}\n',
        b'{"end":true,"rc":0,"lines":15}\n',
    ]
    result = read_results(deflated(b"".join(lines)))
    run = result.runs["kmod"]
    step = run.step("load")
    assert step is not None and (step.status, step.ms, step.detail) == (0, 12, "x")
    assert run.ready == {"ready": True, "program_type": None}
    assert run.expectations[0]["case"] == "a"
    assert run.stats == {"cases": {"drops": 0}}
    assert run.trials == {"switch": {"made": 8}}
    assert run.costs == {"open": {"state": "open", "spent": 9}}
    assert [(one.level, one.text) for one in run.messages] == [(4, "bad")]
    assert (run.messages_left_out, run.events_left_out) == (2, 1)
    assert (run.taint_before, run.taint_after, run.done) == (0, 4096, True)
    assert (run.time_before, run.time_after, run.pages_kept_kb) == (1, 2, 3)
    assert [step.name for step in result.faults] == ["module"]


def test_bytes_may_come_in_any_pieces() -> None:
    reader = ResultReader()
    for byte in deflated(HELLO + EVENT + END):
        reader.feed(bytes([byte]))
    assert reader.finish().ended


def test_the_stage_is_known_while_the_guest_runs() -> None:
    reader = ResultReader()
    assert reader.result.stage == "boot"
    reader.feed(deflated(HELLO + b'{"driver":"bpf","stage":"open"}\n{"driver":"bpf","st', ended=False))
    assert (reader.result.driver, reader.result.stage) == ("bpf", "open")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(HELLO + EVENT[:40], "line 2 is cut after 40 bytes", id="cut"),
        pytest.param(HELLO + EVENT[:40] + EVENT, "line 2 is garbled", id="overwritten"),
        pytest.param(HELLO + b"\xff\xfe{}\n", "line 2 is garbled", id="no-utf8"),
        pytest.param(HELLO + b"[1]\n", "line 2 is garbled", id="no-object"),
        pytest.param(HELLO + b"\n", "line 2 is garbled", id="empty"),
        pytest.param(HELLO + b'{"driver":"core","event":{"ts":"5"}}\n', "line 2 is garbled", id="event-of-other-shape"),
        pytest.param(HELLO + b'{"driver":"core","surprise":1}\n', "unknown kind of line", id="unknown"),
        pytest.param(HELLO + b'{"driver":3,"done":true}\n', "line 2 is garbled", id="driver-no-text"),
        pytest.param(HELLO + END, "3 lines were written, 2 came", id="line-lost"),
        pytest.param(HELLO + EVENT + END + EVENT, "a line after the end", id="after-the-end"),
        pytest.param(
            HELLO + b'{"driver":"core","step":"load","status":"x","ms":1,"detail":""}\n',
            "line 2 is garbled",
            id="status",
        ),
    ],
)
def test_what_the_guest_never_writes_is_an_error(content: bytes, said: str) -> None:
    with pytest.raises(ResultError) as caught:
        read_results(deflated(content))
    assert said in caught.value.message
    assert caught.value.message.startswith("result channel: line ")
    assert caught.value.hint == "Run the verification again with --keep and look at results.jsonl."
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("cut", range(1, 8))
def test_an_end_that_is_cut_is_an_error(cut: int) -> None:
    with pytest.raises(ResultError, match="is cut after"):
        read_results(deflated(HELLO + EVENT + END)[:-cut])


@pytest.mark.parametrize("place", [2, 10, 40])
def test_bytes_that_were_changed_on_the_way_are_an_error(place: int) -> None:
    content = bytearray(deflated(HELLO + EVENT + END))
    content[place] ^= 0x55
    with pytest.raises(ResultError, match="is garbled"):
        read_results(bytes(content))


BULK = (
    b'{"case":"a","event":"dup","tid":7,"params":{}}\n{"ts":5,"tid":7,"name":"dup","params":{}}\n'
    b'{"ts":6,"tid":7,"name":"dup","params":{}}\n'
)
FIRST = BULK.index(b"\n") + 1
POINTERS = (
    b'{"driver":"core+bpf","bulk":"expect","from":0,"bytes":%d}\n'
    b'{"driver":"bpf","bulk":"event","from":%d,"bytes":%d}\n' % (FIRST, FIRST, len(BULK) - FIRST)
)


def test_lines_in_shared_memory_are_read_from_there(tmp_path: Path) -> None:
    bulk = tmp_path / "bulk"
    bulk.write_bytes(BULK + bytes(100))
    result = read_results(deflated(HELLO + POINTERS + b'{"end":true,"rc":0,"lines":4}\n'), bulk)
    assert [len(result.runs[kind].expectations) for kind in ("core", "bpf")] == [1, 1]
    assert [len(result.runs[kind].events) for kind in ("core", "bpf")] == [0, 2]
    shown = inflated(deflated(HELLO + POINTERS, ended=False), bulk).splitlines()
    assert [line[:30] for line in shown[1:]] == [
        b'{"driver":"core+bpf","expect":', b'{"driver":"bpf","event":{"ts":', b'{"driver":"bpf","event":{"ts":',
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content", [pytest.param(BULK[:-5], id="cut"), pytest.param(BULK[:-1] + b"x", id="no end of a line")]
)
def test_lines_that_are_not_in_shared_memory_are_an_error(tmp_path: Path, content: bytes) -> None:
    bulk = tmp_path / "bulk"
    bulk.write_bytes(content)
    with pytest.raises(ResultError, match="bytes of lines were said to be shared"):
        read_results(deflated(HELLO + POINTERS), bulk)
    with pytest.raises(ResultError, match="no memory is shared with this guest"):
        read_results(deflated(HELLO + POINTERS))
    assert inflated(deflated(HELLO + POINTERS, ended=False), NO_BULK) == HELLO + POINTERS


def test_a_line_about_several_drivers_is_about_each() -> None:
    reader = ResultReader()
    reader.feed(deflated(HELLO + b'{"driver":"core+kmod","stage":"cases"}\n', ended=False))
    assert {kind: run.stage for kind, run in reader.result.runs.items()} == {"core": "cases", "kmod": "cases"}
    assert (reader.result.driver, reader.result.stage) == ("core+kmod", "cases")


def test_bytes_after_the_end_are_an_error() -> None:
    with pytest.raises(ResultError, match="bytes after the end"):
        read_results(deflated(HELLO + EVENT + END) + b"x")


def test_what_can_be_read_of_a_channel_is_kept_as_text() -> None:
    assert inflated(deflated(HELLO + EVENT, ended=False), NO_BULK) == HELLO + EVENT
    assert inflated(b"no such thing", NO_BULK) == b""


def test_a_guest_that_stopped_has_not_ended() -> None:
    reader = ResultReader()
    reader.feed(deflated(HELLO + EVENT, ended=False))
    assert not reader.result.ended
    assert reader.result.lines == 2
