"""What an address may show, and how long a server may make us wait."""

from __future__ import annotations

import datetime
from email.utils import format_datetime

import pytest

from kdriver.core.errors import DownloadError
from kdriver.core.http import Http, RetryPolicy, TransientError, redact, retry_after_s


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
