"""`kdriver verify` on a cluster: a scheduler and two worker processes, real builds, a made-up QEMU; a worker is killed
while its guest runs, and its kernel is verified on the other."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode
from kdriver.verifier.records import read_verdict
from tests.fakes.farm import Farm, waits_for
from tests.fakes.guest_lines import write_boots_of
from tests.fakes.tiny_kernel import BuildSite, TinyKernel, toy_source_with_guest

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]


def verify(farm: Farm, source: Path, *words: str) -> int:
    where = ["--executor", "cluster", "--scheduler", farm.address]
    chosen = ["--distro", "debian12", "--kind", "kmod", "--driver-src", str(source)]
    return run(["verify", *chosen, *where, *words])


def rows(capture: Capture) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capture.readouterr().out)
    return found


@pytest.mark.parametrize(
    ("how", "status_of_worker", "numbers"),
    [
        pytest.param(signal.SIGKILL, -signal.SIGKILL, (3, 4, 5), id="killed"),
        pytest.param(signal.SIGTERM, 0, (3,), id="stopped"),
    ],
)
def test_the_kernel_of_a_worker_that_ends_is_verified_on_another_and_all_records_come_here(
    site: BuildSite,
    tmp_path: Path,
    capsys: Capture,
    how: signal.Signals,
    status_of_worker: int,
    numbers: tuple[int, ...],
) -> None:
    kernels = [site.add(TinyKernel(release=f"1.2.{n}-tiny-amd64", version=f"1.2.{n}-1", image=True)) for n in numbers]
    # The first guest of all hangs, and says whose it is.
    hang = f'if mkdir "{tmp_path}/first" 2>/dev/null; then echo $PPID $$ >"{tmp_path}/whose"; exec sleep 300; fi'
    qemu = write_boots_of(tmp_path, *(kernel.release for kernel in kernels), before=hang)
    source = toy_source_with_guest(tmp_path)
    killed: list[str] = []

    with Farm(tmp_path, {**site.environment(), "KDRIVER_QEMU": qemu}) as farm:
        farm.worker("one", "-j", "1")
        farm.worker("two", "-j", "1")
        by_pid = {process.pid: name for name, process in farm.workers.items()}

        def kill() -> None:
            whose = tmp_path / "whose"
            if not waits_for(lambda: whose.exists() and len(whose.read_text().split()) == 2):
                return
            worker, guest = map(int, whose.read_text().split())
            killed.append(by_pid[worker])
            farm.workers[by_pid[worker]].send_signal(how)
            farm.workers[by_pid[worker]].wait(120)
            with contextlib.suppress(ProcessLookupError):
                os.kill(guest, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        status = verify(farm, source, "--json")
        killer.join()
        found = rows(capsys)
        assert status == ExitCode.DONE, found
        assert len(killed) == 1 and farm.workers[killed[0]].returncode == status_of_worker
        (other,) = {"one", "two"} - {*killed}
        assert not list((tmp_path / f"cache-{other}" / "images").glob("*/*"))
        assert {row["kernel"] for row in found} == {kernel.key for kernel in kernels}
        assert {row["outcome"] for row in found} == {"passed"}
        for row in found:
            kept = read_verdict(row["artifact_sha256"], row["kernel"])
            assert kept is not None and kept.to_json() == {name: row[name] for name in kept.to_json()}
            assert Path(row["console"]).is_relative_to(site.cache) and Path(row["console"]).stat().st_size
        boots = (tmp_path / "boots").read_text().split()
        assert sorted(set(boots)) == [kernel.release for kernel in kernels] and len(boots) > len(kernels)
        assert not (site.cache / "images").exists() and not (site.cache / "headers").exists()

        assert verify(farm, source, "--changed", "--json") == ExitCode.DONE
        assert {row["kept"] for row in rows(capsys)} == {True}

    # What the workers built and booted is here, and goes from here into the signed repository.
    (tmp_path / "kd-capture").write_text("#!/bin/sh\n")
    repository = ["--repo", str(tmp_path / "repository"), "--keys", str(tmp_path / "keys")]
    assert run(["repo", "init", *repository]) == ExitCode.DONE
    capsys.readouterr()
    sources = ["--driver-src", str(source), "--capture", str(tmp_path / "kd-capture")]
    assert run(["publish", *repository, *sources, "--json"]) == ExitCode.DONE
    assert {row["kernel"] for row in rows(capsys) if row["outcome"] == "published"} == {row["kernel"] for row in found}
    there = {hashlib.sha256(file.read_bytes()).hexdigest() for file in (tmp_path / "repository").rglob("*kdriver.ko*")}
    assert {row["artifact_sha256"] for row in found} <= there


def test_a_cluster_without_qemu_says_so_before_anything_is_built(
    site: BuildSite, tmp_path: Path, capsys: Capture
) -> None:
    site.add(TinyKernel(image=True))
    with Farm(tmp_path, {**site.environment(), "KDRIVER_QEMU": "qemu-that-is-not-there"}) as farm:
        farm.worker("one", "-j", "1")
        assert verify(farm, toy_source_with_guest(tmp_path), "--json") == ExitCode.SOME_FAILED
        said = capsys.readouterr().err.splitlines()
    assert said == [
        f"kdriver: cluster {farm.address}: none of its workers has QEMU to boot with",
        "  hint: Install it on a worker's machine (Debian: apt install qemu-system-x86), and start that worker again.",
    ]
    assert not site.artifacts()
