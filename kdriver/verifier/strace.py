"""Whether strace, beside a driver in the guest, saw the same calls, arguments and results as the driver. Pure.

A thread's calls, of those that the catalogue serves, must be its events, in that order. Of each pair the result is
compared, and every argument that the event shows as it is (a number, a descriptor, a string); what an event shows of
structures, and translated flags, is held against the cases' own arguments, which are compared with strace's as well.
"""

from __future__ import annotations

import errno
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdriver.catalogue.expression import Expression, parse_expression
from kdriver.catalogue.model import Catalogue, Event, Param

LEFT_OUT: dict[str, str] = {
    "ptrace-success": "a process that strace traces cannot be traced by another one",
    "ends-peeked": "a process that strace traces cannot be traced by another one",
    "clone-success": "its child asks not to be traced",
    "switch": "with a tracer between two real-time tasks other switches happen",
    "i386-socketcall": "where the arguments of socketcall cannot be read, strace shows the outer call",
    "i386-names": "where the arguments of socketcall cannot be read, strace shows the outer call",
    "i386-ipc": "where the arguments of ipc cannot be read, strace shows the outer call",
}
"""Cases that are not run under strace, by the pattern that names them, and why."""

NOT_TRACED = ("preadv2", "statx", "getpid", "gettid", "capget", "sched_yield", "wait4")
"""Calls that strace is told to leave out: no event is one of them, and the cases make them all the time."""

STRING_BYTES = 64
"""Of a string that strace prints at most."""

_LINE = re.compile(r"(?P<tid>\d+) +(?P<rest>.*)", re.DOTALL)
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>.+)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)", re.DOTALL)
_NUMBER = re.compile(r"-?(0x[0-9a-f]+|\d+)")
_NAMED = re.compile(r"\w+=")
_BYTE = re.compile(r"\\x([0-9a-f]{2})")
_UNFINISHED = " <unfinished ...>"
_RESTARTS = {"ERESTARTSYS": 512, "ERESTARTNOINTR": 513, "ERESTARTNOHAND": 514, "ERESTART_RESTARTBLOCK": 516}
_OTHER_NAMES = {"ugetrlimit": "getrlimit", "oldselect": "select"}
_MAKERS = ("fork", "vfork", "clone", "clone3")
_OPENERS, _CLOSERS = "([{", ")]}"
_ALL, _LOW = (1 << 64) - 1, (1 << 32) - 1
_SHORT = 0xFFFF
_MASKS = {"fd": _LOW, "s32": _LOW, "u32": _LOW, "u16": _SHORT, "u8": 0xFF}
_ONLY_FIRST = {"pread": 3, "pwrite": 3, "preadv": 3, "pwritev": 3, "futex": 3, "quotactl": 2}
"""Arguments that strace prints at their places: i386 passes a position in two halves, which strace puts together, and
the later ones of futex and quotactl are printed by the operation."""

