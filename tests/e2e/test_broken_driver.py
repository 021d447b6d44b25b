"""The gate: a driver that is wrong in one parameter of one event fails, and is not published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kdriver.core.paths import source_dir
from tests.e2e.conftest import Kdriver

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.slow]

KERNEL = "newest:6.1:cloud-amd64"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver source, but mkdirat's mode is taken from the argument before it."""
    folder = tmp_path_factory.mktemp("broken") / "driver_src"
    shutil.copytree(source_dir("driver_src").resolve(), folder)
    path = folder / "catalogue" / "file.toml"
    before, _, event = path.read_text().partition('name = "mkdirat"')
    assert 'capture = "u32(arg2)"' in event.split("[[event]]")[0]
    path.write_text(before + 'name = "mkdirat"' + event.replace('capture = "u32(arg2)"', 'capture = "u32(arg0)"', 1))
    return folder


@pytest.fixture(scope="module")
def drivers(kdriver: Kdriver, broken: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drivers")
    built = kdriver(
        "build", "--distro", "debian12", "--kernel", KERNEL, "--kind", "core", "--driver-src", broken, "--out", out
    )
    assert built.returncode == 0, built.stderr
    return out


@pytest.fixture(scope="module")
def verdict(kdriver: Kdriver, broken: Path, drivers: Path) -> dict[str, object]:
    done = kdriver(
        "verify", "--distro", "debian12", "--kernel", KERNEL, "--kind", "core", "--driver-src", broken, "--json"
    )
    assert done.returncode == 5, done.stderr
    (only,) = json.loads(done.stdout)
    assert isinstance(only, dict)
    return only


def test_it_fails_and_the_parameter_is_named(verdict: dict[str, object]) -> None:
    assert verdict["outcome"] == "failed"
    assert "mkdirat" in str(verdict["reason"]) and "mode" in str(verdict["reason"])
    assert "expected" in str(verdict["reason"]) and "seen" in str(verdict["reason"])


def test_only_that_parameter_is_wrong(verdict: dict[str, object]) -> None:
    failures = verdict["failures"]
    assert isinstance(failures, list)
    assert failures and all("mkdirat" in failure for failure in failures)


def test_it_is_not_published(kdriver: Kdriver, drivers: Path, verdict: dict[str, object], tmp_path: Path) -> None:
    repository, keys = tmp_path / "repository", tmp_path / "keys"
    assert kdriver("repo", "init", "--repo", repository, "--keys", keys).returncode == 0
    words = (
        "publish",
        "--repo",
        repository,
        "--keys",
        keys,
        "--artifacts",
        drivers,
        "--distro",
        "debian12",
        "--kernel",
        KERNEL,
    )
    for extra in ((), ("--include-unverified",)):
        published = kdriver(*words, *extra)
        assert published.returncode == 5, published.stderr
        assert "failed" in published.stdout + published.stderr
    digest = str(verdict["artifact_sha256"])
    assert not [path for path in repository.rglob("*") if digest in path.name or path.suffix == ".o"]
