"""All three drivers are right on one kernel of each line that Debian ships, and the cases try there what they must.

The 6.1 line has more verdicts on the whole path: generic in tests/test_quickstart.py, cloud in test_whole_path.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kdriver.catalogue.load import load_catalogue
from kdriver.core.paths import cache_dir
from kdriver.verifier.situations import cover, tried
from kdriver.verifier.situations_record import expectations_of, untried_of
from tests.e2e.conftest import Kdriver
from tests.fakes.engine import may_run, private_engine

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.slow]

LINES = [
    pytest.param("debian11", "5.10.", "cloud-amd64", id="5.10"),
    pytest.param("debian12", "6.1.", "cloud-amd64", id="6.1"),
    pytest.param("debian12", "6.12.", "amd64", id="6.12"),
    pytest.param("debian13", "7.", "cloud-amd64", id="7"),
]


def _newest(kdriver: Kdriver, distro: str, line: str, flavour: str) -> str:
    """The key of the newest kernel of a line that a metapackage names."""
    if distro != "debian12":
        updated = kdriver("index", "update", "--distro", distro)
        assert updated.returncode == 0, updated.stderr
    listed = json.loads(kdriver("index", "list", "--distro", distro, "--flavour", flavour, "--json").stdout)
    keys = [one["key"] for one in listed if one["release"].startswith(line) and one["named_by"]]
    assert keys, f"{distro} has no kernel of line {line}"
    return str(keys[-1])


@pytest.mark.parametrize(("distro", "line", "flavour"), LINES)
def test_every_driver_passes(kdriver: Kdriver, distro: str, line: str, flavour: str) -> None:
    kernel = _newest(kdriver, distro, line, flavour)
    done = kdriver("verify", "--distro", distro, "--kernel", kernel, "--keep", "--json")
    verdicts = json.loads(done.stdout)
    assert [verdict["kind"] for verdict in verdicts] == ["kmod", "bpf", "core"]
    built = [verdict for verdict in verdicts if not _needs_an_image(verdict)]
    assert [(verdict["kind"], verdict["outcome"], verdict["reason"]) for verdict in built] == [
        (verdict["kind"], "passed", "") for verdict in built
    ], done.stderr
    assert len(built) == 3 or (line == "7." and verdicts[-1] in built)
    for verdict in built:
        assert f"/{line}" in verdict["kernel"]
        assert verdict["events"] > 5000
        assert verdict["checks"]["exact"] > verdict["checks"]["between"] > 0
        assert verdict["facts"]["drops"] == "0"
        assert len(built) == 1 or int(verdict["facts"]["agreement"].split()[0]) > 5000
    _check_what_was_tried(kernel)


@pytest.fixture
def engine(user_environment: dict[str, str]) -> Iterator[None]:
    """A container engine of the tests' own, for what `kdriver` runs."""
    with private_engine() as url:
        user_environment["KDRIVER_ENGINE"] = url
        yield
        del user_environment["KDRIVER_ENGINE"]


@pytest.mark.docker
@pytest.mark.root
@pytest.mark.skipif(bool(may_run()), reason=may_run())
@pytest.mark.usefixtures("engine")
def test_the_newest_line_s_drivers_pass(kdriver: Kdriver) -> None:
    """Its headers need a newer C library than this machine's, so that two kinds are built in a container."""
    image = kdriver("images", "build", "debian13", "--base", "mmdebstrap")
    assert image.returncode == 0, image.stderr
    kernel = _newest(kdriver, "debian13", "7.", "cloud-amd64")
    done = kdriver("verify", "--distro", "debian13", "--kernel", kernel, "--json")
    verdicts = json.loads(done.stdout)
    assert [(verdict["kind"], verdict["outcome"], verdict["reason"]) for verdict in verdicts] == [
        ("kmod", "passed", ""),
        ("bpf", "passed", ""),
        ("core", "passed", ""),
    ], done.stderr


def _needs_an_image(verdict: dict[str, Any]) -> bool:
    """Not built for want of a newer C library than this machine's, which a container would have."""
    return verdict["outcome"] == "not verified" and "C library" in verdict["reason"]


def _check_what_was_tried(kernel: str) -> None:
    """In this very guest: a case that stopped trying something would else be noticed by nobody."""
    folder = cache_dir() / "logs" / "verify" / kernel.replace("/", "_")
    results = max(folder.glob("*/results.jsonl"))
    catalogue = load_catalogue()
    coverage = cover(catalogue, tried(expectations_of(results), catalogue), untried_of())
    assert [str(one) for one in coverage.missing] == []


def test_strace_agrees(kdriver: Kdriver) -> None:
    """With one driver: that the others say the same is what the test above shows."""
    done = kdriver(
        *("verify", "--distro", "debian12", "--kernel", "newest:6.1:cloud-amd64"),
        *("--kind", "core", "--strace", "--json"),
    )
    (verdict,) = json.loads(done.stdout)
    assert (verdict["outcome"], verdict["reason"]) == ("passed", ""), done.stderr
    calls, _, _, arguments = verdict["facts"]["strace"].split()[:4]
    assert int(calls) > 4000
    assert int(arguments) > 2 * int(calls)
