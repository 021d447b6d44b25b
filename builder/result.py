"""What became of one build."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from kdriver.core.artifact import Artifact, DriverKind
from kdriver.core.errors import ExitCode


class BuildOutcome(StrEnum):
    """built: now. cached: the same build was there. shared: another build's file serves, proved to fit. skipped: known
    bad, cannot work, or not tried, with the reason. failed: with its class."""

    BUILT = "built"
    CACHED = "cached"
    SHARED = "shared"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BuildResult:
    """One kernel's driver of one kind. reason: one line, empty when there is an artifact. detail: the lines of the log
    that matter. failure: the class of a failure, empty for the other outcomes. line: the line of the table of known bad
    kernels that skipped it. artifact: the file in the store or where --out put it; record: what it was built from.
    signed, signed_record: the signed file of the same build, where one was asked for. reproduced: what a second build
    said of it: `identical`, `different`, empty when there was none. exit_code: what a batch of this alone exits with.
    """

    kernel: str
    kind: DriverKind
    outcome: BuildOutcome
    seconds: float = 0.0
    reason: str = ""
    failure: str = ""
    line: str = ""
    hint: str = ""
    detail: str = ""
    artifact: Path | None = None
    record: Artifact | None = None
    log: Path | None = None
    reproduced: str = ""
    signed: Path | None = None
    signed_record: Artifact | None = None
    exit_code: ExitCode = ExitCode.DONE

    @property
    def shared_with(self) -> str:
        """The kernel that the file was built for, where that is another one; empty for a CO-RE object."""
        shared = self.outcome is BuildOutcome.SHARED and self.record is not None and self.kind is not DriverKind.CORE
        return self.record.code_of or self.record.kernel if shared and self.record is not None else ""

    @property
    def ok(self) -> bool:
        """Whether there is an artifact."""
        return self.artifact is not None

    def to_json(self) -> dict[str, Any]:
        """What `kdriver build --json` prints for it. Empty texts and null where there is no artifact or log."""
        return {
            "kernel": self.kernel,
            "kind": str(self.kind),
            "outcome": str(self.outcome),
            "failure": self.failure,
            "reason": self.reason,
            "line": self.line,
            "hint": self.hint,
            "seconds": round(self.seconds, 2),
            "artifact": str(self.artifact) if self.artifact else None,
            "sha256": self.record.sha256 if self.record else "",
            "size_bytes": self.record.size_bytes if self.record else 0,
            "compiler": self.record.compiler if self.record else "",
            "signed": str(self.signed) if self.signed else None,
            "signer": self.signed_record.signer if self.signed_record else "",
            "reproduced": self.reproduced,
            "shared_with": self.shared_with,
            "twin_of": self.record.twin_of if self.record else "",
            "log": str(self.log) if self.log else None,
        }
