"""`kdriver build` of several kernels: one result for each, what is known bad, JUnit, stopping and going on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite, TinyKernel

Capture = pytest.CaptureFixture[str]


def add_kernels(site: BuildSite, count: int, **fields: Any) -> list[str]:
    return [
        site.add(TinyKernel(release=f"1.2.{number}-tiny-amd64", version=f"1.2.{number}-1", **fields)).key
        for number in range(count)
    ]


def build(*words: str, source: Path = TOY_DRIVER) -> int:
    return run(["build", "--distro", "debian12", "--no-share", "--driver-src", str(source), *words])


def results(capture: Capture) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capture.readouterr().out)
    return found


def test_each_result_is_told_as_it_comes_and_counted_at_the_end(site: BuildSite, capsys: Capture) -> None:
    add_kernels(site, 2)
    site.add(TinyKernel(release="1.2.9-tiny-amd64", version="1.2.9-1", gcc=99))
    assert build("--kind", "kmod", "-j", "1") == ExitCode.SOME_FAILED
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert lines[0].startswith("[1/3] built: debian/x86_64/1.2.0-tiny-amd64/1.2.0-1 kmod, ")
    assert lines[2].startswith("[3/3] failed: debian/x86_64/1.2.9-tiny-amd64/1.2.9-1 kmod, ")
    assert said.out.splitlines()[-1] == "3 drivers: 2 built, 1 failed (toolchain 1)"


def test_known_bad_kernel_is_skipped_with_reason_and_range(site: BuildSite, tmp_path: Path, capsys: Capture) -> None:
    keys = add_kernels(site, 3)
    table = tmp_path / "bad.toml"
    table.write_text(
        '[[line]]\nid = "toy-hangs"\nkinds = ["kmod"]\nfirst = "1.2.1-tiny-amd64"\nbefore = "1.2.2-tiny-amd64"\n'
        'reason = "the toy hangs"\n'
    )
    assert build("--kind", "kmod", "--known-bad", str(table), "--json") == ExitCode.DONE
    found = results(capsys)
    assert [(one["kernel"], one["outcome"]) for one in found] == list(
        zip(keys, ["built", "skipped", "built"], strict=True)
    )
    assert found[1]["line"] == "toy-hangs"
    assert found[1]["reason"] == (
        "known bad: the toy hangs (every distribution, from 1.2.1-tiny-amd64, before 1.2.2-tiny-amd64)"
    )
    assert build("--kind", "kmod", "--known-bad", str(table), "--dry-run", "--json") == ExitCode.DONE
    assert [one["action"] for one in results(capsys)] == ["build", "skip", "build"]
    table.write_text('[[line]]\nid = "toy-hangs"\noff = true\n')
    assert build("--kind", "kmod", "--known-bad", str(table), "--json") == ExitCode.DONE
    assert [one["outcome"] for one in results(capsys)] == ["cached", "built", "cached"]


def test_fail_fast_starts_nothing_more(site: BuildSite, capsys: Capture) -> None:
    site.add(TinyKernel(release="1.2.0-bad-amd64", version="1.2.0-1", gcc=99))
    add_kernels(site, 2)
    assert build("--kind", "kmod", "-j", "1", "--fail-fast", "--json") == ExitCode.SOME_FAILED
    assert [one["outcome"] for one in results(capsys)] == ["failed", "skipped", "skipped"]
    assert not site.artifacts()


def test_junit_holds_every_result(site: BuildSite, tmp_path: Path, capsys: Capture) -> None:
    keys = add_kernels(site, 2)
    file = tmp_path / "reports" / "build.xml"
    assert build("--junit", str(file)) == ExitCode.DONE
    root = ElementTree.parse(file).getroot()
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("6", "0", "0")
    assert [suite.get("name") for suite in root] == keys


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_batch_says_what_it_has_and_the_next_run_goes_on(
    number: signal.Signals, site: BuildSite, tmp_path: Path, capsys: Capture
) -> None:
    add_kernels(site, 4)
    source = site.driver_source()
    waiting = site.folder / "waiting"
    # The third kernel's compile waits, so that the stop comes when two are built and one is at work.
    wait = f"$(shell test -e {waiting}.off || {{ touch {waiting}; sleep 60; }})"
    with (source / "kmod/Kbuild").open("a") as kbuild:
        kbuild.write(f"ifneq ($(findstring 1.2.2-,$(release)),)\n{wait}\nendif\n")
    argv = [sys.executable, "-m", "kdriver", "build", "--distro", "debian12", "--driver-src", str(source)]
    argv += ["--kind", "kmod", "-j", "1", "--no-share", "--json", "--junit", str(tmp_path / "junit.xml")]
    process = subprocess.Popen(
        argv, env={**os.environ, **site.environment()}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 120
    while not waiting.exists():
        assert time.monotonic() < end, "the compile did not start"
        time.sleep(0.05)
    process.send_signal(number)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [one["outcome"] for one in json.loads(out)] == ["built", "built"]
    assert said.splitlines()[-2:] == [
        "kdriver: stopped after 2 of 4 drivers",
        "  hint: Run the same command again; it goes on where this one stopped.",
    ]
    assert ElementTree.parse(tmp_path / "junit.xml").getroot().get("tests") == "2"
    assert not list((site.cache / "work").iterdir())
    Path(f"{waiting}.off").touch()
    assert build("--kind", "kmod", "--json", source=source) == ExitCode.DONE
    assert [one["outcome"] for one in results(capsys)] == ["cached", "cached", "built", "built"]
