"""Downloads: whole and right or not there; resumed where they were cut; transient failures only are retried."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdriver.core.download import cached, fetch
from kdriver.core.errors import ConfigError, DownloadError, ExitCode, IntegrityError, KdriverError
from kdriver.core.http import Http, RetryPolicy
from tests.fakes.file_server import Fault, FileServer

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    """Serves CONTENT as /file."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served/file").write_bytes(CONTENT)
    with FileServer(tmp_path / "served") as made:
        yield made


@pytest.fixture
def waits() -> list[float]:
    """How long the client would have waited between attempts."""
    return []


@pytest.fixture
def http(waits: list[float]) -> Http:
    """A client that does not really wait."""
    return Http(RetryPolicy(attempts=3, connect_timeout_s=5, read_timeout_s=5), sleep=waits.append)


def left_over(folder: Path) -> list[str]:
    """Names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_downloaded_whole(server: FileServer, http: Http, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    destination = tmp_path / "new/folder/name"
    got = fetch(
        [f"{server.url}/file"],
        destination,
        size_bytes=SIZE,
        sha256=SHA256,
        progress=lambda done, total: seen.append((done, total)),
        http=http,
    )
    assert got == destination and got.read_bytes() == CONTENT
    assert left_over(destination.parent) == ["name"]
    assert seen[-1] == (SIZE, SIZE) and len(seen) > 2


def test_a_cut_download_is_resumed(server: FileServer, http: Http, tmp_path: Path) -> None:
    server.fail("/file", Fault(cut_after=300_000))
    fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert (tmp_path / "name").read_bytes() == CONTENT
    first, second = server.requests
    assert "Range" not in first.headers and second.status == 206
    start = int(second.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert start > 200_000 and second.sent == SIZE - start
    assert second.headers["If-Range"].startswith('"')


def test_what_an_earlier_run_left_is_resumed(server: FileServer, http: Http, tmp_path: Path) -> None:
    server.fail("/file", *[Fault(cut_after=200_000)] * 3)
    server.ranges = False
    with pytest.raises(DownloadError, match="the connection was cut"):
        fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert (tmp_path / "name.part").stat().st_size > 100_000
    server.ranges = True
    before = server.sent
    fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert server.sent - before < SIZE - 100_000
    assert (tmp_path / "name").read_bytes() == CONTENT and left_over(tmp_path) == ["name", "served"]


def test_without_ranges_a_cut_download_starts_over(server: FileServer, http: Http, tmp_path: Path) -> None:
    server.ranges = False
    server.fail("/file", Fault(cut_after=300_000))
    fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert (tmp_path / "name").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_starts_over(server: FileServer, http: Http, tmp_path: Path) -> None:
    old = b"x" * 100_000
    (tmp_path / "name.part").write_bytes(old)
    fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert (tmp_path / "name").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_starts_over(server: FileServer, http: Http, tmp_path: Path) -> None:
    (tmp_path / "name.part").write_bytes(CONTENT + b"more")
    fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert (tmp_path / "name").read_bytes() == CONTENT


def test_without_a_digest_only_the_same_file_is_resumed(server: FileServer, http: Http, tmp_path: Path) -> None:
    (tmp_path / "name.part").write_bytes(b"from elsewhere")
    fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=None, sha256=None, http=http)
    assert (tmp_path / "name").read_bytes() == CONTENT
    assert "Range" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(CONTENT[:-1] + b"!", "SHA-256 is ", id="changed"),
        pytest.param(CONTENT[:-1], f"{SIZE - 1} bytes, {SIZE} were promised", id="shorter"),
        pytest.param(CONTENT + b"!", f"longer than the {SIZE} bytes", id="longer"),
    ],
)
def test_other_bytes_than_promised_are_refused(
    server: FileServer, http: Http, tmp_path: Path, body: bytes, said: str
) -> None:
    server.fail("/file", *[Fault(body=body)] * 5)
    with pytest.raises(IntegrityError) as caught:
        fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert said in caught.value.message and caught.value.hint
    assert caught.value.exit_code == ExitCode.INTEGRITY
    assert left_over(tmp_path) == ["served"]


def test_the_next_mirror_makes_up_for_a_bad_one(server: FileServer, http: Http, tmp_path: Path) -> None:
    (tmp_path / "served/bad").write_bytes(CONTENT[:-1] + b"!")
    urls = [f"{server.url}/missing", f"{server.url}/bad", f"{server.url}/file"]
    fetch(urls, tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert (tmp_path / "name").read_bytes() == CONTENT
    assert server.paths() == ["/missing", "/bad", "/file"]


def test_no_mirror_has_it(server: FileServer, http: Http, tmp_path: Path) -> None:
    urls = [f"{server.url}/missing", f"{server.url}/gone"]
    with pytest.raises(DownloadError) as caught:
        fetch(urls, tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert caught.value.message.startswith("name: none of 2 addresses has it: ")
    assert "/gone: the server answered 404" in caught.value.message and caught.value.hint
    assert caught.value.exit_code == ExitCode.SOME_FAILED


def test_only_transient_answers_are_retried(server: FileServer, http: Http, waits: list[float], tmp_path: Path) -> None:
    server.fail("/file", Fault(status=503, headers={"Retry-After": "7"}), Fault(status=429))
    fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert waits[0] == 7.0 and 0.5 < waits[1] < 1.0
    server.fail("/file", Fault(status=403))
    with pytest.raises(DownloadError, match="the server answered 403"):
        fetch([f"{server.url}/file"], tmp_path / "again", size_bytes=SIZE, sha256=SHA256, http=http)
    assert len(waits) == 2


def test_a_server_that_stays_away_is_given_up(server: FileServer, http: Http, tmp_path: Path) -> None:
    server.fail("/file", *[Fault(status=500)] * 9)
    with pytest.raises(DownloadError, match="the server answered 500"):
        fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert len(server.requests) == 3


def test_a_host_that_is_not_there_is_retried_once_in_a_run(http: Http, waits: list[float], tmp_path: Path) -> None:
    for name in ("one", "two"):
        with pytest.raises(DownloadError, match="connection refused"):
            fetch(["http://127.0.0.1:9/x"], tmp_path / name, size_bytes=1, sha256=None, http=http)
    assert len(waits) == 2


def test_a_size_that_nobody_promised_is_bounded(server: FileServer, http: Http, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="longer than"):
        fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=None, sha256=None, limit_bytes=1000, http=http)
    assert not (tmp_path / "name").exists()


def test_an_address_that_is_none_is_said_so(http: Http, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch(["ftp://mirror.example/x"], tmp_path / "name", size_bytes=1, sha256=None, http=http)
    assert "ftp://mirror.example/x" in caught.value.message and caught.value.hint


def test_a_cached_file_needs_no_network(
    server: FileServer, http: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    got = cached([f"{server.url}/file"], SHA256, SIZE, "a+b~1.deb", http=http)
    assert got == tmp_path / "cache/downloads" / SHA256[:2] / SHA256 / "a+b~1.deb"
    assert cached([], SHA256, SIZE, "a+b~1.deb", http=http) == got
    assert len(server.requests) == 1


def test_a_damaged_cached_file_is_downloaded_again(
    server: FileServer, http: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    got = cached([f"{server.url}/file"], SHA256, SIZE, "name", http=http)
    got.write_bytes(b"rot")
    assert cached([f"{server.url}/file"], SHA256, SIZE, "name", http=http).read_bytes() == CONTENT


def test_a_name_that_leads_elsewhere_is_refused(http: Http) -> None:
    with pytest.raises(ConfigError, match="is no file name"):
        cached(["http://x.example/"], SHA256, SIZE, "../name", http=http)


def test_two_that_want_the_same_file_do_not_disturb_each_other(server: FileServer, tmp_path: Path) -> None:
    server.fail("/file", Fault(cut_after=500_000))
    errors: list[KdriverError] = []

    def want() -> None:
        try:
            fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=SIZE, sha256=SHA256)
        except KdriverError as error:
            errors.append(error)

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == [] and (tmp_path / "name").read_bytes() == CONTENT
    assert left_over(tmp_path) == ["name", "served"]
    assert len([one for one in server.requests if one.status == 200]) <= 2


@pytest.mark.root
def test_without_space_one_line_says_so(server: FileServer, http: Http, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=True)
    try:
        with pytest.raises(DownloadError) as caught:
            fetch([f"{server.url}/file"], small / "name", size_bytes=SIZE, sha256=SHA256, http=http)
        assert caught.value.message == f"name: no space left in {small}, 1.0 MB needed"
        assert caught.value.hint and "KDRIVER_CACHE" in caught.value.hint
        assert left_over(small) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_folder_that_cannot_be_made_is_said_so(server: FileServer, http: Http, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be written in") as caught:
        fetch([f"{server.url}/file"], tmp_path / "file/name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert caught.value.hint and "KDRIVER_CACHE" in caught.value.hint


@pytest.mark.parametrize("rest", [pytest.param(b"", id="same-size"), pytest.param(b"x" * 9, id="longer")])
def test_a_first_part_of_another_file_is_thrown_away(
    server: FileServer, http: Http, tmp_path: Path, rest: bytes
) -> None:
    (tmp_path / "name.part").write_bytes(b"y" * 1000)
    server.fail("/file", Fault(body=CONTENT + rest))
    fetch([f"{server.url}/file"], tmp_path / "name", size_bytes=SIZE, sha256=SHA256, http=http)
    assert (tmp_path / "name").read_bytes() == CONTENT
    assert [one.status for one in server.requests] == [206, 200]
