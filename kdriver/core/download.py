"""Downloads: resumed, checked, atomic. A file that stands under its name is whole and has its digest."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import requests

from kdriver.core import paths
from kdriver.core.console import size as size_text
from kdriver.core.errors import ConfigError, DownloadError, IntegrityError, KdriverError
from kdriver.core.http import CHUNK_BYTES, Http, StatusError, TransientError, redact, translated

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Called with the bytes there so far and the size in all (None where unknown)."""

LIMIT_BYTES = 4 << 30
"""The most that is ever taken from a server that did not say a size beforehand."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    destination: Path
    size_bytes: int | None
    sha256: str | None
    limit_bytes: int
    progress: Progress | None
    http: Http

    @property
    def name(self) -> str:
        return self.destination.name

    @property
    def part(self) -> Path:
        return self.destination.with_name(self.name + ".part")

    @property
    def validators(self) -> Path:
        return self.destination.with_name(self.name + ".part.json")


@dataclass(slots=True)
class _Part:
    """The file being written, with the running digest of what it holds."""

    out: BinaryIO
    length: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def restart(self) -> None:
        self.out.seek(0)
        self.out.truncate()
        self.length = 0
        self.digest = hashlib.sha256()

    def append(self, chunk: bytes) -> None:
        self.out.write(chunk)
        self.length += len(chunk)
        self.digest.update(chunk)


def fetch(
    urls: Sequence[str],
    destination: Path,
    *,
    size_bytes: int | None,
    sha256: str | None,
    progress: Progress | None = None,
    limit_bytes: int = LIMIT_BYTES,
    http: Http | None = None,
) -> Path:
    """Download one file from the first address that has it as promised, and return `destination`.

    What an earlier try left beside it as `<name>.part` is resumed. Two processes that want the same file do
    not disturb each other: the second waits for the first.
    Raises DownloadError (nobody answered with it; no space; not writable) or IntegrityError (another size or
    digest than promised; nothing is left behind).
    """
    if not urls:
        raise DownloadError(f"{destination.name}: there is no address to download it from", hint=None)
    wanted = _Wanted(destination, size_bytes, sha256, limit_bytes, progress, http or Http())
    with _writable(wanted):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _locked_part(wanted) as out:
            if out is None:
                return destination
            part = _Part(out)
            _take_up(part)
            try:
                _fetch_first(urls, wanted, part)
                _finish(wanted, part)
            except IntegrityError:
                _discard(wanted)
                raise
    return destination


def cached(
    urls: Sequence[str],
    sha256: str,
    size_bytes: int | None,
    name: str,
    *,
    progress: Progress | None = None,
    http: Http | None = None,
) -> Path:
    """A file of that digest from the cache, downloaded when it is not there; needs no network when it is.

    It stands in cache_dir()/downloads/<first two digits>/<digest>/<name>. A cached file whose bytes have
    changed is downloaded again. Raises what `fetch` raises.
    """
    if "/" in name or name in ("", ".", ".."):
        raise ConfigError(f"{name!r} is no file name", hint="Update the index with `kdriver index update`.")
    destination = paths.cache_dir() / "downloads" / sha256[:2] / sha256 / name
    if destination.exists():
        if file_sha256(destination) == sha256:
            return destination
        logger.warning("%s: the cached file is damaged, downloading it again", destination)
        destination.unlink()
    return fetch(urls, destination, size_bytes=size_bytes, sha256=sha256, progress=progress, http=http)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, lower-case hex."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@contextlib.contextmanager
def _writable(wanted: _Wanted) -> Iterator[None]:
    """Errors of the file system as one clear line."""
    try:
        yield
    except OSError as error:
        folder = wanted.destination.parent
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            with contextlib.suppress(OSError):
                _discard(wanted)
            need = f", {size_text(wanted.size_bytes)} needed" if wanted.size_bytes is not None else ""
            raise DownloadError(
                f"{wanted.name}: no space left in {folder}{need}",
                hint="Free space there, or set KDRIVER_CACHE to a folder on another file system.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise DownloadError(
                f"{wanted.name}: cannot be written in {folder}: {os.strerror(error.errno)}",
                hint="Set KDRIVER_CACHE to a folder that you may write in.",
            ) from error
        raise


@contextlib.contextmanager
def _locked_part(wanted: _Wanted) -> Iterator[BinaryIO | None]:
    """The part file, locked; None when another process finished the same file while this one waited."""
    before = _identity(wanted.destination)
    while True:
        out = wanted.part.open("a+b")
        try:
            fcntl.flock(out, fcntl.LOCK_EX)
            if _identity(wanted.part) == _stat_identity(os.fstat(out.fileno())):
                yield out
                return
        finally:
            out.close()
        # The one who held the lock renamed or removed the file that was waited for.
        if _identity(wanted.destination) not in (None, before) and _is_whole(wanted):
            yield None
            return


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        return _stat_identity(path.stat())
    except FileNotFoundError:
        return None


def _stat_identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _is_whole(wanted: _Wanted) -> bool:
    return wanted.sha256 is None or file_sha256(wanted.destination) == wanted.sha256


def _take_up(part: _Part) -> None:
    """Digest what an earlier try left."""
    part.out.seek(0)
    while chunk := part.out.read(1 << 20):
        part.digest.update(chunk)
        part.length += len(chunk)


def _fetch_first(urls: Sequence[str], wanted: _Wanted, part: _Part) -> None:
    """Try the addresses in order until the part file is whole; else raise the weightiest of their errors."""
    if wanted.size_bytes is not None and part.length == wanted.size_bytes and _matches(wanted, part):
        return
    errors: list[KdriverError] = []
    for url in urls:
        try:
            try:
                wanted.http.retrying(url, lambda url=url: _attempt(url, wanted, part))  # type: ignore[misc]
                _check(url, wanted, part)
            except IntegrityError as error:
                if not _was_resumed(wanted):
                    raise
                logger.info("%s; starting over, the first part came from another time", error.message)
                part.restart()
                _write_validators(wanted, None)
                wanted.http.retrying(url, lambda url=url: _attempt(url, wanted, part))  # type: ignore[misc]
                _check(url, wanted, part)
            return
        except (DownloadError, IntegrityError) as error:
            logger.info("%s", error.message)
            errors.append(error)
            if isinstance(error, IntegrityError):
                part.restart()
    raise _weightiest(errors, wanted)


def _weightiest(errors: Sequence[KdriverError], wanted: _Wanted) -> KdriverError:
    integrity = [error for error in errors if isinstance(error, IntegrityError)]
    if integrity:
        return integrity[0]
    if len(errors) == 1:
        return errors[0]
    said = "; ".join(error.message for error in errors)
    return DownloadError(f"{wanted.name}: none of {len(errors)} addresses has it: {said}", hint=errors[-1].hint)


def _attempt(url: str, wanted: _Wanted, part: _Part) -> None:
    """One request; appends to the part file."""
    headers = _resume_headers(url, wanted, part)
    with wanted.http.open(url, headers) as response:
        if response.status_code == 416:
            part.restart()
            _write_validators(wanted, None)
            raise TransientError(f"{redact(url)}: the server has another size now, starting over")
        if response.status_code == 206:
            _require_range(url, response, part)
        elif part.length:
            part.restart()
        _write_validators(wanted, response, url=url, resumed=response.status_code == 206)
        while True:
            with translated(url):
                chunk = response.raw.read(CHUNK_BYTES)
            if not chunk:
                break
            part.append(chunk)
            _check_limit(url, wanted, part)
            if wanted.progress is not None:
                wanted.progress(part.length, wanted.size_bytes)
    if wanted.size_bytes is not None and part.length < wanted.size_bytes and _promised_more(response, part):
        raise TransientError(f"{redact(url)}: the connection was cut")


def _promised_more(response: requests.Response, part: _Part) -> bool:
    """Whether the server meant to send more than came: a cut, not another file."""
    length = response.headers.get("Content-Length")
    if length is None or not length.isdigit():
        return True
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    return part.length < (int(total) if total.isdigit() else int(length))


def _resume_headers(url: str, wanted: _Wanted, part: _Part) -> dict[str, str]:
    """Range, with If-Range where the server gave a validator. Without one and without a digest to check the
    result by, the file is taken from its start."""
    if not part.length:
        return {}
    validator = _read_validators(wanted).get(url, "")
    if not validator and wanted.sha256 is None:
        part.restart()
        return {}
    headers = {"Range": f"bytes={part.length}-"}
    if validator:
        headers["If-Range"] = validator
    return headers


def _require_range(url: str, response: requests.Response, part: _Part) -> None:
    given = response.headers.get("Content-Range", "")
    if not given.startswith(f"bytes {part.length}-"):
        part.restart()
        raise TransientError(f"{redact(url)}: the server sent another range ({given or 'unnamed'}) than asked for")


def _write_validators(
    wanted: _Wanted, response: requests.Response | None, *, url: str = "", resumed: bool = False
) -> None:
    if response is None:
        wanted.validators.unlink(missing_ok=True)
        return
    etag = response.headers.get("ETag", "")
    # RFC 9110 13.1.5: If-Range takes no weak entity tag.
    validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
    wanted.validators.write_text(json.dumps({url: validator, "resumed": "yes" if resumed else ""}))


def _read_validators(wanted: _Wanted) -> dict[str, str]:
    try:
        read = json.loads(wanted.validators.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _was_resumed(wanted: _Wanted) -> bool:
    return bool(_read_validators(wanted).get("resumed"))


def _check_limit(url: str, wanted: _Wanted, part: _Part) -> None:
    if wanted.size_bytes is not None and part.length > wanted.size_bytes:
        raise IntegrityError(
            f"{redact(url)}: longer than the {wanted.size_bytes} bytes that the signed metadata promises",
            hint="Try another mirror, and update the index with `kdriver index update`.",
        )
    if part.length > wanted.limit_bytes:
        raise DownloadError(
            f"{redact(url)}: longer than {size_text(wanted.limit_bytes)}, which is more than such a file has",
            hint="Check the address, or name another mirror.",
        )


def _matches(wanted: _Wanted, part: _Part) -> bool:
    return wanted.sha256 is None or part.digest.hexdigest() == wanted.sha256


def _check(url: str, wanted: _Wanted, part: _Part) -> None:
    hint = "Try another mirror, and update the index with `kdriver index update`."
    if wanted.size_bytes is not None and part.length != wanted.size_bytes:
        raise IntegrityError(f"{redact(url)}: {part.length} bytes, {wanted.size_bytes} were promised", hint=hint)
    if not _matches(wanted, part):
        raise IntegrityError(
            f"{redact(url)}: SHA-256 is {part.digest.hexdigest()}, {wanted.sha256} was promised", hint=hint
        )


def _finish(wanted: _Wanted, part: _Part) -> None:
    part.out.flush()
    os.fsync(part.out.fileno())
    wanted.part.replace(wanted.destination)
    wanted.validators.unlink(missing_ok=True)
    folder = os.open(wanted.destination.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _discard(wanted: _Wanted) -> None:
    wanted.part.unlink(missing_ok=True)
    wanted.validators.unlink(missing_ok=True)


__all__ = ["LIMIT_BYTES", "Progress", "StatusError", "cached", "fetch", "file_sha256"]
