"""How far kernels are from one that was not found."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kernel_index.releases import parse_release

Distance = tuple[bool, tuple[int, ...], tuple[int, ...]]
"""(of another flavour, how far the numbers of the releases are apart from left to right, likewise of the builds)."""

_ARCHES = re.compile(r"x86_64|amd64|arm64|aarch64|ppc64le|s390x")
_NUMBER = re.compile(r"\d+")


def distance(release: str, build: str, other: str, other_build: str) -> Distance:
    """Between two kernels: a `uname -r` and a build each. Smaller is nearer."""
    return (
        _flavour(release) != _flavour(other),
        _apart(_numbers(release), _numbers(other)),
        _apart(_numbers(build), _numbers(other_build)),
    )


def nearest_keys(release: str, build: str, keys: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The kernels closest to `release` and `build`, closest first: same flavour before another one, then by how far
    apart the numbers are, from left to right. keys: `debian/x86_64/6.1.0-56-amd64/6.1.192-2`."""

    def rank(key: str) -> tuple[Distance, str]:
        _, _, other, other_build = (*key.split("/", 3), "", "", "")[:4]
        return distance(release, build, other, other_build), key

    return tuple(sorted(keys, key=rank)[:count])


def _apart(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    width = max(len(one), len(other))
    padded = one + (0,) * (width - len(one)), other + (0,) * (width - len(other))
    return tuple(abs(left - right) for left, right in zip(*padded, strict=True))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number[:18]) for number in _NUMBER.findall(_ARCHES.sub("", text[:200])))


def _flavour(release: str) -> str:
    """As the release's grammar names it; of a strange name the words at its end: `cloud-amd64`, `generic`."""
    try:
        return parse_release(release).flavour
    except ValueError:
        found = re.search(r"(?:-[a-z][a-z0-9]*)+$", release[:200])
        return found.group()[1:] if found else ""
