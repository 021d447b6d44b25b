"""The catalogue's types: events, their parameters, and the calls that they serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OTHER_CALLS = "*"
"""In an event's calls: all calls that no other event serves."""

OWN_IDS_FROM = 1024
"""Events of ours have ids from here; below are those of the published schema."""

TYPE_SIZES: dict[str, int] = {
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "fd": 8,
    "fd32": 4,
    "errno": 8,
    "pid": 8,
    "uid": 4,
    "gid": 4,
    "flags8": 1,
    "flags16": 2,
    "flags32": 4,
    "enumflags8": 1,
    "enumflags16": 2,
    "enumflags32": 4,
    "sigtype": 1,
    "mode": 4,
    "reltime": 8,
    "abstime": 8,
    "bool": 4,
    "syscallid": 2,
    "sigset": 4,
}
"""Bytes of each fixed-size type on the wire."""

VARIABLE_TYPES = ("charbuf", "fspath", "fsrelpath", "bytebuf", "sockaddr", "socktuple", "fdlist", "dyn")
"""Types whose length stands in the block's table of lengths."""

FORMATS = ("dec", "hex", "oct", "strings", "none")
CHECKS = ("exact", "between", "unchecked")


@dataclass(frozen=True, slots=True)
class ValueSet:
    """Portable values. flags: bits to be or-ed, else one of the values. values: (name, value) in order."""

    name: str
    flags: bool
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter. capture: an expression of the capture language. check: `exact`, `between` or
    `unchecked: <reason>`. values: the name of a value set, or empty."""

    name: str
    type: str
    capture: str
    check: str
    values: str = ""
    format: str = "dec"

    @property
    def check_kind(self) -> str:
        """`exact`, `between` or `unchecked`."""
        return self.check.partition(":")[0]

    def to_json(self) -> dict[str, Any]:
        """{name, type, capture, check} and, where there are any, the value set and the format."""
        value: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "capture": self.capture,
            "check": self.check,
        }
        if self.values:
            value["values"] = self.values
        if self.format != "dec":
            value["format"] = self.format
        return value


@dataclass(frozen=True, slots=True)
class Event:
    """An event. calls: the system calls that it serves, empty for tracepoints and kprobes; `*` for all calls that no
    other event serves. captured_at: `exit`, `entry`, `tracepoint:<name>` or `kprobe:<function>`. asked: it comes only
    to those who name it, and is none of `all`."""

    id: int
    name: str
    category: str
    flags: tuple[str, ...]
    calls: tuple[str, ...]
    captured_at: str
    params: tuple[Param, ...]
    notes: str = ""
    asked: bool = False

    @property
    def symbol(self) -> str:
        """The event's name as part of a C identifier, upper case."""
        return self.name.upper()

    @property
    def own(self) -> bool:
        """Whether the published schema does not have it."""
        return self.id >= OWN_IDS_FROM

    @property
    def doubled(self) -> bool:
        """Whether it shows the entry of calls whose exit is an event too."""
        return self.captured_at == "entry" and not self.own

    def to_json(self) -> dict[str, Any]:
        """{id, name, calls, category, captured_at, flags, asked, notes, params}."""
        return {
            "id": self.id,
            "name": self.name,
            "calls": list(self.calls),
            "category": self.category,
            "captured_at": self.captured_at,
            "flags": list(self.flags),
            "asked": self.asked,
            "notes": self.notes,
            "params": [param.to_json() for param in self.params],
        }


@dataclass(frozen=True, slots=True)
class Versions:
    """The driver source's name and versions (driver.toml)."""

    name: str
    version: str
    api: str
    schema: str
    compat_api: str
    compat_schema: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All events in the order of their files, the value sets by name, and call numbers by call and architecture."""

    versions: Versions
    events: tuple[Event, ...]
    value_sets: dict[str, ValueSet]
    calls: dict[str, dict[str, int]]

    def event(self, name: str) -> Event | None:
        """The event of that name, if there is one."""
        return next((event for event in self.events if event.name == name), None)
