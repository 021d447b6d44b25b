"""`kdriver coverage`: from the command line to table, page and document, and the page in a real browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from kdriver.cli import run
from kdriver.core.artifact import DriverKind
from kdriver.core.verdict import Outcome
from kdriver.verifier.journal import Told, append_journal
from kernel_index.store import RowIndex, write_row
from tests.fakes.file_server import FileServer
from tests.fakes.published import Published, candidate
from tests.fakes.verdicts import indexed, told

KERNELS = [indexed(f"6.1.0-{number}-amd64") for number in (8, 9)]
OTHER = indexed("5.10.0-1-amd64", "debian11")
REASON = "pointers: bind of thread 4: addr: expected nothing, seen " + "a very long value " * 12


@pytest.fixture
def verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Told, ...]:
    """An index of three kernels with verdicts on two of them."""
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path / "index"))
    write_row(RowIndex("debian12", "2026-11-22T10:00:00Z", (), tuple(KERNELS)), tmp_path / "index")
    write_row(RowIndex("debian11", "2026-11-22T10:00:00Z", (), (OTHER,)), tmp_path / "index")
    console = tmp_path / "1.console"
    console.write_text("[0.1] a log\n")
    every = (
        told(KERNELS[0], day=1),
        told(KERNELS[0], outcome=Outcome.FAILED, day=2, reason=REASON, console=console),
        told(KERNELS[0], "core", day=2, console=console),
        told(OTHER, "bpf", outcome=Outcome.NOT_VERIFIED, reason="not built: no clang", artifact=""),
    )
    for one in every:
        append_journal(one.verdict, one.console)
    return every


@pytest.mark.usefixtures("verdicts")
def test_the_table_begins_with_the_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["coverage"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 kernels: 1 drivers passed, 1 failed, 7 not verified, 6 of these never tried"
    assert lines[1] == "1 passed before and fail now"
    assert lines[2] == "1 of the kernels were never tried (--all lists them)"
    assert [line.split()[:2] for line in lines[3:] if line.startswith("debian")] == [
        ["debian11", "5.10.0-1-amd64"], ["debian12", "6.1.0-8-amd64"],
    ]  # fmt: skip


@pytest.mark.usefixtures("verdicts")
def test_one_distribution_and_kind_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["coverage", "--distro", "debian11", "--kind", "bpf", "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [row["kernel"] for row in document["kernels"]] == [OTHER.key]
    assert list(document["kernels"][0]["kinds"]) == ["bpf"]
    assert document["kernels"][0]["kinds"]["bpf"]["class"] == "build"


def test_without_verdicts_and_index_it_says_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path / "none"))
    assert run(["coverage"]) == 0
    assert capsys.readouterr().out.startswith("0 kernels: 0 drivers passed")


@pytest.mark.usefixtures("verdicts")
def test_a_record_that_cannot_be_read_is_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cache" / "verdicts" / "journal.jsonl").write_text("nothing\n")
    assert run(["coverage"]) == 1
    assert "line 1: is no verdict" in capsys.readouterr().err


@pytest.mark.parametrize("served", [False, True])
def test_a_repository_is_read_from_its_folder_and_its_address(
    served: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path / "index"))
    published = Published(tmp_path)
    published.publish(candidate(tmp_path), candidate(tmp_path, kind=DriverKind.CORE))
    root = tmp_path / "root.json"
    shutil.copy(published.store.path("metadata/1.root.json"), root)
    words = ["coverage", "--no-cache", "--json", "--trust", str(root), "--repo"]
    if served:
        with FileServer(published.store.root) as server:
            assert run([*words, server.url]) == 0
    else:
        assert run([*words, str(published.store.root)]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["passed"] == 2


def test_an_address_without_its_root_is_not_trusted(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["coverage", "--no-cache", "--repo", "http://127.0.0.1:9/"]) == 2
    assert "--trust" in capsys.readouterr().err


def test_leaving_everything_out_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["coverage", "--no-cache"]) == 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "chromium is not installed: run ci/setup"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(params=[1200, 360], ids=["wide", "small"])
def page(
    request: pytest.FixtureRequest, browser: Browser, verdicts: tuple[Told, ...], tmp_path: Path
) -> Iterator[Page]:
    """The page, with scripts switched off."""
    out = tmp_path / "coverage" / "index.html"
    assert run(["coverage", "--html", str(out)]) == 0
    context = browser.new_context(viewport={"width": request.param, "height": 900}, java_script_enabled=False)
    opened = context.new_page()
    opened.goto(out.as_uri())
    yield opened
    context.close()


@pytest.mark.browser
def test_the_numbers_come_first_and_nothing_sticks_out(page: Page) -> None:
    numbers = page.locator("#summary li").all_inner_texts()
    assert [text.split()[0] for text in numbers] == ["3", "1", "1", "1", "7"]
    first = page.locator("#summary").bounding_box()
    assert first and first["y"] < 300
    viewport = page.viewport_size
    assert viewport is not None
    for locator in ("h1", "#summary li", "table", "td", ".chips label"):
        for box in (one.bounding_box() for one in page.locator(locator).all() if one.is_visible()):
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= viewport["width"] + 1, locator


@pytest.mark.browser
def test_a_distribution_and_a_verdict_can_be_chosen_without_scripts(page: Page) -> None:
    sections = page.locator(".matrix section")
    assert [one.is_visible() for one in sections.all()] == [True, True]
    page.get_by_text("Debian 12 (bookworm)", exact=True).and_(page.locator("label")).click()
    assert [one.is_visible() for one in sections.all()] == [False, True]
    rows = page.locator(".matrix #debian12 tbody tr")
    assert [one.is_visible() for one in rows.all()] == [True, True]
    page.get_by_text("failed", exact=True).and_(page.locator("label")).click()
    assert [KERNELS[0].release in one.inner_text() for one in rows.all() if one.is_visible()] == [True]
    page.get_by_text("all distributions").click()
    page.get_by_text("all verdicts").click()
    assert [one.is_visible() for one in sections.all()] == [True, True]


@pytest.mark.browser
def test_history_opens_and_the_log_is_there(page: Page) -> None:
    cell = page.locator(f"tr:has-text('{KERNELS[0].release}') td[data-of=kmod]").last
    entries = cell.locator("li")
    assert not entries.first.is_visible()
    cell.locator("summary").click()
    assert [text.split()[0] for text in entries.all_inner_texts()] == ["failed", "passed"]
    cell.get_by_role("link", name="log").first.click()
    assert "[0.1] a log" in page.locator("body").inner_text()


@pytest.mark.usefixtures("verdicts")
def test_only_kernels_that_were_tried_since_a_day(tmp_path: Path) -> None:
    append_journal(told(KERNELS[1], "core", day=9).verdict, None)
    out = tmp_path / "coverage.md"
    assert run(["coverage", "--tried", "--since", "2026-11-05", "--markdown", str(out)]) == 0
    text = out.read_text()
    assert "| `6.1.0-9` |" in text
    assert "`6.1.0-8`" not in text, "its verdicts are older"


def test_all_and_tried_contradict_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["coverage", "--all", "--tried"]) == 2
    assert "contradict" in capsys.readouterr().err
