"""One yum repository: repomd.xml, only when it changed; its signature; then its list of packages.

Where a repository is not signed (the older trees of CentOS's vault, RHEL's own), each kernel package's header is:
see headers.py.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from kdriver.core import download
from kdriver.core.errors import DownloadError, IntegrityError
from kdriver.core.http import Http, StatusError, redact, translated
from kdriver.packages.openpgp import SigningKeys, verify_detached
from kernel_index.rpm.headers import check_headers
from kernel_index.rpm.primary import Wanted, read_primary
from kernel_index.rpm.repomd import Repomd, parse_repomd
from kernel_index.suites import BinaryPackage, Question, SuiteFetch, SuiteRecord

logger = logging.getLogger(__name__)

_REPOMD_LIMIT_BYTES = 4 << 20
_SIGNATURE_LIMIT_BYTES = 1 << 16
_PRIMARY_LIMIT_BYTES = 512 << 20
_READING = "1"
"""Part of a list's id: raised when the same file would now give other packages, so that it is read anew."""

SIGNED, HEADERS, NOTHING = "signed", "headers", "nothing"
"""What vouches for a repository: the signature of its repomd.xml, those of its packages' headers, nothing."""


@dataclass(frozen=True, slots=True)
class RepositoryRequest:
    """All that fetching one repository needs. keys: None where its row says that nothing is signed."""

    question: Question
    keys: SigningKeys | None
    wanted: Wanted

    @property
    def subject(self) -> str:
        """How messages call it."""
        return self.question.subject

    @property
    def http(self) -> Http:
        """What to ask with."""
        return self.question.http

    @property
    def asked(self) -> str:
        """What a state must answer to be comparable: the same keys, read in the same way."""
        pinned = " ".join(sorted(self.keys.signed_by)) if self.keys is not None else "unsigned"
        return f"rpm {_READING} {hashlib.sha256(pinned.encode()).hexdigest()[:16]}"

    @property
    def previous(self) -> SuiteRecord | None:
        """The previous state, where it is one of the same question."""
        known = self.question.previous
        return known if known is not None and known.asked == self.asked else None


@dataclass(frozen=True, slots=True)
class _Answer:
    """body: None when the server said that nothing changed."""

    body: bytes | None
    validators: tuple[tuple[str, str, str], ...]
    bytes_read: int


def repomd_url(mirror: str, suite: str) -> str:
    """Where a repository's repomd.xml lies on a mirror."""
    return f"{mirror}/{quote(suite)}/repodata/repomd.xml"


def fetch_repository(request: RepositoryRequest) -> SuiteFetch:
    """The repository's state now, from the first mirror that has it.

    Raises ConfigError (gpgv or keyring missing), IntegrityError (signature, digest, malformed) or DownloadError;
    where several mirrors failed, the error that weighs most: integrity, then failure, then absence.
    """
    errors: list[DownloadError | IntegrityError] = []
    for mirror in request.question.source.mirrors:
        try:
            fetched = _fetch_from(mirror, request)
        except (DownloadError, IntegrityError) as error:
            logger.info("%s", error.message)
            errors.append(error)
            continue
        for earlier in errors:
            if isinstance(earlier, IntegrityError):
                logger.warning("%s (another mirror was used)", earlier.message)
        return fetched
    if not errors:
        raise DownloadError(f"{request.subject}: no mirror is named for it", hint="Name one with --mirror.")
    raise min(errors, key=lambda error: (not isinstance(error, IntegrityError), _is_absence(error)))


def _is_absence(error: DownloadError | IntegrityError) -> bool:
    return isinstance(error, StatusError) and error.status in (404, 410)


def _fetch_from(mirror: str, request: RepositoryRequest) -> SuiteFetch:
    url = repomd_url(mirror, request.question.source.suite)
    answer = request.http.retrying(url, lambda: _ask(url, mirror, request))
    today = request.question.now.date().isoformat()
    known = request.previous
    if answer.body is None or (known is not None and hashlib.sha256(answer.body).hexdigest() == known.head):
        assert known is not None
        validators = answer.validators or known.validators
        return SuiteFetch(replace(known, checked=today, validators=validators), "unchanged", answer.bytes_read, {})
    trust, signature_bytes = _trust(url, answer.body, request)
    repomd = parse_repomd(answer.body, subject=request.subject)
    if known is not None and repomd.date.isoformat() < known.date:
        # A mirror in a round robin may lag, or somebody replays what was signed long ago: what is newer stays.
        return SuiteFetch(known, "behind", answer.bytes_read + signature_bytes, {})
    list_id = _list_id(repomd, trust, request)
    lists: dict[str, tuple[BinaryPackage, ...]] = {}
    bytes_read = answer.bytes_read + signature_bytes
    if list_id not in request.question.known_lists:
        packages, count = _packages(mirror, repomd, trust, request)
        lists[list_id] = packages
        bytes_read += count
    record = SuiteRecord(
        archive=request.question.archive.id,
        suite=request.question.source.suite,
        date=repomd.date.isoformat(),
        valid_until="",
        checked=today,
        automatic=not request.question.archive.not_automatic,
        head=hashlib.sha256(answer.body).hexdigest(),
        validators=answer.validators,
        asked=request.asked,
        lists=((repomd.primary.path, list_id),),
        authenticated=trust != NOTHING,
    )
    return SuiteFetch(record, "fetched", bytes_read, lists)


