"""The verdict on a foreign driver: its own check said so, it loaded and unloaded, and the kernel did not complain."""

from __future__ import annotations

from collections.abc import Iterator

from kdriver.core.verdict import POLICY, Fault, Outcome, Verdict
from kdriver.verifier.guest import Ending, GuestRun
from kdriver.verifier.kernel_log import complaints, memory_complaints, taint_complaints
from kdriver.verifier.plan import DriverUnderTest
from kdriver.verifier.results import DriverRun, Step

SKIPPED = 77
"""The exit status by which a check says that it cannot be made on this kernel (as in Automake's tests)."""
_TIMED_OUT = 124
_SHOWN_LINES = 6
_STEP_WORDS = {
    "load": "the kernel refused the module",
    "check": "the driver's own check failed",
    "unload": "the driver could not be unloaded",
}


def foreign_verdict(
    driver: DriverUnderTest,
    guest: GuestRun,
    *,
    kernel: str,
    date: str,
    image_sha256: str,
    facts: tuple[tuple[str, str], ...] = (),
) -> Verdict:
    """Judge one foreign driver's run, which must be in the guest's result. The driver must have a check, though one of
    a module may have no words: it is then loaded and unloaded only, and the verdict's facts say so."""
    assert driver.check is not None
    run = guest.result.runs[str(driver.kind)]
    failures = tuple(dict.fromkeys(_failures(driver, run, guest)))
    check = run.step("check")
    skipped = check is not None and check.status == SKIPPED and not failures
    outcome = Outcome.FAILED if failures else Outcome.NOT_VERIFIED if skipped else Outcome.PASSED
    reason = failures[0] if failures else ""
    if skipped and check is not None:
        reason = f"check: cannot be made on this kernel: {_said(check) or 'it does not say why'}"
    return Verdict(
        kernel=kernel,
        kind=str(driver.kind),
        artifact_sha256=driver.sha256,
        outcome=outcome,
        reason=reason,
        seconds=sum(step.ms for step in run.steps) / 1000,
        date=date,
        failures=failures,
        case_set=driver.check.sha256,
        image_sha256=image_sha256,
        steps=tuple((step.name, step.status) for step in run.steps),
        facts=(("check", _told(driver, check)), *facts),
        fault=_fault(failures[0]) if failures else Fault.CHECK if skipped else "",
        policy=POLICY,
        durations=tuple((step.name, step.ms / 1000) for step in run.steps),
    )


def _fault(failure: str) -> str:
    """What kind of failure a line tells of, by the step that it names."""
    kinds = {"load": Fault.LOAD_REFUSED, "check": Fault.CHECK, "unload": Fault.UNLOAD}
    kinds |= {"kernel log": Fault.KERNEL_WARNED, "kernel taint": Fault.KERNEL_WARNED}
    return str(kinds.get(failure.partition(":")[0], Fault.GUEST_BROKE))


def _failures(driver: DriverUnderTest, run: DriverRun, guest: GuestRun) -> Iterator[str]:
    assert driver.check is not None
    for step in run.steps:
        if step.status and not (step.name == "check" and step.status == SKIPPED):
            yield f"{step.name}: {_STEP_WORDS.get(step.name, 'failed')}: {_detail(step)}"
    if not run.done:
        yield guest.reason or f"the guest ended in stage {run.stage}"
    elif guest.ending is Ending.GARBLED:
        yield guest.reason
    elif driver.check.words and run.step("check") is None and all(step.status == 0 for step in run.steps):
        yield "check: this step never ran"
    elif str(driver.kind) == "kmod" and run.step("load") is None:
        yield "load: this step never ran"
    yield from (f"kernel log: {text}" for text in complaints(run.messages))
    yield from (f"kernel taint: {text}" for text in taint_complaints(run.taint_before, run.taint_after))
    yield from memory_complaints(run.pages_kept_kb)
    if run.messages_left_out:
        yield f"kernel log: {run.messages_left_out} messages more than could be reported"


def _detail(step: Step) -> str:
    if step.status == _TIMED_OUT:
        return f"it did not end in time; {_said(step)}"
    status = f"exit status {step.status}" if step.name == "check" else ""
    return "; ".join(part for part in (status, _said(step)) if part) or f"status {step.status}"


def _said(step: Step) -> str:
    return " | ".join(line.strip() for line in step.detail.strip().splitlines()[-_SHOWN_LINES:])


def _told(driver: DriverUnderTest, check: Step | None) -> str:
    assert driver.check is not None
    if not driver.check.words:
        return "none: loaded and unloaded only"
    if check is None:
        return f"{driver.check.words[0]}: never ran"
    return f"{' '.join(driver.check.words)}: exit status {check.status}" + (f": {_said(check)}" if _said(check) else "")
