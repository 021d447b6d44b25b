"""Running the command line as a user does, with the user's downloads and builds and an index of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kdriver.core.paths import cache_dir

Kdriver = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def user_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `kdriver` runs with: its own program first on PATH, the user's cache, an index of the tests' own."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "KDRIVER_CACHE": str(cache_dir()),
        "KDRIVER_INDEX": str(tmp_path_factory.mktemp("index")),
    }


@pytest.fixture(scope="session")
def kdriver(user_environment: dict[str, str]) -> Kdriver:
    """Run `kdriver` with these words; its outputs are kept. The index is fetched once from the host's mirror."""

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "kdriver", *(str(word) for word in words)],
            env=user_environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )

    update_index(Path(user_environment["KDRIVER_INDEX"]))
    return run


def update_index(folder: Path) -> None:
    """Fetch the index of Debian 12 from the host's mirror."""
    words = [sys.executable, "-m", "kdriver", "index", "update", "--distro", "debian12"]
    environment = {**os.environ, "KDRIVER_INDEX": str(folder)}
    updated = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert updated.returncode == 0, updated.stderr
