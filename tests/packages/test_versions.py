"""The order of Debian versions is dpkg's."""

from __future__ import annotations

import itertools
import shutil
import subprocess

import pytest

from kdriver.packages.versions import compare, satisfies, version_key

ORDERED = (
    "6.1~rc7-1~exp1",
    "6.1.0-1~bpo11+1",
    "6.1.0-1",
    "6.1.0-1+b1",
    "6.1.9-1",
    "6.1.170-3",
    "6.1.192-1",
    "6.1.192-2",
    "6.12.95-1~bpo12+1",
    "6.12.95-1~deb12u1",
    "6.12.95-1",
    "6.12.95-1+deb13u1",
    "1:0.1",
)


def test_versions_sort_as_debian_sorts_them() -> None:
    shuffled = ORDERED[::-1]
    assert sorted(shuffled, key=version_key) == list(ORDERED)


def test_equal_numbers_written_differently_are_equal() -> None:
    assert compare("1.05-1", "1.5-01") == 0
    assert compare("1.0", "0:1.0-0") == 0


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is the judge here and not installed")
def test_every_pair_is_judged_as_dpkg_does() -> None:
    for left, right in itertools.combinations(ORDERED, 2):
        said = subprocess.run(["dpkg", "--compare-versions", left, "lt", right], check=False).returncode == 0
        assert (compare(left, right) < 0) is said, (left, right)


@pytest.mark.parametrize(
    ("version", "operator", "wanted", "met"),
    [
        pytest.param("6.1.192-2", ">=", "6.1.170-3", True, id="newer"),
        pytest.param("6.1.192-2", "=", "6.1.192-1", False, id="not-equal"),
        pytest.param("6.1.192-2", "", "", True, id="any"),
        pytest.param("6.1.192-2", "<<", "6.1.192-2", False, id="not-below-itself"),
        pytest.param("6.1.192-2", ">>", "6.1.192-2~", True, id="above-its-tilde"),
    ],
)
def test_relations(version: str, operator: str, wanted: str, met: bool) -> None:
    assert satisfies(version, operator, wanted) is met
