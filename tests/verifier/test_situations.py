"""What the event cases try, and that nothing is left out without a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kdriver.catalogue.load import load_catalogue
from kdriver.core.errors import ConfigError, NotFoundError
from kdriver.verifier.situations import (
    Combination,
    Situation,
    Untried,
    cover,
    read_untried,
    tried,
    wanted,
)
from kdriver.verifier.situations_record import (
    expectations_of,
    read_record,
    record_path,
    untried_of,
    write_record,
)

CATALOGUE = load_catalogue()


def _line(event: str, **members: Any) -> dict[str, Any]:
    return {
        "case": "one",
        "event": event,
        "tid": 1,
        "order": 1,
        "params": {},
        "between": {},
        "unchecked": {},
        **members,
    }


def test_the_record_holds_every_combination_that_has_no_written_reason() -> None:
    """Mend a failure here by a case (driver_src/cases) or a reason (untried.toml), then write the record anew:
    `kdriver verify --keep`, `kdriver events coverage --results FILE --out driver_src/cases/coverage.json`."""
    coverage = cover(CATALOGUE, read_record(record_path()), untried_of())
    assert [str(one) for one in coverage.missing] == []


def test_every_written_reason_is_about_something_that_no_case_tries() -> None:
    coverage = cover(CATALOGUE, read_record(record_path()), untried_of())
    assert [reason.reason for reason in coverage.stale] == []


def test_the_record_names_cases_that_there_are() -> None:
    cases = {name.removesuffix("@i386") for names in read_record(record_path()).values() for name in names}
    source = "\n".join(path.read_text() for path in record_path().parent.glob("cases_*.c"))
    named = {"ends-process-vm", "process-vm"}  # by a macro
    assert [name for name in sorted(cases - named) if f'"{name}"' not in source] == []


def test_every_event_wants_success_and_failure_and_every_pointer_each_situation() -> None:
    found = [one for one in wanted(CATALOGUE) if one.event == "openat"]
    assert [(one.abi, one.param, one.situation) for one in found if one.abi == "i386"] == [
        ("i386", "", "success"),
        ("i386", "", "failure"),
        *(
            ("i386", "name", situation)
            for situation in ("valid", "null", "unmapped", "page-end", "over-page-end", "long")
        ),
    ]
    assert {one.abi for one in found} == {"x86_64", "i386"}


def test_a_structure_cannot_be_longer_than_what_is_shown() -> None:
    situations = {one.situation for one in wanted(CATALOGUE) if one.event == "nanosleep" and one.param}
    assert Situation.LONG not in situations
    assert Situation.PAGE_END in situations


def test_an_event_that_is_no_call_is_only_seen() -> None:
    assert [one for one in wanted(CATALOGUE) if one.event == "switch"] == [
        Combination("switch", "x86_64", "", Situation.SEEN)
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            _line("close", ret=-9, args=[5, 0, 0, 0, 0, 0]), {("x86_64", "", "failure")}, id="failure-by-its-result"
        ),
        pytest.param(
            _line("mmap2", i386=True, ret=-134643712, args=[0] * 6), {("i386", "", "success")}, id="high-address"
        ),
        pytest.param(_line("exit_group"), {("x86_64", "", "success")}, id="call-that-does-not-return"),
        pytest.param(
            _line("chdir", ret=-14, args=[0, 0, 0, 0, 0, 0], pointers={"path": "n"}),
            {("x86_64", "", "failure"), ("x86_64", "path", "null")},
            id="null",
        ),
        pytest.param(
            _line("read", ret=-14, args=[3, 0x8000, 5, 0, 0, 0]),
            {("x86_64", "", "failure"), ("x86_64", "data", "unmapped")},
            id="unmapped-pointer-of-a-call-that-failed",
        ),
        pytest.param(
            _line("chdir", i386=True, ret=0, args=[0x600000, 0, 0, 0, 0, 0], pointers={"path": "el"}),
            {("i386", "", "success"), ("i386", "path", "page-end"), ("i386", "path", "long")},
            id="several-at-once",
        ),
    ],
)
def test_what_a_line_shows_to_have_been_tried(line: dict[str, Any], expected: set[tuple[str, str, str]]) -> None:
    found = tried([line], CATALOGUE)
    assert {(one.abi, one.param, str(one.situation)) for one in found} == expected
    assert set(found.values()) == {("one",)}


def test_a_combination_without_a_case_or_a_reason_is_missing() -> None:
    every = dict.fromkeys(wanted(CATALOGUE), ("case",))
    gap = Combination("openat", "i386", "name", Situation.NULL)
    del every[gap]
    assert cover(CATALOGUE, every).missing == (gap,)
    reason = Untried(("open*",), ("name",), ("i386",), ("null",), "because")
    excused = cover(CATALOGUE, every, [reason])
    assert (excused.missing, excused.stale, dict(excused.untried)) == ((), (), {gap: "because"})


def test_a_reason_for_what_was_tried_is_stale() -> None:
    every = dict.fromkeys(wanted(CATALOGUE), ("case",))
    reason = Untried(("openat",), ("name",), ("i386",), ("null",), "because")
    assert cover(CATALOGUE, every, [reason]).stale == (reason,)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param('events = ["a"]\nsituations = ["null"]', id="no-reason"),
        pytest.param('events = ["a"]\nsituations = ["null"]\nreason = " "', id="empty-reason"),
        pytest.param('situations = ["null"]\nreason = "x"', id="no-events"),
        pytest.param('events = ["a"]\nsituations = ["null"]\nreason = "x"\nwhy = "y"', id="unknown-key"),
    ],
)
def test_a_reason_that_is_not_written_well_is_refused(row: str, tmp_path: Path) -> None:
    (tmp_path / "untried.toml").write_text(f"[[untried]]\n{row}\n")
    with pytest.raises(ConfigError, match=r"untried\.toml"):
        read_untried(tmp_path / "untried.toml")


def test_the_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    found = dict.fromkeys(wanted(CATALOGUE), ("a", "b"))
    write_record(found, tmp_path / "coverage.json")
    assert read_record(tmp_path / "coverage.json") == found


def test_without_a_record_nothing_is_claimed(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no record"):
        read_record(tmp_path / "coverage.json")


def test_the_lines_of_one_driver_only_are_read(tmp_path: Path) -> None:
    said = [
        {"hello": 1, "release": "r", "version": "v"},
        {"driver": "kmod", "expect": _line("close")},
        {"driver": "bpf", "expect": _line("open")},
    ]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in said))
    assert [line["event"] for line in expectations_of(path)] == ["close"]
