"""A distribution on loopback: two archives, three suites, signed by a key made for the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.apt_repository import AptRepository, SigningKey, kernel, table_text
from tests.fakes.file_server import FileServer


@dataclass
class Distribution:
    """debian99 on loopback. KDRIVER_MIRROR, KDRIVER_DISTROS and KDRIVER_INDEX point to it."""

    main: AptRepository
    security: AptRepository
    server: FileServer
    index: Path
    key: SigningKey
    stranger: SigningKey

    def publish(self) -> None:
        """The usual state: an older ABI in main, the newest in security, another line in backports."""
        old = kernel("6.1.0-50", "6.1.176-1")
        self.main.publish("clover", old)
        backport = kernel("6.12.95+deb99", "6.12.95-1~bpo99+1")
        self.main.publish("clover-backports", backport, not_automatic=True)
        self.security.publish("clover-security", kernel())


@pytest.fixture(scope="session")
def key() -> Iterator[SigningKey]:
    """The distribution's key."""
    with SigningKey("archive") as made:
        yield made


@pytest.fixture(scope="session")
def stranger() -> Iterator[SigningKey]:
    """A key that the distribution does not know."""
    with SigningKey("stranger") as made:
        yield made


@pytest.fixture
def distribution(
    tmp_path: Path, key: SigningKey, stranger: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Distribution]:
    """A distribution that is published and served."""
    root = tmp_path / "mirror"
    table = tmp_path / "distros.toml"
    table.write_text(table_text(key.keyring, key.fingerprint))
    with FileServer(root) as server:
        made = Distribution(
            AptRepository(root / "debian", key),
            AptRepository(root / "debian-security", key),
            server,
            tmp_path / "index",
            key,
            stranger,
        )
        made.publish()
        monkeypatch.setenv("KDRIVER_DISTROS", str(table))
        monkeypatch.setenv("KDRIVER_INDEX", str(made.index))
        monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("KDRIVER_MIRROR", server.url)
        yield made
