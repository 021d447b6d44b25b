"""What verdicts say of clangs: whose objects the verifier of a kernel refused. Kept as data in the cache, a file for
each kernel, and heeded by the next build."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from builder.store import RECORD
from kdriver.core.artifact import DriverKind
from kdriver.core.verdict import Outcome, Verdict

_LOAD_STEPS = ("open", "reopen")
_REFUSED = 7
"""The exit status of the program that loads a driver, where the kernel refused it."""


def refused_clangs(kernel: str, cache: Path, driver: str = "") -> dict[str, str]:
    """Names of clangs (`clang-16`) to the first line of why, of a kernel's key; empty when nothing is known.

    driver: digest of the driver source; what the kernel said of another source is not held against a clang.
    """
    return {
        name: str(one["reason"])
        for name, one in _read(_file(kernel, cache)).items()
        if not driver or one.get("driver", "") in ("", driver)
    }


def learn_beside(verdict: Verdict, file: Path, cache: Path) -> None:
    """Take in a verdict on a driver file, whose record stands beside it; one without a record teaches nothing."""
    for beside in (file.with_name(RECORD), file.with_name(f"{file.name}.json")):
        try:
            record = json.loads(beside.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and record.get("sha256") == verdict.artifact_sha256:
            learn(verdict, str(record.get("compiler", "")), cache, _driver_of(record))
            return


def learn(verdict: Verdict, compiler: str, cache: Path, driver: str = "") -> None:
    """Take in a verdict on an object of a clang, named by the compiler's own words. One that loaded takes back what
    was held against its clang; one that the kernel refused to load counts against it, for this driver source."""
    name = clang_name(compiler)
    if verdict.kind != DriverKind.BPF or not name:
        return
    path = _file(verdict.kernel, cache)
    known = _read(path)
    steps = dict(verdict.steps)
    if any(steps.get(step) == _REFUSED for step in _LOAD_STEPS):
        known[name] = {
            "compiler": compiler,
            "artifact": verdict.artifact_sha256,
            "driver": driver,
            "reason": verdict.reason.splitlines()[0] if verdict.reason else "",
            "date": verdict.date,
        }
    elif verdict.outcome is Outcome.PASSED:
        known.pop(name, None)
    else:
        return
    _write(path, known)


def _driver_of(record: dict[str, Any]) -> str:
    """The digest of the driver source that a record names, else nothing."""
    inputs = record.get("inputs")
    for entry in inputs if isinstance(inputs, list) else []:
        if isinstance(entry, dict) and entry.get("name") == "driver source":
            return str(entry.get("sha256", ""))
    return ""


def clang_name(compiler: str) -> str:
    """`clang-16` of `Debian clang version 16.0.6 (15~deb12u1)`; empty for anything else."""
    found = re.search(r"clang version (\d+)\.", compiler)
    return f"clang-{found[1]}" if found else ""


def _file(kernel: str, cache: Path) -> Path:
    return cache / "clangs" / (kernel.replace("/", "_") + ".json")


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write(path: Path, known: dict[str, dict[str, Any]]) -> None:
    if not known:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(known, indent=2) + "\n")
    fresh.replace(path)
