"""`kdriver publish` from its command line: what is taken from the cache, what is refused, and the exit statuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from builder.source import digest_cases, digest_source, load_source, render_headers
from kdriver.cli import run
from kdriver.core.artifact import DriverKind, Input
from kdriver.core.verdict import Outcome
from kdriver.repository.gather import Candidate, verdict_path
from kernel_index.store import RowIndex, write_row
from tests.fakes.published import candidate, kernel

TOY = Path(__file__).parent.parent / "fixtures/toy_driver"


class Desk:
    """A cache, an index with one kernel, and an empty repository."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self.folder = folder
        environment.setenv("KDRIVER_CACHE", str(folder / "cache"))
        environment.setenv("KDRIVER_INDEX", str(folder / "index"))
        write_row(RowIndex("debian12", "2026-11-22T10:00:00+00:00", (), (kernel(),)))
        (folder / "kd-capture").write_text("#!/bin/sh\n")
        keys = ["--keys", str(folder / "keys")]
        assert run(["repo", "init", "--repo", str(folder / "repository"), *keys, "--bins", "16"]) == 0

    def built(self, one: Candidate, source: Path = TOY) -> None:
        driver_source = load_source(source)
        generated = render_headers(driver_source, self.folder / "generated")
        used = Input("driver source", digest_source(driver_source, one.artifact.kind, generated))
        folder = self.folder / "cache/artifacts" / one.artifact.content_key
        folder.mkdir(parents=True)
        (folder / one.artifact.file_name).write_bytes(one.path.read_bytes())
        (folder / "record.json").write_text(json.dumps(replace(one.artifact, inputs=(used,)).to_json()))
        if one.verdict:
            path = verdict_path(self.folder / "cache/verdicts", one.artifact.sha256, one.kernel.key)
            path.parent.mkdir(parents=True, exist_ok=True)
            verdict = replace(one.verdict, case_set=digest_cases(driver_source, generated))
            path.write_text(json.dumps(verdict.to_json()))

    def publish(self, *more: str) -> int:
        paths = ["--repo", str(self.folder / "repository"), "--keys", str(self.folder / "keys")]
        sources = ["--driver-src", str(TOY), "--capture", str(self.folder / "kd-capture")]
        return run(["publish", *paths, *sources, *more])


@pytest.fixture(name="desk")
def desk_of_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_a_driver_that_passed_is_published(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.built(candidate(desk.folder))
    capsys.readouterr()
    assert desk.publish("--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["kernel"], row["kind"], row["outcome"]) == (kernel().key, "kmod", "published")
    assert row["reason"] == "passed with 41 events"


def test_the_only_driver_that_failed_gives_status_5(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.built(candidate(desk.folder, outcome=Outcome.FAILED))
    assert desk.publish("--distro", "debian12", "--kernel", kernel().release) == 5
    assert "refused" in capsys.readouterr().out
    assert not (desk.folder / "repository/targets").exists()


def test_one_of_several_that_failed_gives_status_1_and_the_rest_is_published(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.built(candidate(desk.folder, outcome=Outcome.FAILED))
    desk.built(candidate(desk.folder, kind=DriverKind.BPF))
    capsys.readouterr()
    assert desk.publish("--json") == 1
    rows = json.loads(capsys.readouterr().out)
    assert [(row["kind"], row["outcome"]) for row in rows] == [("kmod", "refused"), ("bpf", "published")]
    assert desk.publish("--allow-refused") == 0
    assert "refused" in capsys.readouterr().out


def test_a_dry_run_says_what_would_be(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.built(candidate(desk.folder))
    assert desk.publish("-n") == 0
    assert "would be published" in capsys.readouterr().out
    assert not (desk.folder / "repository/metadata/2.snapshot.json").exists()


def test_only_the_kinds_that_were_asked_for(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.built(candidate(desk.folder))
    desk.built(candidate(desk.folder, kind=DriverKind.BPF))
    capsys.readouterr()
    assert desk.publish("--kind", "bpf", "--json") == 0
    assert [row["kind"] for row in json.loads(capsys.readouterr().out)] == ["bpf"]


def test_nothing_built_is_not_found(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.publish() == 3
    assert (
        "holds no driver that was built from this driver source\n  hint: Run `kdriver build`" in capsys.readouterr().err
    )


def test_an_unknown_kernel_is_not_found(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.built(candidate(desk.folder))
    assert desk.publish("--kernel", "6.1.0-99-amd64") == 3
    assert "6.1.0-56-amd64" in capsys.readouterr().err


def test_a_driver_of_a_kernel_that_is_not_in_the_index(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.built(candidate(desk.folder, kernel("6.1.0-1-amd64", "6.1.4-1")))
    assert desk.publish() == 3
    assert "was built but is not in the index\n  hint: Run `kdriver index update`" in capsys.readouterr().err


def test_missing_keys_are_wrong_use(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.built(candidate(desk.folder))
    (desk.folder / "keys/targets.pem").unlink()
    assert desk.publish() == 2
    assert "misses targets.pem\n  hint: Name the folder" in capsys.readouterr().err


def test_what_was_built_from_another_driver_source_does_not_displace_this_one(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    other = desk.folder / "other"
    shutil.copytree(TOY, other)
    (other / "kmod/toy.c").write_text("/* an experiment */\n")
    desk.built(candidate(desk.folder, salt="ours"))
    desk.built(candidate(desk.folder, salt="experiment", outcome=Outcome.FAILED), other)
    capsys.readouterr()
    assert desk.publish("--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["artifact"] == candidate(desk.folder, salt="ours").artifact.sha256


def test_a_folder_of_drivers_is_published_whatever_it_was_built_from(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    one = candidate(desk.folder)
    desk.built(one)
    shutil.rmtree(desk.folder / "cache/artifacts")
    out = desk.folder / "out/6.1.0-56-amd64"
    out.mkdir(parents=True)
    (out / "kdriver.ko").write_bytes(one.path.read_bytes())
    (out / "kdriver.ko.json").write_text(json.dumps(one.artifact.to_json()))
    capsys.readouterr()
    assert desk.publish("--artifacts", str(desk.folder / "out"), "--json") == 0
    assert [row["outcome"] for row in json.loads(capsys.readouterr().out)] == ["published"]


def test_a_void_verdict_is_refused_unless_told(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    one = candidate(desk.folder)
    desk.built(one)
    path = verdict_path(desk.folder / "cache/verdicts", one.artifact.sha256, one.kernel.key)
    for change, said in (({"case_set": "0" * 64}, "the cases have changed"), ({"policy": "0"}, "given by policy 0")):
        before = path.read_text()
        path.write_text(json.dumps({**json.loads(before), **change}))
        capsys.readouterr()
        assert desk.publish("--json") == 5
        (row,) = json.loads(capsys.readouterr().out)
        assert (row["outcome"], row["verdict"]) == ("refused", "not verified")
        assert row["reason"].startswith("its verdict is void: ") and said in row["reason"]
        path.write_text(before)
    path.write_text(json.dumps({**json.loads(path.read_text()), "case_set": "0" * 64}))
    assert desk.publish("--include-void") == 0


def test_a_kernel_from_outside_the_index_is_left_out(desk: Desk) -> None:
    desk.built(candidate(desk.folder))
    desk.built(candidate(desk.folder, replace(kernel(), distro="file", package_version="0123456789abcdef"), salt="x"))
    assert desk.publish() == 0
