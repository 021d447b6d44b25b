"""Downloads: resumed, checked, atomic. A file that stands under its name is whole and has its digest."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests

from kdriver.core import paths
from kdriver.core.console import size as size_text
from kdriver.core.errors import ConfigError, DownloadError, IntegrityError, KdriverError
from kdriver.core.http import CHUNK_BYTES, Http, TransientError, redact, translated
from kdriver.core.partfile import PartFile, discard, locked_part

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Called with the bytes there so far and the size in all (None where unknown)."""

LIMIT_BYTES = 4 << 30
"""The most that is ever taken from a server that did not say a size beforehand."""

_HINT = "Try another mirror, and update the index with `kdriver index update`."


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

    def is_whole(self) -> bool:
        return self.sha256 is None or file_digest(self.destination, self.sha256) == self.sha256


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
    sha256: lower-case hex; one of 128 digits is a SHA-512, which is all that some repositories give.
    Raises DownloadError (nobody answered with it; no space; not writable) or IntegrityError (another size or
    digest than promised; nothing is left behind).
    """
    wanted = _Wanted(destination, size_bytes, sha256, limit_bytes, progress, http or Http())
    if not urls:
        raise DownloadError(f"{wanted.name}: no address to download it from is known", hint=_HINT)
    with _writable(wanted):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with locked_part(destination, wanted.is_whole, algorithm_of(sha256 or "")) as part:
            if part is None:
                return destination
            part.take_up()
            try:
                _fetch_first(urls, wanted, part)
                part.finish()
            except IntegrityError:
                discard(destination)
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

    It stands in cache_dir()/downloads/<first two digits>/<digest>/<name>, or likewise in archive_dir().
    A cached file whose bytes have
    changed is downloaded again. Raises what `fetch` raises, ConfigError for a name with a slash.
    """
    if not sha256:
        raise ConfigError(
            f"{name}: no digest of it is known, so nothing can be checked by it",
            hint="`kdriver index archive` downloads such packages and notes what they are.",
        )
    if "/" in name or name in ("", ".", ".."):
        raise ConfigError(f"{name!r} is no file name", hint="Update the index with `kdriver index update`.")
    archived = by_digest(paths.archive_dir(), sha256, name)
    if archived.exists() and file_digest(archived, sha256) == sha256:
        return archived
    destination = by_digest(paths.cache_dir() / "downloads", sha256, name)
    if destination.exists():
        if file_digest(destination, sha256) == sha256:
            with contextlib.suppress(OSError):
                os.utime(destination.parent)  # when it was used last, for `kdriver cache prune`
            return destination
        logger.warning("%s: the cached file is damaged, downloading it again", destination)
        destination.unlink(missing_ok=True)
    local = next((url for url in urls if url.startswith("file://")), "")
    if local:
        return _copied(local, destination, sha256)
    return fetch(urls, destination, size_bytes=size_bytes, sha256=sha256, progress=progress, http=http)


def read(http: Http, url: str, limit_bytes: int, headers: Mapping[str, str] | None = None) -> bytes:
    """The body at an address, whole and kept in memory: for small files without a digest that is known.

    Raises DownloadError, also when it is longer than limit_bytes.
    """

    def attempt() -> bytes:
        with http.open(url, headers) as response:
            return _body(url, response, limit_bytes)

    return http.retrying(url, attempt)


def fetch_bytes(urls: Sequence[str], *, size_bytes: int, sha256: str, http: Http) -> bytes:
    """A file of known size and digest, kept in memory, from the first address that has it as promised.

    Raises DownloadError or IntegrityError, of several the weightiest.
    """
    errors: list[KdriverError] = []
    for url in urls:
        try:
            body = read(http, url, size_bytes)
            if len(body) != size_bytes:
                raise IntegrityError(f"{redact(url)}: {len(body)} bytes, {size_bytes} were promised", hint=_HINT)
            found = hashlib.new(algorithm_of(sha256), body).hexdigest()
            if found != sha256:
                raise IntegrityError(_other_digest(url, found, sha256), hint=_HINT)
            return body
        except (DownloadError, IntegrityError) as error:
            logger.info("%s", error.message)
            errors.append(error)
    if not errors:
        raise DownloadError("no address to download it from is known", hint=_HINT)
    raise _weightiest(errors, urls[0].rpartition("/")[2])


def _body(url: str, response: requests.Response, limit_bytes: int) -> bytes:
    chunks, length = [], 0
    with translated(url):
        while chunk := response.raw.read(CHUNK_BYTES * 4):
            chunks.append(chunk)
            length += len(chunk)
            if length > limit_bytes:
                raise IntegrityError(f"{redact(url)}: longer than the {limit_bytes} bytes that it may have", hint=_HINT)
    if length < _promised(response, 0):
        raise TransientError(f"{redact(url)}: the connection was cut")
    return b"".join(chunks)


def by_digest(folder: Path, digest: str, name: str) -> Path:
    """Where a file of that digest stands in a folder of such files."""
    return folder / digest[:2] / digest / name


def algorithm_of(digest: str) -> str:
    """`sha512` for a digest of 128 hex digits, else `sha256`."""
    return "sha512" if len(digest) == 128 else "sha256"


