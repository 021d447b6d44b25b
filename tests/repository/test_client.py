"""What a client accepts: the signed bytes, fresh, never older than it has seen; anything else is refused."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ConfigError, DownloadError, ExitCode, IntegrityError, NotFoundError
from kdriver.repository import layout
from kdriver.repository.client import RepositoryClient, Trust, fetch_root, normal_url
from kdriver.repository.entries import KernelEntry
from kdriver.repository.page import page_maker
from kdriver.repository.server import RepositoryServer
from tests.fakes.published import Published, candidate, kernel


@contextmanager
def served(published: Published) -> Iterator[str]:
    """The repository over HTTP on a free port."""
    with RepositoryServer(published.store.root, ("127.0.0.1", 0), page_maker(published.store), False) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def client_of(published: Published, folder: Path, url: str = "") -> RepositoryClient:
    folder.mkdir(parents=True, exist_ok=True)
    return RepositoryClient(url or published.url, Trust(folder, published.root, "file"))


def fetch_all(client: RepositoryClient, folder: Path) -> None:
    """All that a host could ask for of one kernel."""
    client.refresh()
    client.read_json(layout.release_target("x86_64", kernel().release))
    client.read_json(layout.names_target("x86_64"))
    entry = KernelEntry.from_json(client.read_json(layout.kernel_target(kernel().key)))
    for driver in entry.drivers:
        client.download(driver.target, folder / driver.kind.file_name)
        client.download(layout.record_target(driver.record), folder / "record")
        client.download(layout.verdict_target(driver.verdict), folder / "verdict")
        client.download(layout.tool_target(driver.capture), folder / "tool")


def make(tmp_path: Path) -> Published:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path), candidate(tmp_path, kind=DriverKind.BPF))
    return published


def test_a_driver_arrives_over_http_as_it_was_published(tmp_path: Path) -> None:
    published, one = make(tmp_path), candidate(tmp_path)
    with served(published) as url:
        client = client_of(published, tmp_path / "trust", url)
        client.refresh()
        path = client.download(layout.artifact_target(one.artifact.sha256, "kdriver.ko"), tmp_path / "out/kdriver.ko")
    assert path.read_bytes() == one.path.read_bytes()


def test_names_with_a_plus_sign_arrive_over_http(tmp_path: Path) -> None:
    published = Published(tmp_path)
    plus = kernel("6.12.117+deb12-amd64", "6.12.117-1~deb12u1")
    published.publish(candidate(tmp_path, plus))
    with served(published) as url:
        client = client_of(published, tmp_path / "trust", url)
        assert client.read_json(layout.kernel_target(plus.key))["key"] == plus.key


def targets_and_metadata() -> list[str]:
    """One name for each kind of file that a client reads, as a glob below the repository."""
    return [
        "metadata/timestamp.json",
        "metadata/*.snapshot.json",
        "metadata/*.targets.json",
        "metadata/*.bin-*.json",
        "targets/releases/**/*.json",
        "targets/names/**/*.json",
        "targets/kernels/**/*.json",
        "targets/artifacts/**/*.kdriver.ko",
        "targets/artifacts/**/*.kdriver.bpf.o",
        "targets/records/**/*.json",
        "targets/verdicts/**/*.json",
        "targets/tools/**/*.kd-capture",
    ]


@pytest.mark.parametrize("pattern", targets_and_metadata())
@pytest.mark.parametrize("change", ["flip", "append", "truncate"])
def test_a_wrong_byte_anywhere_is_refused(tmp_path: Path, pattern: str, change: str) -> None:
    published = make(tmp_path)
    paths = sorted(published.store.root.glob(pattern))
    assert paths
    for path in paths:
        content = path.read_bytes()
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"flip": flipped, "append": content + b"}", "truncate": content[:-1]}[change])
    got = tmp_path / "got"
    with pytest.raises(IntegrityError) as caught:
        fetch_all(client_of(published, tmp_path / "trust"), got)
    assert caught.value.exit_code is ExitCode.INTEGRITY
    assert caught.value.hint
    assert "\n" not in caught.value.message
    untouched = {path.name for path in got.glob("*")} if got.exists() else set()
    assert not any(name.startswith(".part") for name in untouched)


@pytest.mark.parametrize("kind", ["kdriver.ko", "kdriver.bpf.o"])
def test_a_tampered_driver_leaves_no_file(tmp_path: Path, kind: str) -> None:
    published = make(tmp_path)
    (path,) = published.store.root.glob(f"targets/artifacts/**/*.{kind}")
    path.write_bytes(path.read_bytes().replace(b"o", b"0"))
    client = client_of(published, tmp_path / "trust")
    client.refresh()
    digest = path.name.split(".")[0]
    with pytest.raises(IntegrityError, match="differs from its signed length or digest"):
        client.download(layout.artifact_target(digest, kind), tmp_path / "got" / kind)
    assert list((tmp_path / "got").iterdir()) == []


def test_a_swapped_driver_is_refused(tmp_path: Path) -> None:
    published = make(tmp_path)
    (module,) = published.store.root.glob("targets/artifacts/**/*.kdriver.ko")
    (probe,) = published.store.root.glob("targets/artifacts/**/*.kdriver.bpf.o")
    module.write_bytes(probe.read_bytes())
    with pytest.raises(IntegrityError):
        fetch_all(client_of(published, tmp_path / "trust"), tmp_path / "got")


def test_metadata_signed_by_other_keys_is_refused(tmp_path: Path) -> None:
    published, stranger = make(tmp_path / "one"), make(tmp_path / "two")
    client = RepositoryClient(stranger.url, Trust(make_folder(tmp_path / "trust"), published.root, "file"))
    with pytest.raises(IntegrityError, match="is not signed by the trusted keys") as caught:
        client.refresh()
    assert caught.value.hint == "Do not use this repository; tell its owner, or try another mirror."


def make_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_a_root_that_is_none_is_refused(tmp_path: Path) -> None:
    published = make(tmp_path)
    with pytest.raises(IntegrityError, match="its metadata is damaged"):
        RepositoryClient(published.url, Trust(make_folder(tmp_path / "trust"), b"{}", "file"))


def test_expired_metadata_is_refused_and_refresh_mends_it(tmp_path: Path) -> None:
    from kdriver.repository.metadata import SignedMetadata

    published = make(tmp_path)
    past = datetime.now(UTC) - timedelta(days=31)
    published.publish(candidate(tmp_path, salt="later"), now=past)
    with pytest.raises(IntegrityError, match="its signed metadata is out of date") as caught:
        client_of(published, tmp_path / "trust").refresh()
    assert caught.value.hint and "`kdriver repo refresh`" in caught.value.hint
    with published.store.locked():
        SignedMetadata(published.store, published.keys).refresh()
    fetch_all(client_of(published, tmp_path / "trust"), tmp_path / "got")


def test_an_older_copy_is_refused_as_a_rollback(tmp_path: Path) -> None:
    published = make(tmp_path)
    old = tmp_path / "old"
    shutil.copytree(published.store.root, old)
    published.publish(candidate(tmp_path, salt="new"))
    client_of(published, tmp_path / "trust").refresh()
    with pytest.raises(IntegrityError, match="a rollback") as caught:
        client_of(published, tmp_path / "trust", str(old)).refresh()
    assert caught.value.hint == "Use a mirror that is up to date; an old copy is never accepted."


def test_a_client_follows_a_renewed_root(tmp_path: Path) -> None:
    from kdriver.repository.metadata import SignedMetadata

    published = make(tmp_path)
    with published.store.locked():
        renewed = SignedMetadata(published.store, published.keys).refresh(datetime.now(UTC) + timedelta(days=1000))
    assert "targets" in renewed
    assert published.store.exists("metadata/2.root.json")
    fetch_all(client_of(published, tmp_path / "trust"), tmp_path / "got")


def test_a_missing_target_is_not_found(tmp_path: Path) -> None:
    published = make(tmp_path)
    client = client_of(published, tmp_path / "trust")
    assert client.read_json("kernels/no/such/kernel.json") is None
    with pytest.raises(NotFoundError, match=r"has no artifacts/x/kdriver\.ko"):
        client.download("artifacts/x/kdriver.ko", tmp_path / "x")


def test_a_server_that_is_not_there_cannot_be_reached(tmp_path: Path) -> None:
    published = make(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(DownloadError, match="cannot be reached: Connection refused") as caught:
            client_of(published, tmp_path / "trust", f"http://127.0.0.1:{port}").refresh()
    assert caught.value.exit_code is ExitCode.SOME_FAILED
    assert caught.value.hint == "Check the address and the network."


def test_an_address_without_a_repository_says_what_it_answered(tmp_path: Path) -> None:
    published = make(tmp_path)
    with served(published) as url, pytest.raises(DownloadError, match="answers with status 404") as caught:
        client_of(published, tmp_path / "trust", f"{url}elsewhere").refresh()
    assert caught.value.hint and "`metadata` and `targets`" in caught.value.hint


@pytest.mark.parametrize("repo", ["ftp://mirror.example/x", "no/such/folder"])
def test_an_address_of_another_kind_is_refused(repo: str) -> None:
    with pytest.raises(ConfigError, match="is neither an http, https or file address nor a folder"):
        normal_url(repo)


def test_the_root_for_first_use_is_checked_against_itself(tmp_path: Path) -> None:
    published = make(tmp_path)
    assert fetch_root(published.url) == published.root
    path = published.store.root / "metadata/1.root.json"
    path.write_bytes(published.root.replace(b'"consistent_snapshot":true', b'"consistent_snapshot":false'))
    with pytest.raises(IntegrityError):
        fetch_root(published.url)
