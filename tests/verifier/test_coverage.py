"""The matrix of kernels, kinds and verdicts: what counts, what is history, and that nothing missing looks absent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.kernel import Package, PackageRole
from kdriver.core.verdict import Outcome
from kdriver.verifier.coverage import NEVER, OUTSIDE, class_of, count, make_coverage, release_key
from kdriver.verifier.coverage_lines import open_reasons
from kdriver.verifier.coverage_page import render_html, render_markdown, write_html
from kdriver.verifier.coverage_sources import read_folder, read_here
from kdriver.verifier.journal import append_journal, journal_path, read_journal
from kdriver.verifier.records import write_verdict
from kdriver.verifier.runs import Run, clock_run, read_runs
from tests.fakes.published import Published, candidate, kernel
from tests.fakes.verdicts import TITLES, indexed, told

KINDS = list(DriverKind)
OLD, NEW = indexed("6.1.0-9-amd64"), indexed("6.12.1-amd64")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))


def test_the_newest_verdict_counts_and_the_others_are_history() -> None:
    one = [told(OLD, day=3), told(OLD, outcome=Outcome.FAILED, day=9, reason="drops: 0 expected"), told(OLD, day=1)]
    (row,) = make_coverage(one, [OLD], [DriverKind.KMOD]).rows
    (cell,) = row.cells
    assert (cell.outcome, cell.reason, cell.failure_class) == (Outcome.FAILED, "drops: 0 expected", "drops")
    assert [entry.verdict.date[8:10] for entry in cell.history] == ["09", "03", "01"]
    assert cell.broke


def test_what_never_passed_did_not_break() -> None:
    one = [told(OLD, outcome=Outcome.FAILED, day=day, reason="load: no") for day in (1, 2)]
    assert not make_coverage(one, [OLD], [DriverKind.KMOD]).rows[0].cells[0].broke


def test_a_void_verdict_does_not_count_and_stays_in_the_history() -> None:
    image = Package(PackageRole.IMAGE, "linux-image", "1-1", "amd64", "main", "pool/i.deb", 1, "b" * 64)
    booted = replace(OLD, packages=(image,))
    for void, why in ((told(booted, day=5, policy="1"), "policy 1"), (told(booted, day=5, image="c" * 64), "image")):
        coverage = make_coverage([told(booted, day=1, image="b" * 64), void], [booted], [DriverKind.KMOD])
        (cell,) = coverage.rows[0].cells
        assert (cell.outcome, cell.failure_class, len(cell.history)) == (Outcome.NOT_VERIFIED, "void", 2)
        assert cell.reason.startswith("void: ") and why in cell.reason
        assert count(coverage.rows).passed == 0
    (holds,) = make_coverage([told(booted, image="b" * 64)], [booted], [DriverKind.KMOD]).rows[0].cells
    assert (holds.outcome, holds.reason) == (Outcome.PASSED, "")


def test_what_could_not_be_tried_keeps_its_own_reason() -> None:
    one = told(OLD, outcome=Outcome.NOT_VERIFIED, reason="not built: no gcc", policy="1")
    (cell,) = make_coverage([one], [OLD], [DriverKind.KMOD]).rows[0].cells
    assert cell.reason == "not built: no gcc"


def test_kernels_that_nobody_tried_are_not_verified() -> None:
    coverage = make_coverage([told(OLD)], [OLD, NEW], KINDS)
    assert [row.release for row in coverage.rows] == ["6.12.1-amd64", "6.1.0-9-amd64"], "newest first"
    untried = coverage.rows[0]
    assert {(cell.outcome, cell.reason) for cell in untried.cells} == {(Outcome.NOT_VERIFIED, NEVER)}
    counts = count(coverage.rows)
    assert (counts.kernels, counts.passed, counts.failed, counts.not_verified, counts.never) == (2, 1, 0, 5, 5)


def test_distributions_without_any_verdict_are_counted_and_not_listed() -> None:
    other = indexed("5.10.0-1-amd64", "debian11")
    coverage = make_coverage([told(OLD)], [OLD, other], KINDS)
    assert (coverage.distros, coverage.left_out) == (("debian12",), 1)
    every = make_coverage([told(OLD)], [OLD, other], KINDS, order=["debian11", "debian12"], every=True)
    assert (every.distros, every.left_out) == (("debian11", "debian12"), 0)


def test_only_kernels_that_were_tried_can_be_asked_for() -> None:
    other = indexed("5.10.0-1-amd64", "debian11")
    coverage = make_coverage([told(OLD)], [OLD, other, NEW], KINDS, tried_only=True)
    assert ([row.key for row in coverage.rows], coverage.left_out) == ([OLD.key], 2)
    assert "2 more kernels are in the index, and nothing was tried on them" in render_markdown(coverage, made="now")


def test_one_distribution_can_be_asked_for() -> None:
    other = indexed("5.10.0-1-amd64", "debian11")
    coverage = make_coverage([told(OLD), told(other)], [OLD, other], KINDS, distros=["debian11"])
    assert [row.key for row in coverage.rows] == [other.key]


def test_a_kernel_outside_the_index_keeps_its_verdict() -> None:
    coverage = make_coverage([told("file/x86_64/3.10.0-514.el7.x86_64/vmlinuz")], [], KINDS)
    (row,) = coverage.rows
    assert (row.distro, row.release, coverage.title(row.distro)) == (
        OUTSIDE, "3.10.0-514.el7.x86_64", "Kernels outside the index",
    )  # fmt: skip


def test_the_same_verdict_of_two_places_is_one_and_keeps_its_log(tmp_path: Path) -> None:
    log = tmp_path / "console"
    for pair in ([told(OLD), told(OLD, console=log)], [told(OLD, console=log), told(OLD)]):
        (cell,) = make_coverage(pair, [OLD], [DriverKind.KMOD]).rows[0].cells
        assert [entry.console for entry in cell.history] == [log]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("load: the kernel refused the module: Exec format error", "load"),
        ("kernel log: irq 3: nobody cared", "kernel log"),
        ("pointers: bind of thread 418: addr: expected nothing, seen x", "events"),
        ("not built: headers: none", "build"),
        ("the kernel never reached /init: panic; tried twice", "guest"),
        ("stage bpf flush took longer than 80 s", "guest"),
        ("linux-image-5.10_1_amd64.deb: none of 2 addresses has it", "package"),
        (NEVER, "never tried"),
        ("something nobody thought of", "other"),
    ],
)
def test_failures_have_a_class(reason: str, expected: str) -> None:
    assert class_of(reason) == expected


def test_releases_sort_as_people_read_them() -> None:
    names = ["6.1.0-9-amd64", "6.12.1-amd64", "6.1.0-56-amd64", "3.10.0-514.el7", "6.1.0-56-cloud-amd64", "7.3"]
    assert sorted(names, key=release_key) == [
        "3.10.0-514.el7", "6.1.0-9-amd64", "6.1.0-56-amd64", "6.1.0-56-cloud-amd64", "6.12.1-amd64", "7.3",
    ]  # fmt: skip


def test_the_journal_keeps_every_verdict_with_its_log(tmp_path: Path) -> None:
    console = tmp_path / "console"
    console.write_text("log")
    first, second = told(OLD, day=1).verdict, told(OLD, outcome=Outcome.NOT_VERIFIED, artifact="", day=2).verdict
    append_journal(first, console)
    append_journal(second, None)
    problems: list[str] = []
    found = list(read_journal(problems))
    assert [(one.verdict, one.console) for one in found] == [(first, console), (second, None)]
    console.unlink()
    assert next(read_journal(problems)).console is None
    assert not problems


def test_what_cannot_be_read_is_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    append_journal(told(OLD).verdict, None)
    with journal_path().open("a") as lines:
        lines.write('{"verdict": {"kernel"\n')
    broken = tmp_path / "cache" / "verdicts" / "b" / "x.json"
    broken.parent.mkdir()
    broken.write_text("{}")
    problems: list[str] = []
    assert len(list(read_here(problems))) == 1
    assert len(problems) == 2 and "line 2" in problems[0] and str(broken) in problems[1]


def test_verdicts_from_before_the_journal_count() -> None:
    write_verdict(told(OLD, artifact="c" * 64).verdict)
    assert [one.verdict.artifact_sha256 for one in read_here([])] == ["c" * 64]


def test_an_experiment_with_another_source_does_not_show(tmp_path: Path) -> None:
    experiment = told(OLD, outcome=Outcome.FAILED, artifact="d" * 64).verdict
    write_verdict(experiment)
    append_journal(experiment, None, tmp_path)
    assert not list(read_here([]))
    assert [one.verdict for one in read_here([], tmp_path)] == [experiment]


def test_a_repository_tells_its_verdicts(tmp_path: Path) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path), candidate(tmp_path, kind=DriverKind.BPF))
    problems: list[str] = []
    found = list(read_folder(published.store.root, problems))
    assert not problems
    assert [(one.verdict.kernel, one.verdict.kind, one.verdict.outcome) for one in found] == [
        (kernel().key, "kmod", Outcome.PASSED), (kernel().key, "bpf", Outcome.PASSED),
    ]  # fmt: skip


def test_the_page_says_all_without_a_script(tmp_path: Path) -> None:
    reason = "pointers: bind of thread 4: <b>addr</b> | expected"
    failed = told(NEW, outcome=Outcome.FAILED, day=9, reason=reason)
    coverage = make_coverage(
        [told(OLD), told(NEW, day=1), failed], [OLD, NEW], KINDS, titles=TITLES, problems=["x.json: bad"]
    )
    page = render_html(coverage, {}, made="today")
    assert "<script" not in page
    assert "<b>addr</b>" not in page and "&lt;b&gt;addr" in page
    for text in ("passed before, fail now", "1 record could not be read", "Debian 12 (bookworm)", NEVER):
        assert text in " ".join(page.split())


def test_the_document_has_a_row_for_each_kernel_and_each_failure() -> None:
    failed = told(NEW, outcome=Outcome.FAILED, reason="pointers: bind of thread 4: a|b expected")
    text = render_markdown(make_coverage([told(OLD), failed], [OLD, NEW], KINDS, titles=TITLES), made="today")
    assert "| Debian 12 (bookworm) | 2 | 1 | 1 | 4 | 4 |" in text
    assert "| `6.12.1-amd64` 1-1 | kmod | events | pointers: bind of thread 4: a\\|b expected | 2026-11-20 |" in text
    assert "| `6.1.0-9` | 1-1 | kmod passed, bpf and core not verified | 2571 | 2026-11-20 |" in text
    assert f"| never tried | {NEVER} | 4 | `6.12.1`, `6.1.0-9` |" in text
    assert "| 6.12 | 1 | 0 | 0 | 0 | 1 | 2 |" in text and "| 6.1 | 1 | 1 | 0 | 0 | 0 | 2 |" in text


def test_the_document_has_a_row_for_the_flavours_of_a_build_and_each_reason_once() -> None:
    names = ("6.1.0-9", "6.1.0-8")
    rows = [indexed(f"{name}-amd64") for name in names]
    rows += [replace(indexed(f"{name}-rt-amd64"), flavour="rt-amd64") for name in names]
    refused = [
        told(one, kind, Outcome.NOT_VERIFIED, reason=f"not built: {one.release}.deb: none has it: http://x.example/")
        for one in rows[2:]
        for kind in ("kmod", "bpf")
    ]
    passed = [told(one, kind) for one in rows[:2] for kind in ("kmod", "bpf", "core")]
    run = Run("2026-11-20T16:05:00Z", "2026-11-20T16:55:00Z", 4, 2, 2, 3000.0, 5700.0, "0.1.0", 5940.0)
    coverage = make_coverage([*passed, *refused], rows, KINDS, titles=TITLES, tried_only=True)
    text = render_markdown(coverage, made="today", runs=[run])
    both = "kmod and bpf and core not verified"
    assert both not in text, "what all kinds say is said in a word"
    assert "| kernel | package | amd64 | rt-amd64 | events | date |" in text
    assert "| `6.1.0-9` | 1-1 | passed | not verified | 2571 | 2026-11-20 |" in text
    assert "| build | not built: KERNEL.deb: none has it | 4 | `6.1.0-9`, `6.1.0-8` |" in text
    assert "| 2026-11-20 16:05 | 4 | 2 | 2 | 50.0 min | 95.0 min | 99.0 min |" in text


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            "not built: download: linux-headers-{r}_1-1_amd64.deb: none of 2 addresses has it: http://a.example/pool/"
            "linux-headers-{r}_1-1_amd64.deb: the server answered 404 Not Found; http://b.example/x/"
            "linux-headers-{r}_1-1_amd64.deb: the server answered 404 Not Found",
            "not built: download: linux-headers-KERNEL_VERSION_amd64.deb: the server answered 404 Not Found",
        ),
        (
            "https://a.example/pool/linux-image-{r}_1-1_amd64.deb: the server answered 404 Not Found",
            "linux-image-KERNEL_VERSION_amd64.deb: the server answered 404 Not Found",
        ),
        (
            "no driver got its turn: plan: x (console: /var/cache/kdriver/logs/1.console); tried twice",
            "no driver got its turn: plan: x; tried twice",
        ),
    ],
    ids=["mirrors", "one-address", "console"],
)
def test_the_document_names_packages_and_answers_and_no_addresses_or_paths(reason: str, said: str) -> None:
    kernels = [indexed(f"6.1.0-{number}-amd64") for number in (7, 8)]
    verdicts = [told(one, "kmod", Outcome.NOT_VERIFIED, reason=reason.format(r=one.release)) for one in kernels]
    coverage = make_coverage(verdicts, kernels, [DriverKind.KMOD], titles=TITLES)
    assert [(one.reason, one.drivers) for one in open_reasons(coverage)] == [(said, 2)]


def test_logs_come_along_with_the_page(tmp_path: Path) -> None:
    console = tmp_path / "there" / "1.console"
    console.parent.mkdir()
    console.write_text("[0.1] hello")
    out = tmp_path / "page" / "index.html"
    write_html(make_coverage([told(OLD, console=console)], [OLD], KINDS), out, made="today")
    (log,) = (tmp_path / "page" / "index-logs").iterdir()
    assert log.read_text() == "[0.1] hello"
    assert f'href="index-logs/{log.name}"' in out.read_text()


def test_json_holds_the_same(tmp_path: Path) -> None:
    document = json.loads(json.dumps(make_coverage([told(OLD)], [OLD], KINDS).to_json()))
    assert document["summary"] == {
        "kernels": 1, "passed": 1, "failed": 0, "not_verified": 2, "never": 2, "broke": 0
    }  # fmt: skip
    assert document["kernels"][0]["kinds"]["kmod"]["history"][0]["date"] == "2026-11-20T03:04:05Z"


def test_a_run_of_which_no_verdict_is_kept_is_not_noted() -> None:
    for noted in (True, False):
        with clock_run(3, 1, noted=noted) as clock:
            clock.done = 3
        assert clock.run is not None and len(read_runs()) == 1
