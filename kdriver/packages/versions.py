"""Order of Debian package versions (Policy 5.6.12; deb-version(7))."""

from __future__ import annotations

import functools
import re

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")


def compare(left: str, right: str) -> int:
    """Negative, zero or positive, as `left` sorts before, with or after `right`."""
    for one, other in zip(_split(left), _split(right), strict=True):
        order = _compare_part(one, other)
        if order:
            return order
    return 0


version_key = functools.cmp_to_key(compare)
"""The sort key of a version."""


def satisfies(version: str, operator: str, wanted: str) -> bool:
    """Whether a version meets a relation; an empty operator is met by any."""
    if not operator:
        return True
    order = compare(version, wanted)
    return {"<<": order < 0, "<=": order <= 0, "=": order == 0, ">=": order >= 0, ">>": order > 0}[operator]


def _split(version: str) -> tuple[str, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return epoch, upstream, revision or "0"


def _compare_part(left: str, right: str) -> int:
    ours, theirs = _PARTS.findall(left), _PARTS.findall(right)
    for index in range(max(len(ours), len(theirs))):
        text, digits = ours[index] if index < len(ours) else ("", "")
        other_text, other_digits = theirs[index] if index < len(theirs) else ("", "")
        one, other = _text_key(text), _text_key(other_text)
        if one != other:
            return -1 if one < other else 1
        number, other_number = _number_key(digits), _number_key(other_digits)
        if number != other_number:
            return -1 if number < other_number else 1
    return 0


def _number_key(digits: str) -> tuple[int, str]:
    """By length, then by digits: Python's own conversion refuses numbers of thousands of digits."""
    significant = digits.lstrip("0")
    return len(significant), significant


def _text_key(text: str) -> list[int]:
    """`~` sorts before the end of a part, letters before everything else."""
    return [-1 if char == "~" else ord(char) if char.isalpha() else ord(char) + 256 for char in text] + [0]
