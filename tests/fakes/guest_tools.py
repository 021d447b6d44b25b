"""The guest's programs, some of them made up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FakeTools:
    """Any programs in the places of the guest's."""

    capture: Path
    cases: Path
    cases32: Path
    guest_init: Path


def fake_tools(folder: Path) -> FakeTools:
    """The real kd-guest with a made-up kd-capture and kd-cases, from a folder that holds all three."""
    cases = folder / "fake_cases"
    return FakeTools(folder / "fake_capture", cases, cases, folder / "kd-guest")
