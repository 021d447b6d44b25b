"""One build as a document that travels, and what a worker makes of it. A job may run twice: it only adds to the
worker's own content-addressed cache, and the second time finds it there."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from builder.choice import ExecutorName, Toolchains, make_toolchains
from builder.failure import Failure
from builder.plan import BuildPlan
from builder.result import BuildOutcome, BuildResult
from builder.run import RunOptions, run_builds
from builder.source import SETTINGS, DriverSource, foreign_files, load_source
from kdriver.core.artifact import DriverKind
from kdriver.core.kernel import Kernel
from kdriver.core.paths import cache_dir
from kdriver.version import VERSION

_LOG_BYTES = 1 << 18
_TIDY_S = 300.0
_lock = threading.Lock()
_settings: dict[str, Any] = {"executor": ExecutorName.AUTO, "toolchains": None, "tidied": None}
"""Of this worker's process."""


def set_executor(name: ExecutorName) -> None:
    """How jobs of this process build: here, in containers, or whichever fits."""
    with _lock:
        _settings.update(executor=name, toolchains=None)


def toolchains() -> Toolchains:
    """The toolchains of this process. Raises what make_toolchains raises."""
    with _lock:
        if _settings["toolchains"] is None:
            _settings["toolchains"] = make_toolchains(_settings["executor"], cache_dir())
        found: Toolchains = _settings["toolchains"]
        return found


def make_job(
    plan: BuildPlan, source: DriverSource, digest: str, *, force: bool, mirrors: tuple[str, ...]
) -> dict[str, Any]:
    """A plan as a document: the kernel as the index has it, so that a worker needs no index of its own."""
    named = None if (source.folder / SETTINGS).is_file() else source.name
    return {
        "version": VERSION,
        "kernel": plan.kernel.to_json(),
        "kind": str(plan.kind),
        "name": plan.name,
        "source": digest,
        "source_name": named,
        "force": force,
        "mirrors": list(mirrors),
    }


def pack_source(source: DriverSource) -> tuple[bytes, str]:
    """A driver source as an archive that is the same wherever it is made, and its SHA-256."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(foreign_files(source.folder)):
            content = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(source.folder).as_posix())
            member.size, member.mode = len(content), 0o755 if path.stat().st_mode & 0o100 else 0o644
            tar.addfile(member, io.BytesIO(content))
    content = out.getvalue()
    return content, hashlib.sha256(content).hexdigest()


def run_job(job: dict[str, Any], packed: bytes) -> dict[str, Any]:
    """Build on this worker; the artifact's bytes and record, or why there is none. Never raises for a build that
    fails."""
    if job["version"] != VERSION:
        return _refused(f"the worker runs kdriver {VERSION}, the build is of {job['version']}")
    source = load_source(unpacked(packed, job["source"]), job["source_name"])
    plan = BuildPlan(Kernel.from_json(job["kernel"]), DriverKind(job["kind"]), job["name"])
    options = RunOptions(force=job["force"], mirrors=tuple(job["mirrors"]), tidy=is_time_to_tidy())
    (result,) = run_builds([plan], source, options, toolchains=toolchains())
    return _document(result)


def is_time_to_tidy(now: float | None = None) -> bool:
    """Whether this job keeps the worker's cache below its limit: the first one, and then one every few minutes. Each
    would read the whole cache for a single file."""
    moment = time.monotonic() if now is None else now
    with _lock:
        last = _settings["tidied"]
        due = last is None or moment - last >= _TIDY_S
        if due:
            _settings["tidied"] = moment
        return due


def _document(result: BuildResult) -> dict[str, Any]:
    log = result.log.read_bytes()[-_LOG_BYTES:] if result.log is not None and result.log.is_file() else b""
    return {
        "fresh": result.outcome is BuildOutcome.BUILT,
        "artifact": result.artifact.read_bytes() if result.artifact is not None else b"",
        "record": result.record.to_json() if result.record is not None else None,
        "failure": result.failure,
        "reason": result.reason,
        "hint": result.hint,
        "detail": result.detail,
        "log": log,
    }


def _refused(reason: str) -> dict[str, Any]:
    fields = dict.fromkeys(("hint", "detail"), "")
    return {
        "fresh": False, "artifact": b"", "record": None, "failure": str(Failure.WORKER), "log": b"", **fields,
        "reason": f"{Failure.WORKER}: {reason}",
    }  # fmt: skip


def unpacked(packed: bytes, digest: str) -> Path:
    """The folder of a driver source that came with a job; unpacked when it was not there."""
    home = cache_dir() / "sources" / digest[:32]
    with _lock:
        if not home.is_dir():
            home.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".source-", dir=home.parent) as scratch:
                fresh = Path(scratch) / "fresh"
                fresh.mkdir(mode=0o755)
                with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
                    tar.extractall(fresh, filter="data")
                fresh.rename(home)
    return home
