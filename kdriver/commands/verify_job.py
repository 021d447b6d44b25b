"""One kernel's verification as a document that travels, and what a worker of a cluster makes of it."""

from __future__ import annotations

import base64
import contextlib
import functools
import shutil
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdriver.core.artifact import Artifact
from kdriver.core.errors import ConfigError, KdriverError, VerifyError, error_of_status
from kdriver.core.kernel import Kernel
from kdriver.core.paths import cache_dir
from kdriver.core.verdict import POLICY, Verdict
from kdriver.version import VERSION

if TYPE_CHECKING:
    from builder.source import DriverSource
    from kdriver.verifier.plan import GuestTools
    from kdriver.verifier.run import Bench, Verification, Verified

_LOG_BYTES = 1 << 20
_stop = threading.Event()
_lock = threading.Lock()
_unpacking: Counter[str] = Counter()
"""Kernels whose jobs run in this process."""
_PAUSE_S = 0.5


def can_boot() -> bool:
    """Whether this machine has QEMU."""
    from kdriver.verifier.accelerator import find_qemu

    try:
        find_qemu()
    except ConfigError:
        return False
    return True


def stop_guests() -> None:
    """End the guests of this process: their jobs are given to others."""
    _stop.set()


def make_boot_job(
    kernel: Kernel,
    verification: Verification,
    records: Mapping[str, Artifact],
    bench: Bench,
    *,
    source: str,
    mirrors: Sequence[str],
) -> dict[str, Any]:
    """A verification as a document. records: of its drivers, by their digests. source: digest of the packed source."""
    return {
        "version": VERSION,
        "policy": POLICY,
        "kernel": kernel.to_json(),
        "drivers": [
            {"record": records[driver.sha256].to_json(), "content": _packed(driver.path.read_bytes())}
            for driver in verification.drivers
        ],
        "modules": list(verification.modules),
        "source": source,
        "case_set": bench.case_set,
        "only": list(bench.only),
        "total_s": bench.limits.total_s,
        "strace": bool(bench.strace),
        "mirrors": list(mirrors),
    }


def run_boot_job(job: dict[str, Any], packed: bytes) -> dict[str, Any]:
    """Verify on this worker. {"refused": why, or ""; "verdicts": [{"verdict", "console", "error", "hint", "status"}]}.
    What can go wrong with the worker is in the answer, too; when the worker ends, the job is given to another."""
    from distributed import Reschedule

    if _stop.is_set():
        time.sleep(_PAUSE_S)  # it may come back here until the worker has left the cluster
        raise Reschedule
    try:
        answer = _boot(job, packed)
    except KeyboardInterrupt:  # of a guest that was stopped; dask would end the worker with it
        raise Reschedule from None
    if _stop.is_set():
        raise Reschedule  # no verdict of a guest that was stopped leaves the worker
    return answer


def _boot(job: dict[str, Any], packed: bytes) -> dict[str, Any]:
    from kdriver.verifier.run import verify_kernel

    if (job["version"], job["policy"]) != (VERSION, POLICY):
        return {"refused": f"the worker runs kdriver {VERSION}, the job is of {job['version']}", "verdicts": []}
    try:
        bench = _bench(job, packed)
        if bench.case_set != job["case_set"]:
            return {"refused": "the worker renders other cases from the same source", "verdicts": []}
        with tempfile.TemporaryDirectory(prefix="boot-", dir=_work()) as scratch:
            verification = _verification(job, Path(scratch))
            with _kernel_unpacked(verification):
                verified = verify_kernel(verification, bench)
        return {"refused": "", "verdicts": [_document(one) for one in verified]}
    except KdriverError as error:
        return {
            "refused": error.message, "hint": error.hint or "", "status": int(error.exit_code), "verdicts": []
        }  # fmt: skip
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        hint = "Check that the worker's cache (KDRIVER_CACHE) and TMPDIR have space and can be written."
        status = int(VerifyError.exit_code)
        return {"refused": f"{place}{error.strerror or error}", "hint": hint, "status": status, "verdicts": []}


