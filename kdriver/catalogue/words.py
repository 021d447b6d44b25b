"""What there is to say of events and their values, in words: for the manual and for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from kdriver.catalogue.model import OTHER_CALLS, Catalogue, Event, ValueSet

_SUBCALLS_FROM = 500
"""Numbers of the catalogue's own, for calls that the kernel gives none (driver_src/common/kd_subcalls.h)."""
_WHERE = {
    "exit": "when the call returns",
    "entry": "when the call begins",
    "tracepoint": "at the tracepoint",
    "kprobe": "at the kernel's function",
}
_FLAG_WORDS = {
    "creates_fd": "makes a descriptor",
    "destroys_fd": "closes a descriptor",
    "uses_fd": "uses a descriptor",
    "reads_from_fd": "reads from a descriptor",
    "writes_to_fd": "writes to a descriptor",
    "modifies_state": "changes what a consumer keeps of processes and descriptors",
    "waits": "may wait",
}


def used_value_sets(catalogue: Catalogue, events: Iterable[Event]) -> list[ValueSet]:
    """The value sets that the events' parameters name, by name."""
    names = {param.values for event in events for param in event.params if param.values}
    return [catalogue.value_sets[name] for name in sorted(names)]


def shown_value(value_set: ValueSet, value: int) -> str:
    """A value as a person reads it: bits in hexadecimal as well."""
    return f"{value} ({value:#x})" if value_set.flags and value > 9 else str(value)


def facts_of(event: Event, catalogue: Catalogue) -> tuple[str, ...]:
    """What there is to say of an event beside its parameters, a phrase each: id, calls with their numbers, where it is
    captured, what it does."""
    facts = [f"Id {event.id}"]
    if OTHER_CALLS in event.calls:
        facts.append("all calls that no other event serves")
    elif event.calls:
        word = "call" if len(event.calls) == 1 else "calls"
        facts.append(f"{word} " + ", ".join(f"{call} ({_numbers(catalogue.calls[call])})" for call in event.calls))
    where, _, what = event.captured_at.partition(":")
    facts.append(" ".join(part for part in ("captured", _WHERE[where], what) if part))
    facts += [_FLAG_WORDS.get(flag, flag.replace("_", " ")) for flag in event.flags]
    return tuple(facts)


def _numbers(numbers: dict[str, int]) -> str:
    return ", ".join(
        f"{arch} {number}" if number < _SUBCALLS_FROM else f"{arch}: of socketcall or ipc"
        for arch, number in numbers.items()
    )
