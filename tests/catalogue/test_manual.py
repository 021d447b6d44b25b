"""The reference manual of the events, and what is said of one event."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdriver.catalogue.load import load_catalogue
from kdriver.catalogue.manual import render_manual
from kdriver.catalogue.model import ValueSet
from kdriver.catalogue.words import facts_of, shown_value, used_value_sets

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = load_catalogue()


def test_the_manual_is_up_to_date() -> None:
    assert (ROOT / "docs" / "events.md").read_text() == render_manual(CATALOGUE), (
        "run: kdriver events manual --out docs/events.md"
    )


def test_the_manual_has_every_event_parameter_and_value() -> None:
    text = render_manual(CATALOGUE)
    for event in CATALOGUE.events:
        section = text.split(f"\n### {event.name}\n", 1)[1].split("\n### ", 1)[0]
        for param in event.params:
            assert f"| {param.name} | {param.type} | `{param.capture}` |" in section
    for value_set in used_value_sets(CATALOGUE, CATALOGUE.events):
        section = text.split(f"\n### {value_set.name}\n", 1)[1].split("\n### ", 1)[0]
        assert all(f"| {name} |" in section for name, _ in value_set.values)


def test_an_event_tells_its_calls_and_where_it_is_captured() -> None:
    event = CATALOGUE.event("sendfile")
    assert event is not None
    assert facts_of(event, CATALOGUE)[:3] == (
        "Id 189",
        "calls sendfile (x86_64 40, i386 187), sendfile64 (i386 239)",
        "captured when the call returns",
    )


@pytest.mark.parametrize(
    ("flags", "value", "expected"),
    [
        pytest.param(True, 64, "64 (0x40)", id="bit"),
        pytest.param(True, 4, "4", id="small-bit"),
        pytest.param(False, 64, "64", id="enumeration"),
    ],
)
def test_bits_are_shown_in_hexadecimal_too(flags: bool, value: int, expected: str) -> None:
    assert shown_value(ValueSet("set", flags, (("NAME", value),)), value) == expected
