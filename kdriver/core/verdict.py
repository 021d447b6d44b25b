"""A verdict: what a verification of one driver on one kernel said."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """The three outcomes; what could not be tried is not verified, never passed."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_VERIFIED = "not verified"


@dataclass(frozen=True, slots=True)
class CheckCounts:
    """How many parameters were compared by each kind of check."""

    exact: int = 0
    between: int = 0
    unchecked: int = 0

    def to_json(self) -> dict[str, int]:
        """A flat object; keys are this class's fields."""
        return {"exact": self.exact, "between": self.between, "unchecked": self.unchecked}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about one artifact on one kernel.

    kernel: the key of the kernel that was booted. events: how many events were compared with what the case
    program expected. failures: one line each, the first is also the reason. steps: step name to exit status.
    case_set: digest of the case program. image_sha256: of the booted kernel's package or file. date: UTC.
    facts: what else was measured (QEMU version, program type, drops, missed runs, boot seconds).
    """

    kernel: str
    kind: str
    artifact_sha256: str
    outcome: Outcome
    reason: str
    seconds: float
    date: str
    events: int = 0
    checks: CheckCounts = field(default_factory=CheckCounts)
    failures: tuple[str, ...] = ()
    schema: str = ""
    case_set: str = ""
    image_sha256: str = ""
    steps: tuple[tuple[str, int], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The record that is published beside the artifact."""
        return {
            "kernel": self.kernel,
            "kind": self.kind,
            "artifact_sha256": self.artifact_sha256,
            "outcome": str(self.outcome),
            "reason": self.reason,
            "seconds": round(self.seconds, 2),
            "date": self.date,
            "events": self.events,
            "checks": self.checks.to_json(),
            "failures": list(self.failures),
            "schema": self.schema,
            "case_set": self.case_set,
            "image_sha256": self.image_sha256,
            "steps": dict(self.steps),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Verdict:
        """The inverse of to_json. Raises KeyError, TypeError or ValueError on a document of another shape."""
        fields = dict(value)
        fields["outcome"] = Outcome(value["outcome"])
        fields["checks"] = CheckCounts(**value["checks"])
        fields["failures"] = tuple(value["failures"])
        fields["steps"] = tuple(value["steps"].items())
        fields["facts"] = tuple(value["facts"].items())
        return cls(**fields)
