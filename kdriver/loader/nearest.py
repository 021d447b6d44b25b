"""Names that are close to one that was not found."""

from __future__ import annotations

import re


def nearest_keys(release: str, build: str, keys: tuple[str, ...], count: int = 3) -> tuple[str, ...]:
    """The kernels closest to `release` and `build`, closest first: same flavour before another one, then by how far
    apart the numbers are, from left to right. keys: `debian/x86_64/6.1.0-56-amd64/6.1.192-2`."""
    return tuple(sorted(keys, key=lambda key: _distance(release, build, key))[:count])


def _distance(release: str, build: str, key: str) -> tuple[bool, tuple[int, ...], tuple[int, ...], str]:
    _, _, other, other_build = (*key.split("/", 3), "", "", "")[:4]
    return (
        _flavour(release) != _flavour(other),
        _apart(_numbers(release), _numbers(other)),
        _apart(_numbers(build), _numbers(other_build)),
        key,
    )


def _apart(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    width = max(len(one), len(other))
    padded = one + (0,) * (width - len(one)), other + (0,) * (width - len(other))
    return tuple(abs(left - right) for left, right in zip(*padded, strict=True))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", re.sub(r"x86_64|amd64|arm64|aarch64", "", text)))


def _flavour(release: str) -> str:
    """The words at the end: `amd64`, `cloud-amd64`, `generic`."""
    found = re.search(r"(?:-[a-z][a-z0-9]*)+$", release)
    return found.group() if found else ""
