"""Renders the catalogue to C headers, for the drivers and for the programs that decode their events."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from kdriver.catalogue.expression import cost, parse_expression, to_c, writes
from kdriver.catalogue.model import TYPE_SIZES, Catalogue, Event, Param
from kdriver.core.paths import source_dir

PART_BUDGET = 3000
"""eBPF instructions (by the primitives' rough costs) that one program may take: kernels before 5.1 refuse more
than 4096 in a program."""

MAPS_LAYOUT = 4
"""To be raised when the maps of driver_src/common/kd_shared.h change their layout."""

HEADERS = ("kd_catalogue.h", "kd_fill.h", "kd_programs.h", "kd_decode.h")
ARCHITECTURES = ("x86_64", "i386")
# In the order of enum kd_hook (driver_src/common/kd_shared.h).
_HOOKS = {
    "sched_switch": ("SWITCH",),
    "sched_process_exit": ("PROCEXIT",),
    "tcp_connect": ("TCP_CONNECT",),
    "signal_deliver": ("SIGNAL",),
    "page_fault": ("FAULT_USER", "FAULT_KERNEL"),
}
_HOOK_NUMBERS = {name: number for number, name in enumerate(name for names in _HOOKS.values() for name in names)}
_ARRAYS = {"exit": "kd_tail", "entry": "kd_tail_entry", "kprobe": "kd_tail_kprobe", "tracepoint": "kd_tail_hook"}
_TASK_ARRAY = "kd_tail_task"
"""Programs of process exit, which may be of another type than those of the other tracepoints."""
_CONTEXTS = {
    "exit": "CALL",
    "entry": "ENTRY",
    "sched_switch": "SCHED",
    "sched_process_exit": "TASK",
    "tcp_connect": "NET",
    "signal_deliver": "SIGNAL",
    "page_fault": "FAULT",
}


# Calls that i386 programs also make as sub-calls of socketcall and ipc, whose arguments lie in memory.
_SUBCALLS = frozenset(
    {
        *("socket", "bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername", "socketpair"),
        *("send", "recv", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg"),
        *("shutdown", "setsockopt", "getsockopt", "semop", "semget", "semctl"),
    }
)


@dataclass(frozen=True, slots=True)
class Part:
    """One eBPF program of an event: the parameters from index `first` on."""

    index: int
    first: int
    params: tuple[Param, ...]
    last: bool


def plan_parts(event: Event, budget: int = PART_BUDGET, cuts: frozenset[int] = frozenset()) -> tuple[Part, ...]:
    """Cut an event's parameters into programs that each stay within the budget, and before the parameters `cuts`."""
    groups: list[list[Param]] = [[]]
    spent = 0
    for index, param in enumerate(event.params):
        price = cost(parse_expression(param.capture)) + 15
        if groups[-1] and (spent + price > budget or index in cuts):
            groups.append([])
            spent = 0
        groups[-1].append(param)
        spent += price
    if len(event.params) in cuts:
        groups.append([])
    parts = []
    first = 0
    for index, group in enumerate(groups):
        parts.append(Part(index, first, tuple(group), index == len(groups) - 1))
        first += len(group)
    return tuple(parts)


def plan_cuts(catalogue: Catalogue) -> dict[str, frozenset[int]]:
    """Where the long events must be cut so that what two of them capture alike can be one program, by their names: an
    event that is one program alone, or like no other, has no cut."""
    long = [event for event in catalogue.events if len(plan_parts(event)) > 1]
    return {
        event.name: frozenset(
            cut
            for other in long
            if other is not event and other.captured_at == event.captured_at
            for cut in _cuts_between(event, other)
        )
        for event in long
    }


def _cuts_between(event: Event, other: Event) -> set[int]:
    """Indexes of `event` at which what is alike in both begins or ends. The first part is never shared: it says which
    event it is."""
    count = max(len(event.params), len(other.params))
    alike = [
        index < min(len(event.params), len(other.params)) and _same(event.params[index], other.params[index])
        for index in range(count)
    ]
    if 2 * sum(alike) < count:
        return set()
    first = next(index for index in range(1, count) if alike[index])
    return {first} | {index for index in range(first + 1, count) if alike[index] != alike[index - 1]}


def _same(one: Param, other: Param) -> bool:
    return (one.type, one.capture) == (other.type, other.capture)


def fixed_bytes(event: Event) -> int:
    """How many bytes all values of an event take together; 0 where that depends on what is captured."""
    if any(writes(parse_expression(param.capture)) for param in event.params):
        return 0
    return sum(TYPE_SIZES[param.type] for param in event.params)


def push_c(param: Param) -> str:
    """The C expression that captures one parameter: 0, or negative when the block is full."""
    expression = parse_expression(param.capture)
    if writes(expression):
        return to_c(expression)
    return f"kd_push_u{TYPE_SIZES[param.type] * 8}(c, {to_c(expression)})"


def schema_digest(catalogue: Catalogue) -> str:
    """SHA-256 of what consumers see (ids, names, parameters, types): a change needs a new schema version."""
    seen = [
        [event.id, event.name, event.captured_at, [[param.name, param.type] for param in event.params]]
        for event in catalogue.events
    ]
    return hashlib.sha256(json.dumps(sorted(seen), separators=(",", ":")).encode()).hexdigest()


def render(catalogue: Catalogue, out: Path) -> None:
    """Write the generated headers to a folder, made when it is missing. The same catalogue gives the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(source_dir("templates") / "driver"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    values = _values(catalogue)
    out.mkdir(parents=True, exist_ok=True)
    for name in HEADERS:
        (out / name).write_text(environment.get_template(name + ".j2").render(values))


def _values(catalogue: Catalogue) -> dict[str, Any]:
    tails: dict[str, int] = {}
    counts = dict.fromkeys((*_ARRAYS.values(), _TASK_ARRAY), 0)
    rows = []
    cuts = plan_cuts(catalogue)
    owners: dict[object, int] = {}
    parts_max = 0
    for slot, event in enumerate(catalogue.events):
        where, _, what = event.captured_at.partition(":")
        array = _TASK_ARRAY if what == "sched_process_exit" else _ARRAYS[where]
        parts = plan_parts(event, cuts=cuts.get(event.name, frozenset()))
        parts_max = max(parts_max, len(parts))
        tails[event.name] = counts[array]
        counts[array] += len(parts)
        rows.append(
            {
                "event": event,
                "slot": slot,
                "where": where,
                "array": array,
                "section": "kprobe/kd_fill" if where == "kprobe" else "raw_tp/kd_fill",
                "tail": tails[event.name],
                "parts": parts,
                "owners": [owners.setdefault(_program_key(event, array, part), slot) for part in parts],
                "fixed": fixed_bytes(event) if len(parts) == 1 else 0,
                "subcall": not _SUBCALLS.isdisjoint(event.calls),
                "hooks": _HOOKS.get(what, ()),
                "context": _context(event),
            }
        )
    used = {param.values for event in catalogue.events for param in event.params if param.values}
    return {
        "rows": rows,
        "calls": {arch: _calls(catalogue, arch, "exit") for arch in ARCHITECTURES},
        "entry_calls": {arch: _calls(catalogue, arch, "entry") for arch in ARCHITECTURES},
        "parts_max": parts_max,
        "tail_counts": {array.upper(): count for array, count in counts.items()},
        "versions": catalogue.versions,
        "packed": {
            name: pack_version(getattr(catalogue.versions, name))
            for name in ("api", "schema", "compat_api", "compat_schema")
        },
        "value_sets": [value_set for name, value_set in sorted(catalogue.value_sets.items()) if name in used],
        "value_flags": {name: int(value_set.flags) for name, value_set in catalogue.value_sets.items()},
        "hook_numbers": _HOOK_NUMBERS,
        "type_sizes": TYPE_SIZES,
        "push_c": push_c,
        "schema_digest": schema_digest(catalogue),
        "table_digest": _table_digest(catalogue, rows),
        "c_string": json.dumps,
    }


def _context(event: Event) -> str:
    where, _, what = event.captured_at.partition(":")
    return _CONTEXTS[what or where]


def _program_key(event: Event, array: str, part: Part) -> object:
    """Equal for parts of events that are one program: the first says which event, the last how many parameters, and all
    which state and scratch area they work in."""
    own: str | int = len(event.params) if part.last else ""
    if part.index == 0:
        own = event.name
    return (array, _context(event), part.index, part.first, own, tuple(push_c(param) for param in part.params))


def _table_digest(catalogue: Catalogue, rows: list[dict[str, Any]]) -> str:
    """SHA-256 of what an eBPF object and the program that opens it must number alike: the table, its cut into
    programs, and the layout of the maps."""
    cut = [[row["event"].name, row["array"], row["tail"], row["owners"]] for row in rows]
    return hashlib.sha256(json.dumps([schema_digest(catalogue), cut, MAPS_LAYOUT]).encode()).hexdigest()


def _calls(catalogue: Catalogue, arch: str, where: str) -> list[tuple[int, str, str]]:
    """(number, event symbol, call) of the calls that are captured at `where`, by number."""
    return sorted(
        (catalogue.calls[call][arch], event.symbol, call)
        for event in catalogue.events
        if event.captured_at == where
        for call in event.calls
        if arch in catalogue.calls.get(call, {})
    )


def pack_version(text: str) -> int:
    """`major.minor.patch` as the 64-bit number that drivers answer with: major << 44 | minor << 24 | patch."""
    major, minor, patch = (int(part) for part in text.split("."))
    return major << 44 | minor << 24 | patch
