"""Which verifications need not be made again, and how long the others may take: by the verdicts that are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from kdriver.core.errors import IntegrityError
from kdriver.core.verdict import Fault, Outcome, Verdict, void_reason
from kdriver.verifier.journal import read_journal
from kdriver.verifier.plan import DriverUnderTest
from kdriver.verifier.records import read_verdict
from kdriver.verifier.run import Verification, Verified

_UNKNOWN_SECONDS = 30.0
_SLOW_FLAVOURS = {"rt": 2.0, "cloud": 0.5}
"""How much longer than a generic kernel one of a flavour takes, where nothing is known of it; measured, roughly."""


def split_covered(
    verifications: Sequence[Verification], case_set: str
) -> tuple[tuple[Verification, ...], tuple[Verified, ...]]:
    """What is left to verify, without kernels of which nothing is, and the verdicts that hold.

    A verdict covers a driver when it passed or failed and is not void. What could not be verified is tried again.
    """
    left: list[Verification] = []
    kept: list[Verified] = []
    for one in verifications:
        covered = {driver.kind: found for driver in one.drivers if (found := covering(one, driver, case_set))}
        kept += [Verified(verdict, kept=True) for verdict in covered.values()]
        rest = replace(one, drivers=tuple(driver for driver in one.drivers if driver.kind not in covered))
        if rest.drivers or rest.missing or rest.lacking or rest.unserved:
            left.append(rest)
    return tuple(left), tuple(kept)


def outlived(verdict: Verdict, verification: Verification, case_set: str) -> Verdict | None:
    """The earlier verdict that holds on, where a new one only says that this machine or a server was at fault: nothing
    was learnt about the driver."""
    if verdict.outcome is not Outcome.NOT_VERIFIED or verdict.fault not in (Fault.MACHINE, Fault.PACKAGE):
        return None
    mine = [driver for driver in verification.drivers if driver.sha256 and driver.sha256 == verdict.artifact_sha256]
    return covering(verification, mine[0], case_set) if mine else None


def covering(verification: Verification, driver: DriverUnderTest, case_set: str) -> Verdict | None:
    """The verdict on a driver that still holds; None where there is none."""
    try:
        found = read_verdict(driver.sha256, verification.kernel)
    except IntegrityError:
        return None  # a record that cannot be read covers nothing; the new verdict takes its place
    if found is None or found.outcome is Outcome.NOT_VERIFIED:
        return None
    if dict(found.facts).get("modules", "") != " ".join(verification.modules):
        return None  # tried among other modules of the kernel's own
    cases = case_set if driver.check is None else driver.check.sha256
    void = void_reason(found, artifact_sha256=driver.sha256, image_sha256=verification.image_sha256, case_set=cases)
    return None if void else found


class OfKernel(Protocol):
    """Whatever is about one kernel."""

    @property
    def kernel(self) -> str:
        """Its key."""
        ...

    @property
    def release(self) -> str:
        """Its `uname -r`."""
        ...


def expected_seconds(kernels: Sequence[OfKernel]) -> dict[str, float]:
    """By kernel, how long its guest took last; of a kernel that never ran here a guess by its flavour. For the order
    only: the slowest first, so that none of them is left running alone at the end."""
    known: dict[str, float] = {}
    for told in read_journal([]):
        with contextlib.suppress(KeyError, ValueError):
            known[told.verdict.kernel] = float(dict(told.verdict.facts)["guest_seconds"])
    return {one.kernel: known.get(one.kernel, _guess(one.release)) for one in kernels}


def _guess(release: str) -> float:
    return _UNKNOWN_SECONDS * next((factor for word, factor in _SLOW_FLAVOURS.items() if f"-{word}-" in release), 1.0)
