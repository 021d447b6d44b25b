"""The HTTP server: ranges, conditions, types, aliases, and nothing outside of the repository."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kdriver.core.errors import ConfigError
from kdriver.repository.page import page_maker
from kdriver.repository.server import ByteRange, RepositoryServer, parse_range, served_name
from tests.fakes.published import Published, candidate, kernel

ALIAS = "0.1.0/x86_64/kdriver_debian_6.12.117+deb12-amd64_6.12.117-1~deb12u1.ko"


@pytest.fixture(name="published", scope="module")
def published_repository(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("served")
    published = Published(folder)
    published.publish(candidate(folder, kernel("6.12.117+deb12-amd64", "6.12.117-1~deb12u1")))
    (folder / "secret.json").write_text("outside")
    (published.store.root / "metadata/escape.json").symlink_to(folder / "secret.json")
    return published


@pytest.fixture(name="url", scope="module")
def url_of_server(published: Published) -> Iterator[str]:
    with RepositoryServer(published.store.root, ("127.0.0.1", 0), page_maker(published.store), False) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


def raw(url: str, path: str, method: str = "GET") -> http.client.HTTPResponse:
    """A request whose path no client library has tidied up."""
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=10)
    connection.putrequest(method, path)
    connection.endheaders()
    return connection.getresponse()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(None, ByteRange(0, 10), id="no header"),
        pytest.param("bytes=2-5", ByteRange(2, 6), id="middle"),
        pytest.param("bytes=7-", ByteRange(7, 10), id="to the end"),
        pytest.param("bytes=-3", ByteRange(7, 10), id="last bytes"),
        pytest.param("bytes=-30", ByteRange(0, 10), id="more than there is"),
        pytest.param("bytes=5-99", ByteRange(5, 10), id="past the end"),
        pytest.param("bytes=10-", None, id="outside"),
        pytest.param("bytes=-0", None, id="nothing"),
        pytest.param("bytes=5-2", ByteRange(0, 10), id="backwards is ignored"),
        pytest.param("bytes=0-1,3-4", ByteRange(0, 10), id="several are ignored"),
        pytest.param("lines=1-2", ByteRange(0, 10), id="another unit is ignored"),
    ],
)
def test_range_header(header: str | None, expected: ByteRange | None) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.json",
        "/metadata/../../secret.json",
        "/metadata/%2e%2e/%2e%2e/secret.json",
        "/metadata/..%2f..%2fsecret.json",
        "//etc/passwd",
        "/metadata//etc/passwd",
        "/metadata/escape.json",
        "/.lock",
        "/.tmp/x",
        "/metadata/.hidden",
        "/metadata/",
        "/targets",
        "/keys/root.pem",
        "/metadata/%00",
        "/metadata\\..\\x",
    ],
)
def test_nothing_outside_of_the_repository_is_served(url: str, path: str) -> None:
    answer = raw(url, path)
    assert answer.status == 404
    assert b"outside" not in answer.read()


def test_metadata_is_json_that_is_asked_for_again_and_versioned_files_are_kept(url: str) -> None:
    timestamp = requests.get(f"{url}metadata/timestamp.json", timeout=10)
    assert timestamp.headers["Content-Type"] == "application/json"
    assert timestamp.headers["Cache-Control"] == "no-cache"
    root = requests.get(f"{url}metadata/1.root.json", timeout=10)
    assert "immutable" in root.headers["Cache-Control"]


def test_an_unchanged_file_is_not_sent_again(url: str) -> None:
    first = requests.get(f"{url}metadata/timestamp.json", timeout=10)
    again = requests.get(f"{url}metadata/timestamp.json", headers={"If-None-Match": first.headers["ETag"]}, timeout=10)
    assert (again.status_code, again.content) == (304, b"")
    other = requests.get(f"{url}metadata/timestamp.json", headers={"If-None-Match": '"other"'}, timeout=10)
    assert other.status_code == 200


def test_a_part_of_a_file(url: str, published: Published) -> None:
    content = (published.store.root / "metadata/1.root.json").read_bytes()
    part = requests.get(f"{url}metadata/1.root.json", headers={"Range": "bytes=10-19"}, timeout=10)
    assert (part.status_code, part.content) == (206, content[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(content)}"
    outside = requests.get(f"{url}metadata/1.root.json", headers={"Range": f"bytes={len(content)}-"}, timeout=10)
    assert (outside.status_code, outside.headers["Content-Range"]) == (416, f"bytes */{len(content)}")


def test_a_part_of_a_file_that_changed_is_sent_whole(url: str) -> None:
    stale = requests.get(
        f"{url}metadata/1.root.json", headers={"Range": "bytes=10-19", "If-Range": '"old"'}, timeout=10
    )
    assert stale.status_code == 200


@pytest.mark.parametrize("name", [ALIAS, ALIAS.replace("+", "%2B"), ALIAS.replace("~", "%7E")])
def test_a_driver_has_an_address_in_falcos_naming(url: str, published: Published, name: str) -> None:
    answer = raw(url, f"/{name}")
    assert answer.status == 200
    assert answer.getheader("Content-Type") == "application/octet-stream"
    (module,) = published.store.root.glob("targets/artifacts/**/*.kdriver.ko")
    assert answer.read() == module.read_bytes()


def test_head_answers_without_content(url: str) -> None:
    answer = raw(url, "/metadata/1.root.json", "HEAD")
    assert (answer.status, answer.read()) == (200, b"")
    assert int(answer.getheader("Content-Length") or 0) > 100


def test_other_methods_are_refused(url: str) -> None:
    assert raw(url, "/metadata/1.root.json", "DELETE").status == 501


def test_the_page_lists_kernels_and_their_verdicts(url: str) -> None:
    page = requests.get(url, timeout=10)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "6.12.117+deb12-amd64" in page.text
    assert 'class="mark passed"' in page.text
    assert ALIAS.replace("+", "%2B") in page.text


def test_many_clients_at_once(url: str) -> None:
    faults: list[str] = []

    def read() -> None:
        for _ in range(10):
            if requests.get(f"{url}metadata/timestamp.json", timeout=20).status_code != 200:
                faults.append("status")

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_a_taken_port_is_one_line(published: Published, url: str) -> None:
    port = int(url.rstrip("/").rsplit(":", 1)[1])
    with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: cannot be listened on: Address already in use") as caught:
        RepositoryServer(published.store.root, ("127.0.0.1", port), lambda: "", False)
    assert caught.value.hint and "port 0" in caught.value.hint


def test_a_page_of_a_damaged_repository_says_so(tmp_path: Path) -> None:
    published = Published(tmp_path)
    (published.store.root / "metadata/timestamp.json").write_text("{}")
    assert 'role="alert"' in page_maker(published.store)()


def test_only_three_kinds_of_names_are_served() -> None:
    assert served_name("/metadata/timestamp.json") == "metadata/timestamp.json"
    assert served_name(f"/{ALIAS}") == ALIAS
    assert served_name("/something/else.json") is None
