"""Order of RPM versions: rpmvercmp and epoch:version-release (rpm docs/manual/dependencies.md, rpm-version(7))."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")


@dataclass(frozen=True, slots=True)
class Evr:
    """Epoch, version and release of a package. `str` gives `1:4.18.0-80.el8`, without an epoch of 0."""

    epoch: int
    version: str
    release: str

    @classmethod
    def parse(cls, text: str) -> Evr:
        """Of `[epoch:]version[-release]`. Raises ValueError."""
        head, colon, rest = text.partition(":")
        epoch, rest = (head, rest) if colon else ("0", text)
        version, _, release = rest.rpartition("-") if "-" in rest else (rest, "", "")
        if not epoch.isdecimal() or not epoch.isascii() or not version:
            raise ValueError(f"no version of a package: {text!r}")
        return cls(int(epoch), version, release)

    def __str__(self) -> str:
        """As rpm prints it."""
        epoch = f"{self.epoch}:" if self.epoch else ""
        return f"{epoch}{self.version}-{self.release}" if self.release else f"{epoch}{self.version}"


def compare_segments(left: str, right: str) -> int:
    """rpmvercmp: negative, zero or positive, as `left` sorts before, with or after `right`.

    Only runs of digits and runs of letters count, what separates them does not; digits are newer than letters;
    `~` sorts before the end, `^` after the end and before anything else.
    """
    ours, theirs = _SEGMENT.findall(left), _SEGMENT.findall(right)
    for index in range(max(len(ours), len(theirs))):
        one = _rank(ours[index] if index < len(ours) else "")
        other = _rank(theirs[index] if index < len(theirs) else "")
        if one != other:
            return -1 if one < other else 1
    return 0


def _rank(segment: str) -> tuple[int, int, str]:
    """`~` < the end < `^` < letters < digits."""
    if segment == "~":
        return 0, 0, ""
    if not segment:
        return 1, 0, ""
    if segment == "^":
        return 2, 0, ""
    if segment.isalpha():
        return 3, 0, segment
    digits = segment.lstrip("0")
    return 4, len(digits), digits


def compare_evr(left: Evr, right: Evr) -> int:
    """As compare_segments, of epochs, then versions, then releases."""
    if left.epoch != right.epoch:
        return -1 if left.epoch < right.epoch else 1
    return compare_segments(left.version, right.version) or compare_segments(left.release, right.release)


def compare(left: str, right: str) -> int:
    """compare_evr of two texts. Raises ValueError."""
    return compare_evr(Evr.parse(left), Evr.parse(right))


version_key = functools.cmp_to_key(compare)
"""The sort key of `[epoch:]version[-release]`."""

evr_key = functools.cmp_to_key(compare_evr)
"""The sort key of an Evr."""
