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

UNKNOWN_KEPT_S = 20.0
"""How long a host that does not exist is not looked up again: an index has sixty repositories on one host."""

_UNKNOWN = (socket.EAI_NONAME, socket.EAI_NODATA)

_lock = threading.Lock()
_answers: dict[tuple[str, int], tuple[float, str]] = {}
_unknown: dict[str, tuple[float, int, str]] = {}


def address_of(host: str, port: int) -> str:
    """An address of a host, by getaddrinfo(3)'s order. Raises socket.gaierror."""
    with _lock:
        when, address = _answers.get((host, port), (0.0, ""))
        if not address or time.monotonic() - when > KEPT_S:
            address = _looked_up(host, port)
            _answers[host, port] = (time.monotonic(), address)
        return address


def _looked_up(host: str, port: int) -> str:
    when, number, text = _unknown.get(host, (0.0, 0, ""))
    if number and time.monotonic() - when < UNKNOWN_KEPT_S:
        raise socket.gaierror(number, text)
    try:
        return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    except socket.gaierror as error:
        # A resolver that could not ask (EAI_AGAIN) may answer the next time.
        if error.errno in _UNKNOWN:
            _unknown[host] = (time.monotonic(), error.errno, error.strerror or "")
        raise


def forget(host: str, port: int) -> None:
    """Look the host up anew next time: nobody answered at the address."""
    with _lock:
        _answers.pop((host, port), None)


class _LooksUpOnce(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        try:
            self._dns_host = address_of(name, self.port or self.default_port)
        except socket.gaierror as error:
            # Not asked again, as urllib3 would: outside the lock that makes one of those bursts.
            raise urllib3.exceptions.NameResolutionError(name, self, error) from error
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
