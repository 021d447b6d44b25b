"""Host names are looked up once a run, one at a time: a burst of equal questions makes some resolvers drop one,
and the answer then comes after five seconds."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

KEPT_S = 300.0
"""How long an answer is used: far longer than an update takes, far shorter than a server's move."""

_lock = threading.Lock()
_answers: dict[tuple[str, int], tuple[float, str]] = {}


def address_of(host: str, port: int) -> str:
    """An address of a host, by getaddrinfo(3)'s order. Raises socket.gaierror."""
    with _lock:
        when, address = _answers.get((host, port), (0.0, ""))
        if not address or time.monotonic() - when > KEPT_S:
            address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
            _answers[host, port] = (time.monotonic(), address)
        return address


def forget(host: str, port: int) -> None:
    """Look the host up anew next time: nobody answered at the address."""
    with _lock:
        _answers.pop((host, port), None)


class _LooksUpOnce(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        try:
            self._dns_host = address_of(name, self.port or self.default_port)
        except (OSError, UnicodeError):
            # urllib3 asks again and turns the error into one of its own.
            return super()._new_conn()
        try:
            return super()._new_conn()
        except urllib3.exceptions.HTTPError:
            forget(name, self.port or self.default_port)
            # A host of several addresses may be reached by another one.
            self._dns_host = name
            return super()._new_conn()
        finally:
            self._dns_host = name


class _Connection(_LooksUpOnce, HTTPConnection):
    pass


class _TlsConnection(_LooksUpOnce, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def session() -> requests.Session:
    """A session whose connections look names up here. Behind a proxy it is the proxy who looks them up."""
    made = requests.Session()
    made.mount("http://", _Adapter())
    made.mount("https://", _Adapter())
    return made
