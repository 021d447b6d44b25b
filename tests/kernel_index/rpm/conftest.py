"""Yum repositories on loopback: real packages of rpmbuild, lists of createrepo_c, signed by a key made for the run."""

from __future__ import annotations

import datetime
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kdriver.core.http import Http, RetryPolicy
from kernel_index.distros.rpmlike import RpmLike
from kernel_index.suites import Question, Suite, SuiteFetch, SuiteRecord, SuiteSource
from kernel_index.table import DistroRow, load_table
from tests.fakes.el_kernels import build_all
from tests.fakes.file_server import FileServer
from tests.fakes.rpms import RpmKey, make_repository

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
ROW = """
[centos7]
family = "centos"
title = "CentOS made by a test"
version = "7"
codename = "Core"
end_of_life = 2024-06-30
image = "quay.io/centos/centos:centos7"
kinds = ["kmod"]
architectures = { x86_64 = "x86_64", aarch64 = "aarch64" }
generic_flavours = { x86_64 = "generic" }
keyring = "%s"
keyring_package = "made-keys"
[centos7.archives.vault]
folder = "vault"
mirrors = ["%s"]
suites = ["os", "updates"]
signed_by = ["%s"]
"""


@pytest.fixture(scope="session")
def rpm_key() -> Iterator[RpmKey]:
    """The distribution's key."""
    with RpmKey("centos") as made:
        yield made


@pytest.fixture(scope="session")
def rpm_stranger() -> Iterator[RpmKey]:
    """A key that the distribution does not know."""
    with RpmKey("stranger") as made:
        yield made


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, rpm_key: RpmKey) -> dict[str, Path]:
    """File name to a signed package, of every kernel in tests/fakes/el_kernels.py."""
    if shutil.which("rpmbuild") is None:
        pytest.skip("rpmbuild (package rpm) is not installed")
    return build_all(tmp_path_factory.mktemp("built"), rpm_key)


@dataclass
class YumTree:
    """A vault on loopback. Each repository is a folder below `root`."""

    root: Path
    server: FileServer
    key: RpmKey
    stranger: RpmKey
    packages: dict[str, Path]
    table: Path

    @property
    def row(self) -> DistroRow:
        """The row whose vault this is."""
        return load_table(self.table)[0]

    def publish(
        self, repository: str, *words: str, compression: str = "gz", key: RpmKey | None = None, signed: bool = True
    ) -> None:
        """A repository of every package that has one of the words in its file name."""
        folder = self.root / repository / "Packages"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, path in self.packages.items():
            if any(word in name for word in words):
                os.link(path, folder / name)
        self.index(repository, compression=compression, key=key, signed=signed)

    def index(
        self, repository: str, *, compression: str = "gz", key: RpmKey | None = None, signed: bool = True
    ) -> None:
        """Make its metadata anew."""
        make_repository(self.root / repository, compression=compression, key=(key or self.key) if signed else None)

    def sign(self, repository: str) -> None:
        """Sign repomd.xml as it stands."""
        repomd = self.root / repository / "repodata" / "repomd.xml"
        repomd.with_suffix(".xml.asc").write_bytes(self.key.detached(repomd.read_bytes()))

    def list_file(self, repository: str) -> Path:
        """Its primary.xml."""
        (found,) = (self.root / repository / "repodata").glob("*primary.xml*")
        return found

    def question(self, repository: str, known: SuiteFetch | None = None) -> Question:
        """What a crawl asks, with the state that it has."""
        row = self.row
        record = known.record if known is not None else None
        lists = frozenset(list_id for _, list_id in known.record.lists) if known is not None else frozenset[str]()
        http = Http(RetryPolicy(attempts=3, first_delay_s=0, read_timeout_s=5), sleep=lambda _: None)
        source = SuiteSource("vault", repository, row.archive("vault").mirrors, False)
        return Question(row, row.archive("vault"), source, record, lists, NOW, http, False)

    def fetch(self, family: RpmLike, repository: str, known: SuiteFetch | None = None) -> SuiteFetch:
        """What the family makes of it."""
        return family.fetch(self.question(repository, known))

    def path(self, repository: str, file: Path) -> str:
        """The path that the server is asked for a file."""
        del repository
        return f"/{file.relative_to(self.root)}"


def as_suite(fetched: SuiteFetch) -> Suite:
    """What a crawl hands to Family.kernels."""
    (packages,) = fetched.lists.values()
    return Suite(fetched.record, packages)


def dated(record: SuiteRecord, date: str) -> SuiteRecord:
    """The state with another date."""
    return replace(record, date=date)


@pytest.fixture
def yum(
    tmp_path: Path,
    built: dict[str, Path],
    rpm_key: RpmKey,
    rpm_stranger: RpmKey,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[YumTree]:
    """A vault that nothing was published in yet."""
    root = tmp_path / "vault"
    root.mkdir()
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    with FileServer(root) as server:
        table = tmp_path / "distros.toml"
        table.write_text(ROW % (rpm_key.keyring, server.url, rpm_key.fingerprint))
        yield YumTree(root, server, rpm_key, rpm_stranger, built, table)
