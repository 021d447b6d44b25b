"""`kdriver verify` over several kernels of an index: real builds for kernels that do not exist, and a made-up QEMU."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode
from kdriver.core.kernel import PackageRole
from kdriver.verifier.runs import read_runs
from tests.fakes.guest_lines import write_boots_of
from tests.fakes.tiny_kernel import BuildSite, TinyKernel, toy_source_with_guest, write_index

OPTIONS = ["--distro", "debian12", "--kind", "kmod", "--executor", "local"]
"""Modules only: the toy source has no eBPF programs of the real catalogue."""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", name="source")
def driver_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy drivers with the real catalogue, and guest programs that nobody runs here."""
    return toy_source_with_guest(tmp_path_factory.mktemp("source"))


def tiny(number: int, **fields: Any) -> TinyKernel:
    return TinyKernel(release=f"1.2.{number}-tiny-amd64", version=f"1.2.{number}-1", image=True, **fields)


def verify(source: Path, *words: str) -> int:
    return run(["verify", *OPTIONS, "--driver-src", str(source), *words])


def rows(capture: Capture) -> dict[str, list[tuple[str, str]]]:
    """Of --json: release to kinds and outcomes."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in json.loads(capture.readouterr().out):
        found.setdefault(row["kernel"].split("/")[2], []).append((row["kind"], row["outcome"]))
    return found


PASSED = [("kmod", "passed")]


def boots(folder: Path) -> list[str]:
    path = folder / "boots"
    return path.read_text().split() if path.exists() else []


def test_each_kernel_has_its_verdicts_and_a_second_run_with_changed_boots_nothing(
    site: BuildSite, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    releases = [site.add(tiny(number)).release for number in (3, 4, 5)]
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, *releases))
    assert verify(source, "-j", "2", "--json") == ExitCode.DONE
    said = capsys.readouterr()
    assert {row["kernel"].split("/")[2] for row in json.loads(said.out)} == set(releases)
    assert "[3/3] 1.2." in said.err and "kmod passed, 1 events" in said.err
    assert sorted(boots(tmp_path)) == releases
    (took,) = read_runs()
    assert (took.kernels, took.jobs) == (3, 2) and took.wall_s > 0 and took.cpu_s > 0
    # Without headers: what was built is known by the packages and the compilers that it came from.
    shutil.rmtree(site.cache / "headers")
    assert verify(source, "-j", "2", "--changed") == ExitCode.DONE
    said = capsys.readouterr()
    assert said.out.count("kept: given 20") == 3
    assert "3 drivers of 3 kernels: 3 passed (3 kept)" in said.out
    assert len(boots(tmp_path)) == 3 and not (site.cache / "headers").exists()
    site.add(tiny(6))
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, *releases, tiny(6).release))
    assert verify(source, "--changed", "--json") == ExitCode.DONE
    assert rows(capsys)[tiny(6).release] == PASSED
    assert boots(tmp_path)[3:] == [tiny(6).release]


def test_a_server_that_is_away_leaves_the_verdicts_that_hold(
    site: BuildSite, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    kernel = site.add(tiny(3))
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, kernel.release))
    assert verify(source) == ExitCode.DONE
    (tmp_path / "mirror/debian" / kernel.packages[-1].path).unlink()
    shutil.rmtree(site.cache / "downloads")
    shutil.rmtree(site.cache / "images")
    capsys.readouterr()
    assert verify(source, "--json") == ExitCode.SOME_FAILED
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["outcome"], row["fault"]) == ("not verified", "package")
    assert verify(source, "--changed", "--json") == ExitCode.DONE
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["outcome"], row["kept"]) == ("passed", True)


def test_one_kernel_without_its_image_is_not_built(
    site: BuildSite, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    kernel = site.add(tiny(3))
    (tmp_path / "mirror/debian" / kernel.packages[-1].path).unlink()
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, kernel.release))
    assert verify(source, "--json") == ExitCode.SOME_FAILED
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["outcome"], row["fault"]) == ("not verified", "package") and "404" in row["reason"]
    assert not site.artifacts()


def test_the_newest_kernel_comes_first(
    site: BuildSite, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases = [site.add(tiny(number)).release for number in (9, 10)]
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, *releases))
    assert verify(source) == ExitCode.DONE
    assert boots(tmp_path) == [tiny(10).release, tiny(9).release]


def test_packages_that_are_gone_are_not_verified_with_the_reason(
    site: BuildSite, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    good, no_headers, no_image = (site.add(tiny(number)) for number in (3, 4, 5))
    for package in (no_headers.packages[0], no_image.packages[-1]):
        (tmp_path / "mirror/debian" / package.path).unlink()
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, good.release))
    assert verify(source, "--json") == ExitCode.SOME_FAILED
    said = capsys.readouterr()
    found = {row["kernel"].split("/")[2]: row for row in json.loads(said.out)}
    outcomes = [found[kernel.release]["outcome"] for kernel in (good, no_headers, no_image)]
    assert outcomes == ["passed", "not verified", "not verified"]
    assert found[no_headers.release]["fault"] == "not built"
    assert found[no_headers.release]["reason"].startswith("not built: download: ")
    assert found[no_image.release]["fault"] == "package"
    assert "404 Not Found" in found[no_image.release]["reason"]
    built = [path.parent for path in site.artifacts() if path.name == "record.json"]
    assert len(built) == 1, "nothing is built for a kernel that cannot boot"
    assert f"{no_headers.release}: kmod not verified, " in said.err
    assert boots(tmp_path) == [good.release]


def test_an_image_of_which_no_digest_is_known_costs_its_own_kernel_only(
    site: BuildSite, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    first, good = site.add(tiny(4)), site.add(tiny(3))
    packages = tuple(replace(one, sha256="") if one.role is PackageRole.IMAGE else one for one in first.packages)
    write_index(tmp_path / "index", replace(first, packages=packages), good)
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, good.release))
    assert verify(source) == ExitCode.SOME_FAILED
    said = capsys.readouterr().err
    assert f"{first.release}: kmod not verified, " in said and f"{good.release}: kmod passed, " in said
    assert boots(tmp_path) == [good.release]


def test_a_kernel_without_headers_is_not_verified_each_time_and_never_left_out(
    site: BuildSite, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    whole, only = site.add(tiny(3)), site.add(tiny(4))
    only = replace(only, packages=tuple(one for one in only.packages if one.role is PackageRole.IMAGE))
    write_index(tmp_path / "index", whole, only)
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, whole.release, only.release))
    for _ in range(2):
        assert verify(source, "--changed", "--json") == ExitCode.SOME_FAILED
        assert rows(capsys) == {whole.release: PASSED, only.release: [("kmod", "not verified")]}
    assert len(boots(tmp_path)) == 1


def test_a_module_that_serves_two_kernels_by_proof_is_booted_on_each(
    site: BuildSite, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    smp = "#define CONFIG_SMP 1\n"
    releases = [site.add(tiny(number, settings=smp)).release for number in (3, 4)]
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, *releases))
    assert verify(source, "--json") == ExitCode.DONE
    found = {row["kernel"].split("/")[2]: row for row in json.loads(capsys.readouterr().out)}
    assert len({row["artifact_sha256"] for row in found.values()}) == 1
    assert {row["image_sha256"] for row in found.values()} == {
        package.sha256 for kernel in site.kernels for package in kernel.packages if str(package.role) == "image"
    }
    assert sorted(boots(tmp_path)) == releases
    assert verify(source, "--json", "--no-share") == ExitCode.DONE
    digests = {row["artifact_sha256"] for row in json.loads(capsys.readouterr().out)}
    assert len(digests) == 2


def test_ctrl_c_keeps_what_was_judged_and_changed_goes_on_there(
    site: BuildSite, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    releases = [site.add(tiny(number)).release for number in (3, 4, 5)]
    hang = f'if [ "$release" = {releases[0]} ]; then touch {tmp_path}/hangs; exec sleep 300; fi'
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = ["verify", *OPTIONS, "--driver-src", str(source)]
    verifier = subprocess.Popen(
        [sys.executable, "-m", "kdriver", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "KDRIVER_QEMU": write_boots_of(tmp_path, *releases, before=hang),
            "TMPDIR": str(scratch),
        },
    )
    try:
        until = time.monotonic() + 180
        while not (tmp_path / "hangs").exists() and time.monotonic() < until:
            time.sleep(0.1)
        verifier.send_signal(signal.SIGINT)
        _, said = verifier.communicate(timeout=60)
    finally:
        verifier.kill()
    assert verifier.returncode == 130
    assert "kdriver: stopped after 2 of 3 kernels" in said
    assert list(scratch.iterdir()) == []
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, *releases))
    assert verify(source, "--changed", "--json") == ExitCode.DONE
    assert rows(capsys) == dict.fromkeys(sorted(releases), PASSED)
    assert boots(tmp_path) == [releases[2], releases[1], releases[0], releases[0]]


def test_other_modules_of_the_kernel_make_it_another_trial(
    site: BuildSite, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    kernel = site.add(tiny(3))
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, kernel.release))
    assert verify(source, "--changed", "--json") == ExitCode.DONE
    capsys.readouterr()
    assert verify(source, "--changed", "--module", "veth", "--json") != ExitCode.DONE
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["outcome"], row["kept"]) == ("not verified", False)
    assert "veth" in row["reason"]


def test_no_mirror_but_the_named_one_is_asked(
    site: BuildSite, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    kernel = site.add(tiny(3))
    monkeypatch.setenv("KDRIVER_QEMU", write_boots_of(tmp_path, kernel.release))
    nowhere = "http://127.0.0.1:9/none"
    assert verify(source, "--mirror", nowhere, "--json") != ExitCode.DONE
    assert nowhere in capsys.readouterr().out
    monkeypatch.delenv("KDRIVER_MIRROR")
    assert verify(source, "--mirror", site.server.url, "--json") == ExitCode.DONE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--executor", "cluster"], "--executor cluster and --scheduler ADDRESS go together"),
        (["--scheduler", "tcp://127.0.0.1:1"], "--executor cluster and --scheduler ADDRESS go together"),
        (["--executor", "cluster", "--scheduler", "tcp://127.0.0.1:1", "--shell"], "are for guests of this machine"),
    ],
)
def test_a_wrong_command_line_is_status_2(words: list[str], said: str, capsys: Capture) -> None:
    assert run(["verify", "--distro", "debian12", *words]) == ExitCode.USAGE
    assert said in capsys.readouterr().err
