"""`kdriver serve` as a process: ready line, answers, clean end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from kdriver.cli import run
from kdriver.commands.serve import parse_listen
from kdriver.core.errors import ConfigError
from tests.fakes.published import Published, candidate


def start(published: Published, *more: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "kdriver", "serve", "--repo", published.url, "--listen", "127.0.0.1:0", *more]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_address_when_ready_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path))
    process = start(published, "--access-log")
    try:
        assert process.stdout
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        assert requests.get(f"{url}metadata/timestamp.json", timeout=10).status_code == 200
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 0
    assert '"GET /metadata/timestamp.json HTTP/1.1" 200' in errors
    assert "Traceback" not in errors


def test_a_folder_that_is_no_repository_is_not_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--repo", str(tmp_path)]) == 3
    assert "is no repository" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:80", ("::1", 80)), (":0", ("0.0.0.0", 0))],
)
def test_listen_address(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["8080", "host", "127.0.0.1:http", "127.0.0.1:70000"])
def test_listen_address_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match="is no address and port") as caught:
        parse_listen(text)
    assert caught.value.hint == "Write it like 127.0.0.1:8080."
