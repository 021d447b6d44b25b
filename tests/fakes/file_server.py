"""A web server on loopback that serves a folder, counts what it sends, and fails when told to."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote


@dataclass
class Fault:
    """What goes wrong with one answer. cut_after: bytes of the body after which the connection is cut. stall_s: how
    long nothing comes after the headers."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    body: bytes | None = None
    stall_s: float = 0.0


@dataclass(frozen=True)
class Request:
    """One request as it came. sent: bytes of body that the server wrote for it."""

    path: str
    headers: dict[str, str]
    status: int
    sent: int


class FileServer:
    """Serves `root`. validators: answers conditional requests; ranges: answers Range.

    delay_s: how long each answer takes; busiest: the most requests that were being answered at a time.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.validators = True
        self.ranges = True
        self.faults: dict[str, list[Fault]] = {}
        self.delay_s = 0.0
        self.busiest = 0
        self._requests: list[Request] = []
        self._answering = 0
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """The address of the root, no slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> list[Request]:
        """The requests so far, once the last answer is done: a client may have all of it before we noted it."""
        with self._changed:
            self._changed.wait_for(lambda: self._answering == 0, timeout=10)
            return list(self._requests)

    @property
    def sent(self) -> int:
        """Bytes of bodies written so far."""
        return sum(request.sent for request in self.requests)

    def fail(self, path: str, *faults: Fault) -> None:
        """The next answers for a path go wrong, one fault each."""
        self.faults.setdefault(path, []).extend(faults)

    def paths(self) -> list[str]:
        """The paths asked for so far."""
        return [request.path for request in self.requests]

    def wrap(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> FileServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with outer._changed:
                    outer._answering += 1
                    outer.busiest = max(outer.busiest, outer._answering)
                done: list[Request] = []
                try:
                    done.append(self._answer())
                finally:
                    with outer._changed:
                        outer._requests.extend(done)
                        outer._answering -= 1
                        outer._changed.notify_all()

            def do_HEAD(self) -> None:
                path = unquote(self.path)
                status, headers, body = outer._answer(path, {}, Fault())
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def _answer(self) -> Request:
                path = unquote(self.path)
                time.sleep(outer.delay_s)
                waiting = outer.faults.get(path, [])
                fault = waiting.pop(0) if waiting else Fault()
                status, headers, body = outer._answer(path, dict(self.headers.items()), fault)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                time.sleep(fault.stall_s)
                sent = 0
                try:
                    limit = len(body) if fault.cut_after is None else fault.cut_after
                    # Small pieces and a small buffer show how much a client really takes before it hangs up.
                    for start in range(0, limit, 1024):
                        sent += self.wfile.write(body[start : min(start + 1024, limit)])
                        self.wfile.flush()
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                if fault.cut_after is not None:
                    self.close_connection = True
                return Request(path, dict(self.headers.items()), status, sent)

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        return Handler

    def _answer(self, path: str, asked: dict[str, str], fault: Fault) -> tuple[int, dict[str, str], bytes]:
        if fault.status:
            return fault.status, fault.headers, fault.body or b""
        file = self.root / path.lstrip("/")
        if not file.is_file():
            return 404, {}, b"no such file"
        body = fault.body if fault.body is not None else file.read_bytes()
        etag = '"' + hashlib.sha256(body).hexdigest()[:20] + '"'
        headers = dict(fault.headers)
        if self.validators:
            headers |= {"ETag": etag, "Last-Modified": formatdate(file.stat().st_mtime, usegmt=True)}
            if asked.get("If-None-Match") == etag:
                return 304, headers, b""
        wanted = asked.get("Range", "")
        if self.ranges and wanted.startswith("bytes=") and asked.get("If-Range", etag) == etag:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), int(last) + 1 if last else len(body)
            if start >= len(body):
                return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
            part = body[start:end]
            headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
            return 206, headers, part
        return 200, headers, body