# Arguments that strace prints at another place than the kernel takes them, or put together.
_UNLIKE: dict[str, str] = {
    "keyctl": "strace prints as many arguments as the operation has",
    "semctl": "strace puts the flag of the newer layout apart",
    "clone": "strace prints the arguments by name",
    "prctl": "strace prints as many arguments as the option has",
    "mmap2": "strace prints the offset in bytes",
    "select": "i386 passes its arguments in a structure",
    "llseek": "strace puts the halves of the offset together",
    "io_uring_register": "strace prints an argument that is no pointer for some operations as a structure",
    "fcntl": "strace prints no third argument where the command has none",
    "ptrace": "strace prints the arguments by the request",
    "bpf": "strace decodes them",
    "mount.type": "strace shows no string where the flags make it meaningless",
    "fsconfig.key": "strace shows no string where the command has none",
    "brk": "strace prints NULL for 0",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call as strace printed it. result: as the kernel has it; None for a call that did not return."""

    tid: int
    name: str
    arguments: tuple[str, ...]
    result: int | None


@dataclass(slots=True)
class Agreement:
    """What came of it. calls, arguments: how many agreed. failures: one line each."""

    calls: int = 0
    arguments: int = 0
    failures: list[str] = field(default_factory=list)


def read_calls(lines: Iterable[str]) -> Iterator[Call]:
    """The calls of `strace -f -q -X raw -xx`, in the order of their ends. Calls without an end, signals, and what
    strace says of itself are left out."""
    begun: dict[int, str] = {}
    for line in lines:
        found = _LINE.fullmatch(line.rstrip("\n"))
        if found is None:
            continue
        tid, text = int(found["tid"]), found["rest"]
        if text.endswith(_UNFINISHED):
            begun[tid] = text.removesuffix(_UNFINISHED)
            continue
        resumed = _RESUMED.fullmatch(text)
        if resumed:
            text = begun.pop(tid, f"{resumed['name']}(") + resumed["rest"]
        call = _CALL.fullmatch(text)
        if call:
            yield Call(tid, call["name"], tuple(_split(call["arguments"])), _result(call["result"]))


def _split(text: str) -> Iterator[str]:
    """The arguments: at the commas that are in no bracket, no string and no remark of strace's (`/* 1 var, ... */`)."""
    depth, start, quoted, remark = 0, 0, False, False
    for place, sign in enumerate(text):
        if remark:
            remark = not text.endswith("*/", 0, place + 1)
        elif sign == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif text.startswith("/*", place):
            remark = True
        elif sign in _OPENERS:
            depth += 1
        elif sign in _CLOSERS:
            depth -= 1
        elif sign == "," and depth == 0:
            yield text[start:place].strip()
            start = place + 1
    if text[start:].strip():
        yield text[start:].strip()


def _result(text: str) -> int | None:
    words = text.split()
    if words[0] == "?" and len(words) > 1:
        return -_RESTARTS[words[1]] if words[1] in _RESTARTS else None
    if words[0] == "?":
        return None
    if words[0] == "-1" and len(words) > 1 and words[1].startswith("E"):
        return -int(getattr(errno, words[1]))
    return _number(words[0])


def _number(text: str) -> int | None:
    text = "0" if text == "NULL" else _NAMED.sub("", text, count=1)
    if not _NUMBER.fullmatch(text):
        return None
    if text.lstrip("-").startswith("0x"):
        return int(text, 16)
    octal = text.lstrip("-").startswith("0") and len(text.lstrip("-")) > 1
    return int(text, 8) if octal else int(text)


def agreement(
    lines: Iterable[str],
    events: Sequence[Mapping[str, Any]],
    catalogue: Catalogue,
    expectations: Sequence[Mapping[str, Any]] = (),
) -> Agreement:
    """Compare, thread by thread, for the threads that have events. expectations: lines of kd-cases, whose arguments
    are compared where they name them."""
    served = {call: event for event in catalogue.events if not event.doubled for call in event.calls}
    doubled = {event.name for event in catalogue.events if event.doubled}
    told = Agreement()
    calls: dict[int, list[tuple[Call, Event]]] = defaultdict(list)
    for call in read_calls(lines):
        event = served.get(_plain_name(call.name, served))
        if event is not None:
            calls[call.tid].append((call, event))
    seen: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for one in events:
        event = catalogue.event(one["name"])
        if event is not None and event.calls and not event.doubled and not _of_a_child(one, event):
            seen[one["tid"]].append(one)
    for tid in seen:
        _compare_thread(tid, calls[tid], seen[tid], told)
    made: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for one in sorted(expectations, key=lambda one: int(one.get("order", 0))):
        if "args" in one and one["event"] not in doubled and not (one["event"] in _MAKERS and one["ret"] == 0):
            made[one["tid"]].append(one)
    for tid, ones in made.items():
        _compare_made(tid, calls[tid], ones, told)
    if not told.failures and not told.calls:
        told.failures.append("strace and the driver have no thread in common")
    return told


def _plain_name(name: str, served: Mapping[str, Event]) -> str:
    """i386 has some calls a second time, with wider numbers: strace tells them by a suffix."""
    name = _OTHER_NAMES.get(name, name)
    return name if name in served else name.removesuffix("32")


def _of_a_child(one: Mapping[str, Any], event: Event) -> bool:
    """The return of a new process from the call that made it, which strace does not show."""
    return event.name in _MAKERS and one["params"].get("res") == 0


def _compare_thread(
    tid: int, calls: Sequence[tuple[Call, Event]], events: Sequence[Mapping[str, Any]], told: Agreement
) -> None:
    names, seen = [_name_seen(call, event) for call, event in calls], [one["name"] for one in events]
    if names != seen:
        place = next((i for i, pair in enumerate(zip(names, seen, strict=False)) if pair[0] != pair[1]), -1)
        place = min(len(names), len(seen)) if place < 0 else place
        told.failures.append(
            f"thread {tid}: strace has {_around(names, place)}, the driver {_around(seen, place)} (call {place + 1})"
        )
        return
    for (call, event), one in zip(calls, events, strict=True):
        told.calls += 1
        for param in event.params:
            difference = _difference(call, event, param, one["params"].get(param.name), told)
            if difference:
                told.failures.append(f"thread {tid}: {event.name}.{param.name}: {difference}")


def _compare_made(
    tid: int, calls: Sequence[tuple[Call, Event]], made: Sequence[Mapping[str, Any]], told: Agreement
) -> None:
    """What the cases say that they passed. They make further calls for themselves, in between."""
    following = iter(calls)
    for one in made:
        call = next((call for call, event in following if _name_seen(call, event) == one["event"]), None)
        if call is None:
            told.failures.append(f"thread {tid}: the cases made a {one['event']} that strace has not")
            return
        if one["event"] in _UNLIKE:
            continue
        passed_first = one["args"][: _ONLY_FIRST.get(one["event"])]
        for place, (text, passed) in enumerate(zip(call.arguments, passed_first, strict=False)):
            number = _number(text)
            if number is None:
                continue
            told.arguments += 1
            if not _same_number(text, number, passed):
                told.failures.append(f"thread {tid}: {one['event']}: argument {place + 1} is {text}, was {passed:#x}")


def _same_number(text: str, number: int, passed: int) -> bool:
    """As strace prints it: an octal number is a mode, 16 bits wide; an int has 32."""
    if len(text) > 1 and text.startswith("0") and not text.startswith("0x"):
        return number & _SHORT == passed & _SHORT
    return number & _ALL == passed or number & _LOW == passed & _LOW


def _name_seen(call: Call, event: Event) -> str:
    """execveat that succeeded comes as execve."""
    return "execve" if event.name == "execveat" and call.result == 0 else event.name


def _around(names: Sequence[str], place: int) -> str:
    return " ".join(names[max(0, place - 1) : place + 2]) or "nothing"


def _difference(call: Call, event: Event, param: Param, value: Any, told: Agreement) -> str | None:
    """What differs; None where it agrees or cannot be compared."""
    expression = parse_expression(param.capture)
    if expression.name == "ret" or (expression.name == "fd" and expression.arguments[0].name == "ret"):
        if call.result is None:
            return None
        told.arguments += 1
        return None if value == _signed(call.result, 64) else f"strace has {call.result}, the driver {value}"
    index = _argument_of(expression)
    if index is None or _UNLIKE.keys() & {event.name, f"{event.name}.{param.name}"} or index >= len(call.arguments):
        return None
    text = call.arguments[index]
    if expression.name == "user_str":
        return _string_difference(text, value, told)
    number = _number(text)
    if number is None or not isinstance(value, int):
        return None
    told.arguments += 1
    # A mode is 16 bits wide for the kernel and for strace, and what the register holds for the schema.
    mask = _SHORT if param.name == "mode" else _MASKS.get(expression.name, _ALL)
    same = value & mask == number & mask or value & _LOW == number & _LOW
    return None if same else f"strace has {text}, the driver {value}"


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _argument_of(expression: Expression) -> int | None:
    """Which argument a capture shows as it is; None for others."""
    one = expression
    if expression.is_call:
        if expression.name not in ("fd", "s32", "u32", "u16", "u8", "user_str"):
            return None
        one = expression.arguments[0]
    return int(one.name[3]) if one.name.startswith("arg") else None


def _string_difference(text: str, value: Any, told: Agreement) -> str | None:
    if not text.startswith('"'):
        # An address: strace could not read the string either.
        told.arguments += 1
        return None if value is None else f"strace could not read it ({text}), the driver has {value!r:.80}"
    quoted, _, rest = text[1:].partition('"')
    printed = bytes(int(byte, 16) for byte in _BYTE.findall(quoted))
    told.arguments += 1
    if value is None:
        return f"strace has {printed!r:.80}, the driver nothing"
    shown = str(value).encode(errors="surrogateescape")
    same = shown.startswith(printed) if rest.startswith("...") else shown == printed
    return None if same else f"strace has {printed!r:.80}, the driver {shown!r:.80}"
