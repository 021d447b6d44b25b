"""Order of RPM versions and releases (rpm-version(7); rpmvercmp of rpm 4.15 and later, with `~` and `^`)."""

from __future__ import annotations

import re

RpmKey = tuple[tuple[int, int, str], ...]
"""Compares as rpm does."""

_SEGMENTS = re.compile(r"(~)|(\^)|([A-Za-z]+)|([0-9]+)")
_TILDE, _END, _CARET, _LETTERS, _DIGITS = range(5)
"""What a segment is, in rpm's order: a tilde comes before even the end, a caret after the end and before all else."""
_RANKS = (_TILDE, _CARET, _LETTERS, _DIGITS)


def rpm_key(text: str) -> RpmKey:
    """The sort key of a version or of a release (not of both with a hyphen). What separates the segments does not
    count: `1.0` and `1_0` have one key."""
    return (*map(_segment, _SEGMENTS.finditer(text)), (_END, 0, ""))


def evr_key(epoch: int, version: str, release: str) -> tuple[int, RpmKey, RpmKey]:
    """The sort key of a package."""
    return epoch, rpm_key(version), rpm_key(release)


def _segment(match: re.Match[str]) -> tuple[int, int, str]:
    kind = match.lastindex or 0
    if kind < 4:
        return _RANKS[kind - 1], 0, match[0]
    # Compared by length first: no number is too long, and Python's own conversion has a limit.
    digits = match[0].lstrip("0")
    return _DIGITS, len(digits), digits
