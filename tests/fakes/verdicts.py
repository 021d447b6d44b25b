"""Verdicts that nobody gave, for pages and tables that show them."""

from __future__ import annotations

from pathlib import Path

from kdriver.core.kernel import Kernel
from kdriver.core.verdict import POLICY, Outcome, Verdict
from kdriver.verifier.journal import Told

TITLES = {"debian11": "Debian 11 (bullseye)", "debian12": "Debian 12 (bookworm)"}


def indexed(release: str, distro_release: str = "debian12", version: str = "1-1") -> Kernel:
    """A kernel of the index, without packages."""
    return Kernel("debian", distro_release, release, version, version, "x86_64", "amd64", ())


def told(
    kernel: Kernel | str,
    kind: str = "kmod",
    outcome: Outcome = Outcome.PASSED,
    *,
    day: int = 20,
    reason: str = "",
    artifact: str = "a" * 64,
    console: Path | None = None,
    policy: str = POLICY,
    image: str = "",
) -> Told:
    """A verdict of that day of November 2026. image: digest of what was booted."""
    key = kernel if isinstance(kernel, str) else kernel.key
    events = 0 if outcome is Outcome.NOT_VERIFIED else 2571
    date = f"2026-11-{day:02}T03:04:05Z"
    verdict = Verdict(key, kind, artifact, outcome, reason, 3.0, date, events=events, policy=policy, image_sha256=image)
    return Told(verdict, "here", console)
