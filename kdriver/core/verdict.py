"""A verdict: what a verification of one driver on one kernel said."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

POLICY = "4"
"""The verifier's policy: raised whenever what a driver must do to pass changes otherwise than by the cases. Verdicts of
another policy are void."""


class Outcome(StrEnum):
    """The three outcomes; what could not be tried is not verified, never passed."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_VERIFIED = "not verified"


class Fault(StrEnum):
    """What kind of failure a verdict tells of: the first one, where there are several."""

    VERMAGIC = "vermagic"
    SYMBOLS = "symbols"
    LAYOUT = "layout"
    LICENSE = "license"
    SIGNATURE = "signature"
    SIZE = "size"
    TYPES = "types"
    NOT_BUILT = "not built"
    LACKING = "not possible"
    PACKAGE = "package"
    MACHINE = "machine"
    NO_BOOT = "no boot"
    NO_TURN = "no turn"
    LOAD_REFUSED = "load refused"
    NO_DEVICE = "no device"
    VERIFIER = "verifier said no"
    CASES = "cases failed"
    NO_EVENTS = "no events"
    WRONG_EVENTS = "wrong events"
    LOST_EVENTS = "lost events"
    TRIAL = "trial failed"
    NO_ANSWER = "no answer"
    UNLOAD = "unload failed"
    UNLOAD_HUNG = "unload hung"
    KERNEL_WARNED = "kernel warned"
    GUEST_BROKE = "guest broke"
    DISAGREEMENT = "drivers disagree"
    CHECK = "check failed"


STATIC_FAULTS = frozenset(
    {Fault.VERMAGIC, Fault.SYMBOLS, Fault.LAYOUT, Fault.LICENSE, Fault.SIGNATURE, Fault.SIZE, Fault.TYPES}
)
"""Those that are found without a guest."""


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
class CaseCounts:
    """The cases that a driver was judged by. failed: names, sorted. skipped: (name, reason) of those that could not run
    on this kernel."""

    passed: int = 0
    failed: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Keys are this class's fields; skipped is an object of names and reasons."""
        return {"passed": self.passed, "failed": list(self.failed), "skipped": dict(self.skipped)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> CaseCounts:
        """The inverse of to_json."""
        return cls(int(value["passed"]), tuple(value["failed"]), tuple(value["skipped"].items()))


@dataclass(frozen=True, slots=True)
class Difference:
    """A parameter of an event that was not what a case expected; both as a person reads them."""

    case: str
    event: str
    parameter: str
    expected: str
    seen: str

    def to_json(self) -> dict[str, str]:
        """A flat object; keys are this class's fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about one artifact on one kernel.

    kernel: the key of the kernel that was booted. events: how many events were compared with what the case
    program expected. failures: one line each, the first is also the reason. steps: step name to exit status.
    case_set: digest of the cases. image_sha256: of the booted kernel's package or file. date: UTC.
    facts: what else was measured (QEMU version, program type, drops, missed runs, boot seconds, digests of logs).
    fault: what kind of failure (a Fault), empty for one that passed. policy: POLICY of the verifier that gave it.
    catalogue: version and digest of the events' catalogue. durations: step name to seconds. differences: the events
    that were wrong, parameter by parameter.
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
    fault: str = ""
    policy: str = ""
    catalogue: str = ""
    cases: CaseCounts = field(default_factory=CaseCounts)
    durations: tuple[tuple[str, float], ...] = ()
    differences: tuple[Difference, ...] = ()

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
            "fault": self.fault,
            "policy": self.policy,
            "catalogue": self.catalogue,
            "cases": self.cases.to_json(),
            "durations": {name: round(seconds, 3) for name, seconds in self.durations},
            "differences": [one.to_json() for one in self.differences],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Verdict:
        """The inverse of to_json. A record from before policies were counted has none of their fields, and is void.
        Raises KeyError, TypeError or ValueError on a document of another shape."""
        fields = dict(value)
        fields["outcome"] = Outcome(value["outcome"])
        fields["checks"] = CheckCounts(**value["checks"])
        fields["failures"] = tuple(value["failures"])
        fields["steps"] = tuple(value["steps"].items())
        fields["facts"] = tuple(value["facts"].items())
        if "cases" in value:
            fields["cases"] = CaseCounts.from_json(value["cases"])
        fields["durations"] = tuple(value.get("durations", {}).items())
        fields["differences"] = tuple(Difference(**one) for one in value.get("differences", ()))
        return cls(**fields)


def void_reason(
    verdict: Verdict, *, artifact_sha256: str = "", image_sha256: str = "", case_set: str = "", policy: str = POLICY
) -> str:
    """Why a verdict says nothing any more: what it was about has changed since. Empty for one that holds.

    Each of the others is what counts now; an empty one is not compared, because it is not known.
    """
    if artifact_sha256 and verdict.artifact_sha256 != artifact_sha256:
        return "it is about another artifact"
    if verdict.policy != policy:
        return f"it was given by policy {verdict.policy or '1'} of the verifier, which is {policy} now"
    if verdict.outcome is Outcome.NOT_VERIFIED:
        return "" if verdict.reason else "it does not say why nothing was verified"
    if image_sha256 and verdict.image_sha256 != image_sha256:
        return f"the kernel's image is {image_sha256[:12]} now, {verdict.image_sha256[:12] or 'none'} was booted"
    # What was found without a guest does not depend on the cases.
    if case_set and verdict.case_set != case_set and verdict.fault not in STATIC_FAULTS:
        return "the cases have changed"
    return ""
