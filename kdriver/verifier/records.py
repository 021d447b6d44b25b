"""Where verdicts are kept: by the digest of the artifact and the kernel they are about."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from kdriver.core.errors import IntegrityError
from kdriver.core.paths import cache_dir
from kdriver.core.verdict import Verdict


def verdict_path(artifact_sha256: str, kernel: str) -> Path:
    """`<cache>/verdicts/<artifact's sha256>/<kernel's key with / as _>.json`."""
    return cache_dir() / "verdicts" / artifact_sha256 / (kernel.replace("/", "_") + ".json")


def write_verdict(verdict: Verdict) -> Path:
    """Keep a verdict, in place of an earlier one; a reader sees the old or the new, never half of one."""
    path = verdict_path(verdict.artifact_sha256, verdict.kernel)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as stream:
            json.dump(verdict.to_json(), stream, indent=2)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return path


def read_verdict(artifact_sha256: str, kernel: str) -> Verdict | None:
    """The verdict on one artifact and kernel; None where there is none. Raises IntegrityError for a broken file."""
    path = verdict_path(artifact_sha256, kernel)
    if not path.exists():
        return None
    try:
        return Verdict.from_json(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{path}: is no verdict ({error!r})", hint="Delete it and verify again.") from error
