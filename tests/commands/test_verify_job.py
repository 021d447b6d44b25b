"""What a worker answers when something is wrong with it, and what becomes of the answer: made-up guests, no cluster."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from kdriver.commands import verify_job
from kdriver.commands.verify_cluster import Booting
from kdriver.commands.verify_job import read_answer, run_boot_job
from kdriver.commands.verify_report import exit_status
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ExitCode, IntegrityError, KdriverError, VerifyError
from kdriver.core.verdict import POLICY, Fault, Outcome
from kdriver.executors.task import StoppedError
from kdriver.verifier import run
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.plan import DriverUnderTest
from kdriver.verifier.run import Verification, Verified, missing_verdicts, none_verified
from kdriver.version import VERSION

KEY = "debian/x86_64/1.2.3-toy/1.2.3-1"
IMAGE = "e" * 64
JOB = {"version": VERSION, "policy": POLICY, "case_set": "cases"}


def _no_image() -> GuestKernel:
    raise AssertionError("nothing is to be booted here")


VERIFICATION = Verification(
    KEY,
    "1.2.3-toy",
    _no_image,
    (DriverUnderTest(DriverKind.KMOD, "kdriver", Path("kdriver.ko"), "a" * 64),),
    image_sha256=IMAGE,
)


@pytest.fixture(autouse=True)
def _worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(verify_job, "_stop", threading.Event())
    monkeypatch.setattr(verify_job, "_PAUSE_S", 0.0)
    monkeypatch.setattr(verify_job, "_bench", lambda job, packed: SimpleNamespace(case_set="cases"))
    monkeypatch.setattr(verify_job, "_verification", lambda job, scratch: VERIFICATION)


def _says(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def verify_kernel(verification: Verification, bench: object) -> NoReturn:
        raise error

    monkeypatch.setattr(run, "verify_kernel", verify_kernel)


def test_a_full_disk_of_a_worker_is_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    _says(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/work"), monkeypatch)
    with pytest.raises(VerifyError, match=r"^worker: /var/work: No space left on device$") as caught:
        read_answer(run_boot_job(JOB, b""), KEY)
    assert "KDRIVER_CACHE" in str(caught.value.hint)


def test_the_exit_status_of_an_error_comes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    _says(IntegrityError("linux-image.deb: its digest is another", hint="Ask its owner."), monkeypatch)
    with pytest.raises(IntegrityError, match="its digest is another"):
        read_answer(run_boot_job(JOB, b""), KEY)
    tampered = none_verified(VERIFICATION, "it differs", IntegrityError("it differs"))
    monkeypatch.setattr(run, "verify_kernel", lambda verification, bench: tuple(tampered))
    found = read_answer(run_boot_job(JOB, b""), KEY)
    assert exit_status(found) == ExitCode.INTEGRITY
    assert found[0].verdict.fault == Fault.PACKAGE


def test_a_stopped_guest_leaves_its_job_to_another_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    _says(KeyboardInterrupt(), monkeypatch)
    with pytest.raises(distributed.Reschedule):
        run_boot_job(JOB, b"")
    verify_job.stop_guests()
    monkeypatch.setattr(run, "verify_kernel", lambda verification, bench: ())
    with pytest.raises(distributed.Reschedule):
        run_boot_job(JOB, b"")


def test_the_kernel_leaves_the_workers_cache_after_its_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = tmp_path / "cache" / "images" / IMAGE[:2]

    def verify_kernel(verification: Verification, bench: object) -> tuple[Verified, ...]:
        for name in (IMAGE, f"{IMAGE}-modules-loop", "e" * 63 + "f"):
            (images / name).mkdir(parents=True)
        return ()

    monkeypatch.setattr(run, "verify_kernel", verify_kernel)
    run_boot_job(JOB, b"")
    assert [path.name for path in images.iterdir()] == ["e" * 63 + "f"]


class _Cluster:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def about_source(self) -> tuple[bytes, str]:
        return b"", ""

    def ask(self, *words: object, **named: object) -> NoReturn:
        raise self._error


def _boot(error: Exception, monkeypatch: pytest.MonkeyPatch) -> tuple[Verified, ...]:
    monkeypatch.setattr("kdriver.commands.verify_cluster.make_boot_job", lambda *words, **named: {})
    monkeypatch.setattr("kdriver.commands.verify_cluster._records", lambda verification: {})
    bench: Any = SimpleNamespace(on_stage=lambda kernel, stage: None)
    cluster: Any = _Cluster(error)
    kernels: Any = {KEY: None}
    return Booting(cluster, kernels, ()).boot(VERIFICATION, bench)


@pytest.mark.parametrize("error", [OSError("in 127.0.0.1: no route\nmore"), RuntimeError("in 127.0.0.1: no route")])
def test_whatever_a_cluster_raises_concerns_one_kernel_only(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = _boot(error, monkeypatch)
    assert (one.verdict.outcome, one.verdict.fault) == (Outcome.NOT_VERIFIED, Fault.MACHINE)
    assert one.verdict.reason == "cluster: in 127.0.0.1: no route"


def test_a_cluster_that_was_left_gives_no_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoppedError):
        _boot(StoppedError("the build on the cluster was cancelled"), monkeypatch)


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ((KdriverError("x"), KdriverError("x")), ExitCode.SOME_FAILED),
        ((IntegrityError("x"), IntegrityError("x")), ExitCode.INTEGRITY),
        ((IntegrityError("x"), KdriverError("x")), ExitCode.BUILD),
        ((), ExitCode.VERIFICATION),
    ],
)
def test_one_kernel_without_any_driver_ends_as_its_builds_did(
    errors: tuple[KdriverError, ...], status: ExitCode
) -> None:
    kinds = (DriverKind.KMOD, DriverKind.BPF)
    none = Verification(
        KEY,
        "1.2.3-toy",
        _no_image,
        (),
        tuple((kind, "not built: x") for kind in kinds),
        unbuilt=tuple(zip(kinds, errors, strict=False)),
    )
    assert exit_status(missing_verdicts(none)) == status
