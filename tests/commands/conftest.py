"""A repository with drivers for the kernel that runs the tests, for the commands of a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.kernel import Kernel
from kdriver.loader.host import read_host
from tests.fakes.published import Published, candidate


@pytest.fixture(name="published")
def repository_for_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    """A repository with a CO-RE object for the kernel that runs here."""
    monkeypatch.setenv("KDRIVER_STATE", str(tmp_path / "state"))
    host = read_host()
    here = Kernel(host.distro, "", host.release, host.build, host.build or "1", host.machine, "", ())
    published = Published(tmp_path)
    published.publish(candidate(tmp_path, here, DriverKind.CORE), candidate(tmp_path, here, DriverKind.BPF))
    return published


@pytest.fixture(name="trust")
def trust_option(published: Published, tmp_path: Path) -> list[str]:
    (tmp_path / "root.json").write_bytes(published.root)
    return ["--trust", str(tmp_path / "root.json")]
