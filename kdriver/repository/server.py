"""A static HTTP server for one repository folder: what a mirror needs, and nothing that is not part of it."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from kdriver.core.errors import ConfigError
from kdriver.repository.layout import METADATA, TARGETS

logger = logging.getLogger(__name__)

_IDLE_TIMEOUT_S = 60
_BLOCK_BYTES = 1 << 18
_ALIAS = re.compile(r"\d[^/]*/[a-z0-9_]+/[^/]+\.k?o")
_VERSIONED = re.compile(r"metadata/\d+\.[^/]+\.json|targets/.*[0-9a-f]{64}\.[^/]+")
_CONTENT_TYPES = {".json": "application/json", ".ko": "application/octet-stream", ".o": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes start to end, the end not included."""

    start: int
    end: int


class RepositoryServer(ThreadingHTTPServer):
    """Serves a repository folder. page: makes the page at `/`, as HTML; called for every request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, root: Path, address: tuple[str, int], page: Callable[[], str], access_log: bool) -> None:
        """Raises ConfigError when the address cannot be listened on."""
        self.root = root.resolve()
        self.page = page
        self.access_log = access_log
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        try:
            super().__init__(address, RepositoryHandler)
        except OSError as error:
            raise ConfigError(
                f"{address[0]}:{address[1]}: cannot be listened on: {error.strerror}",
                hint="Name another address or port with --listen; port 0 takes a free one.",
            ) from error

    @property
    def url(self) -> str:
        """Where it answers."""
        host, port = self.server_address[:2]
        text = host.decode() if isinstance(host, bytes) else str(host)
        return f"http://[{text}]:{port}/" if ":" in text else f"http://{text}:{port}/"


class RepositoryHandler(BaseHTTPRequestHandler):
    """One connection: GET and HEAD with ranges and conditions (RFC 9110)."""

    server: RepositoryServer
    protocol_version = "HTTP/1.1"
    server_version = "kdriver"
    sys_version = ""
    timeout = _IDLE_TIMEOUT_S

    def do_GET(self) -> None:
        """Answer with a file, a part of it, or the page at `/`."""
        self._answer(send_body=True)

    def do_HEAD(self) -> None:
        """Answer as GET would, without the content."""
        self._answer(send_body=False)

    def _answer(self, send_body: bool) -> None:
        path = urlsplit(self.path).path
        if path in ("/", "/index.html"):
            self._send_page(send_body)
            return
        name = served_name(path)
        file = _open_below(self.server.root, name) if name else None
        if name is None or file is None:
            self._send_text(HTTPStatus.NOT_FOUND, "no such file in this repository\n", send_body)
            return
        with file:
            self._send_file(name, file, send_body)

    def _send_file(self, name: str, file: IO[bytes], send_body: bool) -> None:
        # Of the open file: by its name, a publisher may have replaced it meanwhile.
        status = os.fstat(file.fileno())
        etag = f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
        if _matches(self.headers.get("If-None-Match"), etag):
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self._send_validators(name, etag, status.st_mtime)
            self.end_headers()
            return
        wanted = self.headers.get("Range")
        if self.headers.get("If-Range") not in (None, etag):
            wanted = None
        span = parse_range(wanted, status.st_size)
        if span is None:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{status.st_size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        partial = (span.start, span.end) != (0, status.st_size)
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
        if partial:
            self.send_header("Content-Range", f"bytes {span.start}-{span.end - 1}/{status.st_size}")
        self._send_validators(name, etag, status.st_mtime)
        self.send_header("Content-Type", _CONTENT_TYPES.get(Path(name).suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(span.end - span.start))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if send_body:
            self._copy(file, span)

    def _copy(self, file: IO[bytes], span: ByteRange) -> None:
        file.seek(span.start)
        left = span.end - span.start
        while left and (block := file.read(min(left, _BLOCK_BYTES))):
            self.wfile.write(block)
            left -= len(block)
        if left:
            # The file shrank under us: the promised length cannot be kept, so the connection must not be reused.
            self.close_connection = True

    def _send_validators(self, name: str, etag: str, modified: float) -> None:
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", formatdate(modified, usegmt=True))
        fresh = "public, max-age=31536000, immutable" if _VERSIONED.fullmatch(name) else "no-cache"
        self.send_header("Cache-Control", fresh)

    def _send_page(self, send_body: bool) -> None:
        self._send_text(HTTPStatus.OK, self.server.page(), send_body, content_type="text/html; charset=utf-8")

    def _send_text(
        self, status: HTTPStatus, text: str, send_body: bool, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if send_body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """To the log, and only when asked for: `--access-log`."""
        if self.server.access_log:
            logger.info("%s %s", self.client_address[0], format % args)

    def handle(self) -> None:
        """As the base class; a client that hangs up is no fault of ours."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError) as error:
            logger.debug("%s: %s", self.client_address[0], error)


def served_name(url_path: str) -> str | None:
    """The file below the repository that a URL path names; None when it names nothing that is served.

    Served are `metadata/`, `targets/` and addresses in Falco's naming. `%2B` and `+` both mean a plus sign."""
    name = unquote(url_path, errors="replace").removeprefix("/")
    parts = name.split("/")
    if "\0" in name or "\\" in name or any(not part or part.startswith(".") for part in parts):
        return None
    if parts[0] in (METADATA, TARGETS) or _ALIAS.fullmatch(name):
        return name
    return None


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """What a Range header asks of a file of that size: the whole file without a header, or when the header is one
    that a server may ignore (several ranges, another unit, nonsense); None when it lies outside (status 416)."""
    whole = ByteRange(0, size)
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").strip())
    if not match or match.group(1) == match.group(2) == "":
        return whole
    first, last = match.groups()
    if not first:
        return ByteRange(max(0, size - int(last)), size) if int(last) and size else None
    start, end = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return whole
    return ByteRange(start, end) if start < size else None


def _open_below(root: Path, name: str) -> IO[bytes] | None:
    """Open a regular file that really lies below the root, links followed."""
    try:
        path = (root / name).resolve(strict=True)
        if not path.is_relative_to(root) or not path.is_file():
            return None
        return path.open("rb")
    except (OSError, RuntimeError):
        return None


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in header.split(","))
