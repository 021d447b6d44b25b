"""Hosts are looked up once a run; one that does not exist is not asked for again and again."""

from __future__ import annotations

import socket

import pytest

from kdriver.core import names
from kdriver.core.errors import DownloadError
from kdriver.core.http import Http, RetryPolicy


class Resolver:
    """Stands where getaddrinfo(3) is; counts what it is asked."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.asked = 0

    def __call__(self, *arguments: object, **options: object) -> list[object]:
        self.asked += 1
        raise socket.gaierror(self.number, "Name or service not known")


@pytest.mark.parametrize(
    ("number", "lookups"),
    [pytest.param(socket.EAI_NONAME, 1, id="does-not-exist"), pytest.param(socket.EAI_AGAIN, 6, id="could-not-ask")],
)
def test_a_host_that_does_not_exist_is_looked_up_once(
    monkeypatch: pytest.MonkeyPatch, number: int, lookups: int
) -> None:
    resolver = Resolver(number)
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setattr(names, "_unknown", {})
    for _ in range(2):
        http = Http(RetryPolicy(attempts=3, first_delay_s=0), sleep=lambda _: None)
        with pytest.raises(DownloadError) as caught:
            http.retrying("http://none.invalid/a", lambda http=http: http.open("http://none.invalid/a"))  # type: ignore[misc]
        assert caught.value.message == "http://none.invalid/a: the host name is not known" and caught.value.hint
    assert resolver.asked == lookups
