"""The record of what the event cases tried in a guest (driver_src/cases/coverage.json), and the lines that it is made
from (results.jsonl of `kdriver verify --keep`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kdriver.core.errors import NotFoundError, VerifyError
from kdriver.core.paths import source_dir
from kdriver.verifier.situations import Combination, Untried, read_untried

_CASES_NAMED = 3


def record_path(driver_src: Path | None = None) -> Path:
    """Where the record stands."""
    return (driver_src or source_dir("driver_src")) / "cases" / "coverage.json"


def untried_of(driver_src: Path | None = None) -> tuple[Untried, ...]:
    """The written reasons of a driver source; none where it has no such file."""
    path = (driver_src or source_dir("driver_src")) / "cases" / "untried.toml"
    return read_untried(path) if path.is_file() else ()


def write_record(tried: Mapping[Combination, tuple[str, ...]], path: Path) -> None:
    """One line an event; equal coverage gives equal bytes. A few cases of each combination are named."""
    tree: dict[str, dict[str, dict[str, dict[str, list[str]]]]] = {}
    for one in sorted(tried):
        params = tree.setdefault(one.event, {}).setdefault(one.abi, {})
        params.setdefault(one.param, {})[str(one.situation)] = list(tried[one][:_CASES_NAMED])
    lines = [f"{json.dumps(event)}: {json.dumps(abis, separators=(',', ':'))}" for event, abis in tree.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read_record(path: Path) -> dict[Combination, tuple[str, ...]]:
    """What was tried, by the record. Raises NotFoundError where there is none."""
    if not path.is_file():
        raise NotFoundError(
            f"{path}: no record of what the cases tried",
            hint="Make one: kdriver verify --keep, then kdriver events coverage --results FILE --out FILE.",
        )
    tree = json.loads(path.read_text())
    return {
        Combination(event, abi, param, situation): tuple(cases)
        for event, abis in tree.items()
        for abi, params in abis.items()
        for param, situations in params.items()
        for situation, cases in situations.items()
    }


def expectations_of(results: Path) -> Iterator[dict[str, Any]]:
    """What the cases said in a guest, of the first driver that they ran for. Raises NotFoundError and VerifyError."""
    if not results.is_file():
        raise NotFoundError(f"{results}: no such file", hint="`kdriver verify --keep` leaves results.jsonl.")
    first = ""
    for line in results.read_text(errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError as error:
            raise VerifyError(f"{results}: holds a line that is no JSON", hint="Verify again.") from error
        if "expect" in said and said["driver"] == (first := first or said["driver"]):
            yield said["expect"]