@contextlib.contextmanager
def _kernel_unpacked(verification: Verification) -> Iterator[None]:
    """What a guest boots takes 60 MB for each kernel: it goes after the verdict, when no other job or process of this
    cache may use it."""
    from builder.keep import used_by_others

    with _lock:
        _unpacking[verification.kernel] += 1
    try:
        yield
    finally:
        with _lock:
            _unpacking[verification.kernel] -= 1
            sha256 = verification.image_sha256
            if sha256 and not _unpacking[verification.kernel] and not used_by_others(cache_dir()):
                for folder in (cache_dir() / "images" / sha256[:2]).glob(f"{sha256}*"):
                    shutil.rmtree(folder, ignore_errors=True)


def read_answer(answer: Mapping[str, Any], kernel: str) -> list[Verified]:
    """The verdicts that a worker sent, their console logs kept here. Raises what stopped it where it gave none."""
    from kdriver.verifier.run import Verified

    if answer["refused"]:
        status = int(answer.get("status", VerifyError.exit_code))
        raise error_of_status(status, f"worker: {answer['refused']}", hint=str(answer.get("hint", "")) or None)
    folder = cache_dir() / "logs" / "verify" / kernel.replace("/", "_")
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for one in answer["verdicts"]:
        console = None
        if one["console"]:
            console = folder / one["console_name"]
            console.write_bytes(_unpacked(one["console"]))
        error = error_of_status(one["status"], one["error"], hint=one["hint"] or None) if one["error"] else None
        found.append(Verified(Verdict.from_json(one["verdict"]), console, error))
    return found


def _verification(job: dict[str, Any], scratch: Path) -> Verification:
    from builder.headers import kept_build_dir
    from kdriver.commands.verify_targets import image_sha256, kernel_image
    from kdriver.verifier.artifacts import FoundArtifact, under_test
    from kdriver.verifier.run import Verification

    kernel = Kernel.from_json(job["kernel"])
    drivers = []
    for number, one in enumerate(job["drivers"]):
        record = Artifact.from_json(one["record"])
        path = scratch / str(number) / record.file_name
        path.parent.mkdir()
        path.write_bytes(_unpacked(one["content"]))
        drivers.append(under_test(FoundArtifact(path, record)))
    modules = tuple(job["modules"])
    return Verification(
        kernel.key,
        kernel.release,
        partial(kernel_image, kernel, modules, tuple(job["mirrors"])),
        tuple(drivers),
        headers=kept_build_dir(kernel, cache_dir() / "headers"),
        image_sha256=image_sha256(kernel),
        modules=modules,
    )


def _bench(job: dict[str, Any], packed: bytes) -> Bench:
    from builder.cluster.job import unpacked
    from builder.source import catalogue_version, digest_cases, load_source, render_headers
    from kdriver.catalogue.load import load_catalogue
    from kdriver.verifier.accelerator import find_qemu
    from kdriver.verifier.plan import Limits
    from kdriver.verifier.run import Bench
    from kdriver.verifier.strace_files import find_strace

    source = load_source(unpacked(packed, job["source"]))
    generated = render_headers(source, cache_dir() / "generated")
    with _lock:
        tools = _tools(source)
    return Bench(
        tools,
        load_catalogue(source.folder),
        find_qemu(),
        limits=Limits(total_s=job["total_s"]),
        strace=find_strace() if job["strace"] else (),
        case_set=digest_cases(source, generated),
        catalogue_version=catalogue_version(source, generated),
        only=tuple(job["only"]),
        stop=_stop,
    )


@functools.lru_cache(maxsize=2)
def _tools(source: DriverSource) -> GuestTools:
    from builder.tools import build_tools

    return build_tools(source=source)


def _work() -> Path:
    work = cache_dir() / "work"
    work.mkdir(parents=True, exist_ok=True)
    return work


def _document(one: Verified) -> dict[str, Any]:
    console = one.console if one.console is not None and one.console.is_file() else None
    return {
        "verdict": one.verdict.to_json(),
        "console": _packed(console.read_bytes()[-_LOG_BYTES:]) if console else "",
        "console_name": console.name if console else "",
        "error": one.error.message if one.error else "",
        "hint": (one.error.hint or "") if one.error else "",
        "status": int(one.error.exit_code) if one.error else 0,
    }


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))