def _ask(url: str, mirror: str, request: RepositoryRequest) -> _Answer:
    """One conditional request for repomd.xml."""
    with request.http.open(url, _conditions(mirror, request.previous)) as response:
        if response.status_code == 304:
            return _Answer(None, (), 0)
        body = _read(response.raw.read, url, _REPOMD_LIMIT_BYTES)
        etag, last_modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
    validators = ((_mirror_digest(mirror), etag, last_modified),) if etag or last_modified else ()
    return _Answer(body, validators, len(body))


def _conditions(mirror: str, known: SuiteRecord | None) -> dict[str, str]:
    headers = {}
    for digest, etag, last_modified in known.validators if known is not None else ():
        if digest == _mirror_digest(mirror):
            headers.update({"If-None-Match": etag} if etag else {})
            headers.update({"If-Modified-Since": last_modified} if last_modified else {})
    return headers


def _mirror_digest(mirror: str) -> str:
    return hashlib.sha256(mirror.encode()).hexdigest()[:16]


def _read(read: Callable[[int], bytes], url: str, limit_bytes: int) -> bytes:
    """The whole body; urllib3 may return less than asked for while more is to come."""
    body = bytearray()
    with translated(url):
        while chunk := read(1 << 16):
            body += chunk
            if len(body) > limit_bytes:
                raise IntegrityError(f"{redact(url)}: longer than such a file can be", hint="Use another mirror.")
    return bytes(body)


def _trust(url: str, body: bytes, request: RepositoryRequest) -> tuple[str, int]:
    """What vouches for the repository, and the bytes read to learn it."""
    if request.keys is None:
        return NOTHING, 0
    signature_url = f"{url}.asc"
    try:
        signature = request.http.retrying(signature_url, lambda: _get(signature_url, request.http))
    except StatusError as error:
        if error.status not in (403, 404, 410):
            raise
        if request.previous is not None and _was_signed(request.previous):
            raise IntegrityError(
                f"{request.subject}: it was signed, and is not any more",
                hint="Use another mirror; if every mirror says so, do not trust the network you are on.",
            ) from error
        return HEADERS, 0
    verify_detached([body], signature, request.keys, subject=request.subject)
    return SIGNED, len(signature)


def _get(url: str, http: Http) -> bytes:
    with http.open(url) as response:
        return _read(response.raw.read, url, _SIGNATURE_LIMIT_BYTES)


def _list_id(repomd: Repomd, trust: str, request: RepositoryRequest) -> str:
    """What the kept packages depend on: the file, where they lie, how they were read and who vouched for them."""
    read = hashlib.sha256(f"{request.question.source.suite} {request.asked}".encode()).hexdigest()[:16]
    return f"{trust}-{read}-{repomd.primary.sha256}"


def _was_signed(known: SuiteRecord) -> bool:
    return any(list_id.startswith(f"{SIGNED}-") for _, list_id in known.lists)


def _packages(
    mirror: str, repomd: Repomd, trust: str, request: RepositoryRequest
) -> tuple[tuple[BinaryPackage, ...], int]:
    """The packages that can be a part of a kernel, each vouched for, and the bytes read for them."""
    listed = repomd.primary
    if max(listed.size_bytes, 0) > _PRIMARY_LIMIT_BYTES:
        raise IntegrityError(
            f"{request.subject}: a list of packages of {listed.size_bytes} bytes", hint="Use another mirror."
        )
    base = f"{mirror}/{quote(request.question.source.suite)}"
    with tempfile.TemporaryDirectory(prefix="kdriver-list-") as folder:
        path = Path(folder) / "primary"
        download.fetch(
            [f"{base}/{quote(listed.path)}"],
            path,
            size_bytes=listed.size_bytes or None,
            sha256=listed.sha256,
            limit_bytes=_PRIMARY_LIMIT_BYTES,
            http=request.http,
        )
        bytes_read = path.stat().st_size
        read = read_primary(path, request.wanted, subject=request.subject, open_size_bytes=listed.open_size_bytes)
        packages = [replace(one, path=f"{request.question.source.suite}/{one.path}") for one in read]
    if trust == HEADERS and request.keys is not None:
        bytes_read += check_headers(mirror, packages, request.keys, http=request.http, subject=request.subject)
    return tuple(packages), bytes_read
