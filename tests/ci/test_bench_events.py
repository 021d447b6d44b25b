"""What the drivers cost: which runs are accepted as a measurement, and how the numbers are formed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench_events
import pytest
from bench_events import PUBLISHED, Costs, Size, costs_of, print_costs, verdict_of

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import VerifyError
from kdriver.verifier.guest import Ending, GuestRun
from kdriver.verifier.plan import DriverUnderTest
from kdriver.verifier.results import DriverRun, GuestResult, Step

BASE = {"calls": 10, "made": 2020, "known": 2013, "getppid": 3296, "write64": 5767, "open_read_close": 110510}
STATS = {"drops_buffer": 0, "drops_scratch": 0, "missed_runs": 0}


def counted(made: int, **stats: int) -> dict[str, Any]:
    """What a guest says after it has counted: so many events of each kind."""
    events = dict.fromkeys(("write", "open", "read", "close", "syscall"), made)
    return {"events": events, "stats_line": {"stats": {**STATS, **stats}}}


def guest(tmp_path: Path, **more: dict[str, Any]) -> tuple[GuestRun, DriverUnderTest]:
    """A guest in which a module added 100 instructions to each call; more: states of it that are other than that."""
    file = tmp_path / "kdriver.ko"
    file.write_bytes(b"module")
    driver = DriverUnderTest(DriverKind.KMOD, "kdriver", file, "")
    added = {**BASE, "getppid": 4296, "write64": 6767, "open_read_close": 113510}
    idle = {**BASE, "getppid": 3796}
    costs = {
        "open": {"spent": 81_900_000},
        "selected": added,
        "selected counted": counted(2020),
        "unselected": idle,
        "unselected counted": counted(0),
        "unselected both": {**BASE, "getppid": 3996},
        "unselected both counted": counted(0),
        "selected both": {**added, "getppid": 4496},
        "selected both counted": counted(2020),
    }
    runs = {
        "base": DriverRun("base", costs={"first": BASE, "second": BASE, **more.pop("base", {})}),
        "kmod": DriverRun("kmod", costs={**costs, **more}),
    }
    result = GuestResult(release="6.1.0", runs=runs, ended=True)
    return GuestRun(Ending.COMPLETE, result, "", 1.0, 1.0, tmp_path / "console"), driver


def test_what_a_driver_adds_is_the_difference_for_each_call(tmp_path: Path) -> None:
    run, driver = guest(tmp_path)
    costs = costs_of("k", run, [driver])
    assert costs.added[DriverKind.KMOD] == {
        "getppid": 100.0,
        "write64": 100.0,
        "open_read_close": 100.0,
        "unselected": 50.0,
    }
    both = costs.with_entries[DriverKind.KMOD]
    assert (both["getppid"], both["write64"], both["unselected"]) == (120.0, 100.0, 70.0)
    assert costs.start[DriverKind.KMOD] == 81.9
    assert costs.sizes[DriverKind.KMOD] == Size(6)
    assert costs.dearer() == ()


def test_without_the_generic_event_getppid_has_no_number(tmp_path: Path) -> None:
    none = counted(2020)
    none["events"]["syscall"] = 0
    run, driver = guest(tmp_path, **{"selected counted": none})
    assert costs_of("k", run, [driver]).added[DriverKind.KMOD]["getppid"] is None


@pytest.mark.parametrize(
    ("more", "says"),
    [
        pytest.param({"selected counted": counted(2020, drops_buffer=1)}, "events were lost", id="drop"),
        pytest.param({"selected counted": counted(2020, missed_runs=1)}, "events were lost", id="missed-run"),
        pytest.param({"selected counted": counted(2019)}, "2020 were expected", id="event-missing"),
        pytest.param({"unselected counted": counted(1)}, "0 were expected", id="not-selected-but-there"),
        pytest.param({"base": {"second": {**BASE, "getppid": 3300}}}, "must agree", id="base-differs"),
        pytest.param({"base": {"second": {**BASE, "known": 4000}}}, "counts no instructions", id="no-icount"),
        pytest.param({"selected": {**BASE, "known": 900}}, "counts no instructions", id="no-icount-with-driver"),
    ],
)
def test_a_run_that_says_nothing_is_an_error(tmp_path: Path, more: dict[str, Any], says: str) -> None:
    run, driver = guest(tmp_path, **more)
    with pytest.raises(VerifyError, match=says):
        costs_of("k", run, [driver])


def test_a_step_that_went_wrong_is_an_error(tmp_path: Path) -> None:
    run, driver = guest(tmp_path)
    run.result.runs["kmod"].steps.append(Step("open", 7, 1, "no device"))
    with pytest.raises(VerifyError, match="open ended with status 7: no device"):
        costs_of("k", run, [driver])


def test_a_guest_that_did_not_complete_is_an_error(tmp_path: Path) -> None:
    run, driver = guest(tmp_path)
    with pytest.raises(VerifyError, match="did not complete: it hung"):
        costs_of("k", replace(run, ending=Ending.TIMED_OUT, reason="it hung"), [driver])


def test_a_verdict_compares_with_the_published_driver() -> None:
    assert verdict_of(50.0, 100) == "50%"
    assert verdict_of(100.0, 100) == "100%"
    assert verdict_of(101.0, 100) == "101%  DEARER"
    assert verdict_of(None, 100) == "-"


def costs_above(kind: DriverKind) -> Costs:
    """Costs of a kind that are one above the published ones."""
    added: dict[str, float | None] = {name: value + 1.0 for name, value in PUBLISHED[kind].added.items()}
    base = dict.fromkeys(bench_events.LOOPS, 330.0)
    key = "debian/x86_64/6.12.117+deb12-cloud-amd64/6.12.117-1~deb12u1"
    return Costs(key, base, {kind: added}, {kind: added}, {kind: 1911.0}, {kind: Size(3_100_000, 197, 3439, 113_797)})


@pytest.mark.parametrize("kind", list(DriverKind))
def test_the_table_fits_80_columns_and_names_what_is_dearer(
    kind: DriverKind, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = costs_above(kind)
    print_costs(costs)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert sum("DEARER" in line for line in lines) == len(bench_events.MEASURES)


def test_the_document_has_a_number_for_every_kind_and_measure() -> None:
    value = json.loads(json.dumps(costs_above(DriverKind.CORE).to_json()))
    assert set(value["instructions_added"]["core"]) == {"getppid", "write64", "open_read_close", "unselected"}
    assert value["sizes"]["core"]["largest_program"] == 3439
    assert value["dearer_than_published"] == [f"core {name}" for name in bench_events.MEASURES]
