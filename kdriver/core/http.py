"""HTTP as every part uses it: one session, time-outs, retries of named transient errors only."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from kdriver.core import names
from kdriver.core.errors import DownloadError
from kdriver.version import VERSION

logger = logging.getLogger(__name__)
T = TypeVar("T")

TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may differ a moment later (RFC 9110, RFC 6585); every other 4xx and 5xx is final."""

UNREACHABLE_S = 60.0
"""How long a host that nothing reached, in all attempts, is left alone."""

CHUNK_BYTES = 1 << 16


class TransientError(DownloadError):
    """A failure that another attempt may not meet. retry_after_s: what the server asked for, if it did.

    reached: whether a server answered at all.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, reached: bool = True) -> None:
        super().__init__(message, hint="Check the network, or name another mirror with --mirror or KDRIVER_MIRROR.")
        self.retry_after_s = retry_after_s
        self.reached = reached


class StatusError(DownloadError):
    """The server answered with a status that is final."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(
            f"{redact(url)}: the server answered {status} {reason}".rstrip(),
            hint="Check the address, or name another mirror with --mirror or KDRIVER_MIRROR.",
        )
        self.status = status


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """attempts: in all. Delays double from first_delay_s; a server's Retry-After is obeyed up to max_delay_s."""

    attempts: int = 4
    first_delay_s: float = 0.4
    max_delay_s: float = 60.0
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0


class Http:
    """Sessions to servers, one for each thread that uses it; what is set for one is set for all.

    Proxies come from http_proxy, https_proxy and no_proxy; logins from netrc (NETRC names another file); the
    certificates that are trusted are the system's, or those of the file that KDRIVER_CA_BUNDLE (or requests'
    REQUESTS_CA_BUNDLE) names.
    """

    def __init__(self, policy: RetryPolicy | None = None, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.policy = policy or RetryPolicy()
        self._sleep = sleep
        self._local = threading.local()
        self._unreachable: dict[str, tuple[float, str]] = {}
        self._client: tuple[str, str] | None = None
        self._ca: str = os.environ.get("KDRIVER_CA_BUNDLE", "")
        self._login: tuple[str, str] | None = None

    def with_client(self, certificate: Path, key: Path, ca: Path | None = None) -> Http:
        """The same, showing a client certificate, and trusting the authority in `ca` where it is given."""
        other = Http(self.policy, sleep=self._sleep)
        other._client, other._login = (str(certificate), str(key)), self._login
        other._ca = str(ca) if ca is not None else self._ca
        return other

    def with_login(self, user: str, password: str) -> Http:
        """The same, with a login for every server that it asks."""
        other = Http(self.policy, sleep=self._sleep)
        other._client, other._ca, other._login = self._client, self._ca, (user, password)
        return other

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = names.session()
            session.headers.update({"User-Agent": f"kdriver/{VERSION}", "Accept-Encoding": "identity"})
            session.cert = self._client
            session.auth = self._login
            self._local.session = session
        return session

    def open(self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> requests.Response:
        """Start a request; the body is not read yet. Raises TransientError or StatusError (status 416 and 304 are
        returned), DownloadError for an address or certificate that no retry mends."""
        timeout = (self.policy.connect_timeout_s, self.policy.read_timeout_s)
        when, said = self._unreachable.get(urlsplit(url).netloc, (0.0, ""))
        if said and time.monotonic() - when < UNREACHABLE_S:
            raise TransientError(f"{redact(url)}: {said}", reached=False)
        # What the environment says of certificates would outweigh a session's own setting, hence per request.
        verify = self._ca or None
        with translated(url):
            response = self._session().request(
                method, url, headers=dict(headers or {}), stream=True, timeout=timeout, verify=verify
            )
        if response.status_code in TRANSIENT_STATUSES:
            response.close()
            raise TransientError(
                f"{redact(url)}: the server answered {response.status_code} {response.reason}".rstrip(),
                retry_after_s=retry_after_s(response.headers.get("Retry-After")),
            )
        if response.status_code >= 400 and response.status_code != 416:
            response.close()
            raise StatusError(url, response.status_code, response.reason or "")
        return response

    def retrying(self, url: str, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it raises no TransientError, at most policy.attempts times. A host that no
        attempt reached is not asked for UNREACHABLE_S, and once at a time after that: without a network nobody
        waits long."""
        host = urlsplit(url).netloc
        attempts = 1 if host in self._unreachable else self.policy.attempts
        for number in range(1, attempts + 1):
            try:
                return attempt()
            except TransientError as error:
                if number == attempts:
                    if not error.reached:
                        self._unreachable[host] = (time.monotonic(), error.message.rpartition(": ")[2])
                    raise
                delay_s = self._delay_s(number, error)
                logger.info("%s; attempt %d of %d in %.1f s", error.message, number + 1, attempts, delay_s)
                self._sleep(delay_s)
        raise AssertionError("unreachable")

    def _delay_s(self, number: int, error: TransientError) -> float:
        if error.retry_after_s is not None:
            return min(error.retry_after_s, self.policy.max_delay_s)
        delay_s = self.policy.first_delay_s * float(2 ** (number - 1))
        return min(delay_s * random.uniform(0.8, 1.2), self.policy.max_delay_s)


class translated:  # noqa: N801 (reads as a statement: `with translated(url):`)
    """Turns the exceptions of requests and urllib3 into ours."""

    def __init__(self, url: str) -> None:
        self._url = redact(url)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
            raise DownloadError(
                f"{self._url}: the server's certificate was not accepted",
                hint="Check the date and the CA certificates of this machine, or use another mirror.",
            ) from error
        if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
            raise TransientError(f"{self._url}: no answer in time", reached=False) from error
        if isinstance(error, requests.exceptions.ChunkedEncodingError | urllib3.exceptions.ProtocolError):
            raise TransientError(f"{self._url}: the connection was cut") from error
        if isinstance(error, requests.exceptions.ConnectionError):
            raise TransientError(f"{self._url}: {_cause(error)}", reached=False) from error
        if isinstance(error, requests.exceptions.RequestException | urllib3.exceptions.HTTPError):
            raise DownloadError(
                f"{self._url}: {error}", hint="Check the address; it must start with http:// or https://."
            ) from error


def _cause(error: BaseException) -> str:
    """The innermost cause in a few words, without the object addresses that urllib3 prints."""
    text = str(error)
    for words, said in (
        ("Name or service not known", "the host name is not known"),
        ("Temporary failure in name resolution", "the host name could not be looked up"),
        ("No address associated", "the host name has no address"),
        ("Connection refused", "connection refused"),
        ("Network is unreachable", "the network is unreachable"),
        ("No route to host", "there is no route to the host"),
        ("Connection aborted", "the connection was cut"),
    ):
        if words in text:
            return said
    return "no connection"


def retry_after_s(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110 10.2.3: a number or a date); None when absent."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def redact(url: str) -> str:
    """The address without a user name and password: messages and logs never show them."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