def file_digest(path: Path, like: str) -> str:
    """The digest of a file's bytes by the algorithm of another digest, lower-case hex."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, algorithm_of(like)).hexdigest()


def _copied(url: str, destination: Path, sha256: str) -> Path:
    """A file of this machine, where a package was added to the index from a folder."""
    source = Path(unquote(urlsplit(url).path))
    part = destination.with_name(f"{destination.name}.copy")
    wanted = _Wanted(destination, None, sha256, LIMIT_BYTES, None, Http())
    if not source.is_file():
        raise DownloadError(f"{source}: the file is not there any more", hint="Bring it back, or add its folder anew.")
    with _writable(wanted):
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, part)
        if file_sha256(part) != sha256:
            part.unlink(missing_ok=True)
            raise IntegrityError(
                f"{source}: the file has changed since it was added to the index",
                hint="Add its folder anew with `kdriver index add`.",
            )
        part.replace(destination)
    return destination


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
                discard(wanted.destination)
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


def _fetch_first(urls: Sequence[str], wanted: _Wanted, part: PartFile) -> None:
    """Try the addresses in order until the part file is whole; else raise the weightiest of their errors."""
    if wanted.size_bytes is not None and part.length == wanted.size_bytes and _matches(wanted, part):
        return
    errors: list[KdriverError] = []
    for url in urls:
        try:
            _fetch_one(url, wanted, part)
            return
        except (DownloadError, IntegrityError) as error:
            logger.info("%s", error.message)
            errors.append(error)
            if isinstance(error, IntegrityError):
                part.restart()
    raise _weightiest(errors, wanted.name)


def _weightiest(errors: Sequence[KdriverError], name: str) -> KdriverError:
    integrity = [error for error in errors if isinstance(error, IntegrityError)]
    if integrity:
        return integrity[0]
    if len(errors) == 1:
        return errors[0]
    said = "; ".join(error.message for error in errors)
    return DownloadError(f"{name}: none of {len(errors)} addresses has it: {said}", hint=errors[-1].hint)


def _fetch_one(url: str, wanted: _Wanted, part: PartFile) -> None:
    """Fill the part file from one address. What does not fit together once it was resumed is taken anew."""
    starts: list[int] = []

    def attempt() -> None:
        _attempt(url, wanted, part, starts)

    try:
        wanted.http.retrying(url, attempt)
        _check(url, wanted, part)
    except IntegrityError as error:
        if not starts or not starts[-1]:
            raise
        logger.info("%s; starting over, its first part was from another file", error.message)
        part.restart()
        wanted.http.retrying(url, attempt)
        _check(url, wanted, part)


def _attempt(url: str, wanted: _Wanted, part: PartFile, starts: list[int]) -> None:
    """One request, whose body is appended to the part file. starts: gets how much of it was there before."""
    with wanted.http.open(url, _resume_headers(url, wanted, part)) as response:
        start = _require_start(url, response, part)
        starts.append(start)
        part.note_validator(url, _validator(response))
        while True:
            with translated(url):
                chunk = response.raw.read(CHUNK_BYTES)
            if not chunk:
                break
            part.append(chunk)
            _check_limit(url, wanted, part)
            if wanted.progress is not None:
                wanted.progress(part.length, wanted.size_bytes)
    if part.length < _promised(response, start):
        raise TransientError(f"{redact(url)}: the connection was cut")


def _resume_headers(url: str, wanted: _Wanted, part: PartFile) -> dict[str, str]:
    """Range, with If-Range where the server gave a validator. Without one and without a digest to check the
    result by, the file is taken from its start."""
    if not part.length:
        return {}
    validator = part.validator(url)
    if not validator and wanted.sha256 is None:
        part.restart()
        return {}
    headers = {"Range": f"bytes={part.length}-"}
    if validator:
        headers["If-Range"] = validator
    return headers


def _require_start(url: str, response: requests.Response, part: PartFile) -> int:
    """Where the answer's body starts in the file: at the part file's end, or at 0, and then that is emptied."""
    if response.status_code == 206:
        given = response.headers.get("Content-Range", "")
        if given.startswith(f"bytes {part.length}-"):
            return part.length
        part.restart()
        raise TransientError(f"{redact(url)}: the server sent another range ({given or 'unnamed'}) than asked for")
    if part.length:
        part.restart()
    if response.status_code == 416:
        raise TransientError(f"{redact(url)}: the server's file is shorter than what is there, starting over")
    return 0


def _validator(response: requests.Response) -> str:
    etag = response.headers.get("ETag", "")
    # RFC 9110 13.1.5: If-Range takes no weak entity tag.
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _promised(response: requests.Response, start: int) -> int:
    """The size that the answer's headers give the file; 0 where they do not say."""
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else 0


def _check_limit(url: str, wanted: _Wanted, part: PartFile) -> None:
    if wanted.size_bytes is not None and part.length > wanted.size_bytes:
        raise IntegrityError(f"{redact(url)}: longer than the {wanted.size_bytes} bytes that were promised", hint=_HINT)
    if part.length > wanted.limit_bytes:
        raise DownloadError(
            f"{redact(url)}: longer than {size_text(wanted.limit_bytes)}, which is more than such a file has",
            hint="Check the address, or name another mirror.",
        )


def _matches(wanted: _Wanted, part: PartFile) -> bool:
    return wanted.sha256 is None or part.digest.hexdigest() == wanted.sha256


def _check(url: str, wanted: _Wanted, part: PartFile) -> None:
    if wanted.size_bytes is not None and part.length != wanted.size_bytes:
        raise IntegrityError(f"{redact(url)}: {part.length} bytes, {wanted.size_bytes} were promised", hint=_HINT)
    if not _matches(wanted, part):
        raise IntegrityError(_other_digest(url, part.digest.hexdigest(), wanted.sha256 or ""), hint=_HINT)


def _other_digest(url: str, found: str, promised: str) -> str:
    name = {"sha256": "SHA-256", "sha512": "SHA-512"}[algorithm_of(promised)]
    return f"{redact(url)}: {name} is {found}, {promised} was promised"
