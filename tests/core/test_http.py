"""What an address may show, and how long a server may make us wait."""

from __future__ import annotations

import base64
import datetime
import ssl
import subprocess
from email.utils import format_datetime
from pathlib import Path

import pytest

from kdriver.core.errors import DownloadError
from kdriver.core.http import Http, RetryPolicy, TransientError, redact, retry_after_s
from tests.fakes.file_server import FileServer


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("https://joe:pw@host:81/a?b=c", "https://host:81/a?b=c", id="credentials"),
        pytest.param("http://host/a@b", "http://host/a@b", id="at-sign-in-the-path"),
    ],
)
def test_credentials_are_not_shown(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_retry_after_is_a_number_or_a_date() -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90)
    assert retry_after_s("12") == 12.0
    seconds = retry_after_s(format_datetime(later, usegmt=True))
    assert seconds is not None and 80 < seconds <= 90
    assert retry_after_s("soon") is None and retry_after_s(None) is None


def test_a_server_cannot_make_us_wait_for_ever() -> None:
    waits: list[float] = []
    http = Http(RetryPolicy(attempts=2, max_delay_s=60), sleep=waits.append)

    def attempt() -> None:
        raise TransientError("busy", retry_after_s=86_400)

    with pytest.raises(TransientError, match="busy"):
        http.retrying("http://host.example/", attempt)
    assert waits == [60]


def test_a_name_that_does_not_exist_is_said_in_words() -> None:
    http = Http(RetryPolicy(attempts=1))
    with pytest.raises(DownloadError) as caught:
        http.open("http://mirror.invalid/x")
    assert caught.value.message.startswith("http://mirror.invalid/x: ")
    assert "0x" not in caught.value.message and "HTTPConnection" not in caught.value.message
    assert caught.value.hint and "--mirror" in caught.value.hint


def test_a_login_comes_from_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login reader password sesame\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    (tmp_path / "file").write_text("x")
    with FileServer(tmp_path) as server:
        Http().open(f"{server.url}/file").close()
        Http().with_login("bearer", "token").open(f"{server.url}/file").close()
        sent = [base64.b64decode(one.headers["Authorization"].removeprefix("Basic ")) for one in server.requests]
    assert sent == [b"reader:sesame", b"bearer:token"]


def test_proxies_of_the_environment_are_used_and_no_proxy_is_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    through = tmp_path / "http:" / "mirror.invalid"
    through.mkdir(parents=True)
    (through / "file").write_text("through the proxy")
    with FileServer(tmp_path) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "direct.invalid")
        with Http().open("http://mirror.invalid/file") as response:
            assert response.raw.read() == b"through the proxy"
        with pytest.raises(TransientError, match="the host name is not known"):
            Http(RetryPolicy(attempts=1)).open("http://direct.invalid/file")
        assert proxy.paths() == ["http://mirror.invalid/file"]


def test_a_private_authority_is_trusted_when_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *words.split(), *files], check=True, capture_output=True)
    (tmp_path / "file").write_text("private")
    with FileServer(tmp_path) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.wrap(context)
        url = server.url.replace("http:", "https:") + "/file"
        with pytest.raises(DownloadError, match="certificate was not accepted"):
            Http().open(url)
        monkeypatch.setenv("KDRIVER_CA_BUNDLE", str(certificate))
        with Http().open(url) as response:
            assert response.raw.read() == b"private"


def test_a_host_that_nothing_reached_is_left_alone_for_a_while() -> None:
    slept: list[float] = []
    http = Http(RetryPolicy(attempts=3), sleep=slept.append)
    for _ in range(5):
        with pytest.raises(TransientError, match="the host name is not known"):
            http.retrying("http://nobody.invalid/x", lambda: http.open("http://nobody.invalid/x"))
    assert len(slept) == 2
