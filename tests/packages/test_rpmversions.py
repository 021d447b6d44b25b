"""rpm's order of versions: the cases of rpm's own documentation, names of real kernels, and rules for any two."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess

import pytest

from kdriver.packages.rpmversions import Evr, compare, compare_segments, version_key


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param("3.10.0-123.el7", "3.10.0-1062.el7", id="numbers-not-texts"),
        pytest.param("3.10.0-1160.9.1.el7", "3.10.0-1160.11.1.el7", id="later-numbers"),
        pytest.param("4.18.0-348.el8", "4.18.0-348.7.1.el8_5", id="update"),
        pytest.param("1.0~rc1-1", "1.0-1", id="tilde"),
        pytest.param("1.0-1", "1.0^git1-1", id="caret"),
        pytest.param("1.0^git1-1", "1.0.1-1", id="caret-before-more"),
        pytest.param("1.0a-1", "1.0.1-1", id="digits-over-letters"),
        pytest.param("9-1", "1:1-1", id="epoch"),
        pytest.param("1.0-1", "1.0.a-1", id="longer"),
    ],
)
def test_what_is_newer(older: str, newer: str) -> None:
    assert compare(older, newer) < 0 < compare(newer, older)


@pytest.mark.parametrize(("one", "other"), [("1.0", "1_0"), ("1.01", "1.1"), ("fc4", "fc.4"), ("1..0", "1.0")])
def test_separators_and_leading_zeros_do_not_count(one: str, other: str) -> None:
    assert compare_segments(one, other) == 0


@pytest.mark.parametrize("text", ["1:3.10.0-957.el7", "3.10.0-957.el7", "3.10.0"])
def test_a_version_is_printed_as_it_was_read(text: str) -> None:
    assert str(Evr.parse(text)) == text


@pytest.mark.parametrize("text", ["", "x:1-1", "-1", "²:1-1"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no version of a package"):
        Evr.parse(text)


def made_up(count: int) -> list[str]:
    """Texts of the characters that versions have, the same in every run."""
    rng = random.Random(7)
    return ["".join(rng.choice("019ab.~^_") for _ in range(rng.randint(1, 7))) for _ in range(count)]


def test_the_order_is_total() -> None:
    versions = sorted(made_up(60), key=lambda text: version_key(f"{text}-1"))
    for one, other in itertools.combinations(versions, 2):
        assert compare_segments(one, other) <= 0 <= compare_segments(other, one)


@pytest.mark.skipif(shutil.which("rpm") is None, reason="rpm, which the order is compared with, is not installed")
def test_the_order_is_rpms_own() -> None:
    texts = made_up(120)
    pairs = list(itertools.pairwise(texts))
    script = " ".join(f"io.write(rpm.vercmp('{one}','{other}')..' ')" for one, other in pairs)
    said = subprocess.run(["rpm", "--eval", f"%{{lua: {script} }}"], check=True, capture_output=True, text=True).stdout
    ours = [compare_segments(one, other) for one, other in pairs]
    wrong = [(pair, mine) for pair, mine, theirs in zip(pairs, ours, said.split(), strict=True) if mine != int(theirs)]
    assert not wrong
