"""What a guest said: JSON lines of its result channel, read strictly. A line that is cut, garbled or unknown is an
error, never left out; so is a last line that counts other than what came. The guest deflates what it says (RFC 1950).

The lines are written by driver_src/guest; each of a driver carries its kind under `driver`, one that is about several
of them their kinds, joined by a plus sign.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdriver.core.errors import VerifyError

Record = dict[str, Any]
"""One JSON object as it came; its keys are those of driver_src's programs."""


TOGETHER = "+"
"""Between the kinds that one line is about."""


class ResultError(VerifyError):
    """The result channel holds something that the guest's program never writes."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step in a driver's life. status: 0, an errno, an exit status, or 124 where time ran out."""

    name: str
    status: int
    ms: int
    detail: str


@dataclass(frozen=True, slots=True)
class KernelMessage:
    """A record of the kernel log. level: 0 (emergency) to 7 (debug)."""

    level: int
    text: str


@dataclass(slots=True)
class TracedRun:
    """The cases run once more, under strace. calls: strace's lines. events: of the threads of the cases.
    expectations: what the cases said. notes: of cases that went wrong. left_out: events that could not be reported."""

    calls: list[str] = field(default_factory=list)
    events: list[Record] = field(default_factory=list)
    expectations: list[Record] = field(default_factory=list)
    notes: list[Record] = field(default_factory=list)
    left_out: int = 0


@dataclass(slots=True)
class DriverRun:
    """One driver's life in the guest, as far as it came. done: the guest went on to what follows it.

    expectations: lines of kd-cases; case_notes: those of them that name no event (a case that was skipped or went
    wrong). events: lines of kd-capture, of the threads that the expectations name, in
    the order that they came out. stats: by the stage before (`cases`, `trials`). trials: by name, the numbers.
    costs: by state of the driver, what the loops of driver_src/guest/cost.c counted.
    """

    kind: str
    stage: str = ""
    steps: list[Step] = field(default_factory=list)
    ready: Record = field(default_factory=dict)
    expectations: list[Record] = field(default_factory=list)
    case_notes: list[Record] = field(default_factory=list)
    events: list[Record] = field(default_factory=list)
    stats: dict[str, Record] = field(default_factory=dict)
    trials: dict[str, Record] = field(default_factory=dict)
    costs: dict[str, Record] = field(default_factory=dict)
    messages: list[KernelMessage] = field(default_factory=list)
    messages_left_out: int = 0
    events_left_out: int = 0
    taint_before: int = 0
    taint_after: int = 0
    time_before: int = 0
    time_after: int = 0
    pages_kept_kb: int = 0
    done: bool = False
    traced: TracedRun = field(default_factory=TracedRun)

    def step(self, name: str) -> Step | None:
        """The step of that name, if it was taken."""
        return next((step for step in self.steps if step.name == name), None)


@dataclass(slots=True)
class GuestResult:
    """All that a guest said. release and version: of its `uname`, empty before /init spoke. ended: it came to
    its end, and every line arrived. faults: steps that belong to no driver."""

    release: str = ""
    version: str = ""
    runs: dict[str, DriverRun] = field(default_factory=dict)
    faults: list[Step] = field(default_factory=list)
    stage: str = "boot"
    driver: str = ""
    ended: bool = False
    lines: int = 0


class ResultReader:
    """Takes the channel's bytes as they come. Raises ResultError at the first line that it cannot read. bulk: memory
    that the guest shares with us, in which lines say that others are. bulk_sha256: of all that was read from there."""

    def __init__(self, bulk: Path | None = None) -> None:
        self.result = GuestResult()
        self._bulk = bulk
        self.bulk_sha256 = hashlib.sha256()
        self._rest = b""
        self._inflate = zlib.decompressobj()

    def feed(self, chunk: bytes) -> None:
        """Read the whole lines of what came so far."""
        try:
            text = self._inflate.decompress(chunk)
        except zlib.error as error:
            raise self._error(f"what follows line {self.result.lines} is garbled ({error})") from error
        *lines, self._rest = (self._rest + text).split(b"\n")
        for line in lines:
            self.result.lines += 1
            self._line(line)
        if self._inflate.unused_data:
            raise self._error(f"line {self.result.lines} is followed by bytes after the end")

    def finish(self) -> GuestResult:
        """No more will come. Raises ResultError when the end was cut, in a line or in what proves the lines right."""
        if self._rest or not self._inflate.eof:
            raise self._error(f"line {self.result.lines + 1} is cut after {len(self._rest)} bytes")
        return self.result

    def _error(self, what: str) -> ResultError:
        return ResultError(
            f"result channel: {what}", hint="Run the verification again with --keep and look at results.jsonl."
        )

    def _line(self, line: bytes) -> None:
        try:
            record = json.loads(line.decode("utf-8"))
            if not isinstance(record, dict):
                raise TypeError("no object")
            if self.result.ended:
                raise ValueError("a line after the end")
            self._record(record)
        except (OSError, ValueError, TypeError, KeyError) as error:
            shown = line[:120].decode("ascii", "backslashreplace")
            raise self._error(f"line {self.result.lines} is garbled ({error!r}): {shown}") from error

    def _record(self, record: Record) -> None:
        if "hello" in record:
            self.result.release = _text(record["release"])
            self.result.version = _text(record["version"])
            self.result.stage = "start"
        elif "end" in record:
            if record["lines"] != self.result.lines:
                raise ValueError(f"{record['lines']} lines were written, {self.result.lines} came")
            self.result.ended = True
        elif record["driver"] == "-":
            self.result.faults.append(_step(record))
        else:
            kinds = _text(record["driver"])
            if "stage" in record:
                self.result.stage, self.result.driver = _text(record["stage"]), kinds
            runs = [self.result.runs.setdefault(kind, DriverRun(kind)) for kind in kinds.split(TOGETHER)]
            for one in self._expanded(record):
                for run in runs:
                    self._of_driver(run, one)

    def _expanded(self, record: Record) -> Iterator[Record]:
        """The lines that one stands for which only says where they are."""
        if "bulk" not in record:
            yield record
            return
        if self._bulk is None:
            raise ValueError("no memory is shared with this guest")
        content = bulk_part(self._bulk, record)
        self.bulk_sha256.update(content)
        for line in content.splitlines():
            yield {record["bulk"]: json.loads(line)}

    def _of_driver(self, run: DriverRun, record: Record) -> None:
        match record:
            case {"event": {"ts": int(), "tid": int(), "name": str(), "params": dict()} as event}:
                run.events.append(event)
            case {"expect": {"event": str(), "tid": int()} as expectation}:
                run.expectations.append(expectation)
            case {"expect": {"skipped": str()} | {"error": str()} | {"helpers": list()} as note}:
                run.case_notes.append(note)
            case {"traced_event": {"tid": int(), "name": str(), "params": dict()} as event}:
                run.traced.events.append(event)
            case {"traced_expect": dict() as expectation}:
                (run.traced.notes if "error" in expectation else run.traced.expectations).append(expectation)
            case {"traced_call": str(line)}:
                run.traced.calls.append(line)
            case {"traced_reported": {"left_out": int(count)}}:
                run.traced.left_out = count
            case {"stage": str(stage)}:
                run.stage = stage
            case {"step": str()}:
                run.steps.append(_step(record))
            case {"kmsg": {"level": int(level), "text": str(text)}}:
                run.messages.append(KernelMessage(level, text))
            case {"kmsg_left_out": int(count)}:
                run.messages_left_out = count
            case {"ready_line": {"ready": _} as ready}:
                run.ready = ready
            case {"stats_after": str(after), "stats_line": {"stats": dict() as stats}}:
                run.stats[after] = stats
            case {"reported": {"left_out": int(count)}}:
                run.events_left_out = count
            case {"taint_before": int(before), "taint_after": int(after)}:
                run.taint_before, run.taint_after = before, after
                run.time_before, run.time_after = int(record["time_before"]), int(record["time_after"])
                run.pages_kept_kb = int(record["pages_kept_kb"])
            case {"cost": {"state": str(state)} as cost}:
                run.costs[state] = cost
            case {"done": True}:
                run.done = True
            case _:
                self._trial(run, record)

    def _trial(self, run: DriverRun, record: Record) -> None:
        for name in ("switch", "snaplen", "pressure", "ports", "call", "overrun"):
            if isinstance(record.get(name), dict):
                run.trials[name] = record[name]
                return
        raise KeyError("unknown kind of line")


def read_results(content: bytes, bulk: Path | None = None) -> GuestResult:
    """All lines of a finished channel. Raises ResultError."""
    reader = ResultReader(bulk)
    reader.feed(content)
    return reader.finish()


def bulk_part(bulk: Path, record: Record) -> bytes:
    """The lines that a line of the channel names. Raises ValueError when they are not there."""
    start, size_bytes = int(record["from"]), int(record["bytes"])
    with bulk.open("rb") as stream:
        stream.seek(start)
        content = stream.read(size_bytes)
    if len(content) != size_bytes or not content.endswith(b"\n"):
        raise ValueError(f"{size_bytes} bytes of lines were said to be shared, {len(content)} are there")
    return content


def inflated(content: bytes, bulk: Path) -> bytes:
    """The lines of a channel as text, as far as they can be read, those that are in shared memory in their places."""
    inflate = zlib.decompressobj()
    try:
        lines = inflate.decompress(content).splitlines(keepends=True)
    except zlib.error:
        return b""
    return b"".join(_with_bulk(line, bulk) for line in lines)


def _with_bulk(line: bytes, bulk: Path) -> bytes:
    if b'"bulk":' not in line:
        return line
    try:
        record = json.loads(line)
        found = bulk_part(bulk, record).splitlines()
    except (OSError, ValueError, KeyError):
        return line
    name = f'{{"driver":"{record["driver"]}","{record["bulk"]}":'.encode()
    return b"".join(name + one + b"}\n" for one in found)


def _step(record: Record) -> Step:
    return Step(_text(record["step"]), int(record["status"]), int(record["ms"]), _text(record["detail"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
