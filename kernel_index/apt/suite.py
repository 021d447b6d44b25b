"""One suite of an apt repository: InRelease, verified; then its package lists, by hash and only when changed."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import hashlib
import io
import logging
import lzma
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kdriver.core import download
from kdriver.core.errors import DownloadError, IntegrityError
from kdriver.core.http import Http, redact, translated
from kdriver.packages.deb822 import parse_stanza
from kernel_index.apt.openpgp import verified_text
from kernel_index.apt.release import ListedFile, Release, StaleError, check_release, check_still_valid, parse_release
from kernel_index.suites import BinaryPackage, SuiteFetch, SuiteRecord, SuiteSource
from kernel_index.table import Archive, DistroRow

logger = logging.getLogger(__name__)

HEAD_BYTES = 2048
"""How much of an InRelease is compared: it holds the Date and the first digests, so no two releases share it."""
_INRELEASE_LIMIT_BYTES = 8 << 20
_LIST_LIMIT_BYTES = 1 << 30
_PACKAGE = re.compile(r"^Package:[ \t]*(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SuiteRequest:
    """All that fetching one suite needs. wanted: says of a package's name whether it is kept.

    allow_stale: whether a Release whose time has passed is taken, with a warning.
    """

    row: DistroRow
    archive: Archive
    source: SuiteSource
    deb_arch: str
    wanted: Callable[[str], bool]
    previous: SuiteRecord | None
    now: datetime.datetime
    http: Http
    allow_stale: bool = False

    @property
    def asked(self) -> str:
        """What a state of the suite must answer: the same lists, signed by the same keys."""
        keys = hashlib.sha256(" ".join(sorted(self.archive.signed_by)).encode()).hexdigest()[:16]
        return f"{' '.join(self.archive.components)} {self.deb_arch} {keys}"

    @property
    def comparable(self) -> SuiteRecord | None:
        """The previous state, where it is one of the same question."""
        return self.previous if self.previous is not None and self.previous.asked == self.asked else None

    @property
    def subject(self) -> str:
        """How messages call it."""
        return f"{self.row.id} {self.source.suite}"


@dataclass(frozen=True, slots=True)
class _Answer:
    """body: None when the server said that nothing changed."""

    body: bytes | None
    etag: str
    last_modified: str
    bytes_read: int


def inrelease_url(mirror: str, suite: str) -> str:
    """Where a suite's signed Release lies on a mirror."""
    return f"{mirror}/dists/{quote(suite)}/InRelease"


def fetch_suite(request: SuiteRequest) -> SuiteFetch:
    """The suite's state now, from the first mirror that has it.

    Raises ConfigError (gpgv or keyring missing), IntegrityError (signature, digest, StaleError) or
    DownloadError; where several mirrors failed, the error that weighs most, integrity before absence.
    """
    errors: list[DownloadError | IntegrityError] = []
    for mirror in request.source.mirrors:
        try:
            fetched = _fetch_from(mirror, request)
        except (DownloadError, IntegrityError) as error:
            logger.info("%s", error.message)
            errors.append(error)
            continue
        for earlier in errors:
            if isinstance(earlier, IntegrityError):
                # Another mirror made up for it; that one of them is not to be trusted must still be seen.
                logger.warning("%s (another mirror was used)", earlier.message)
        return fetched
    if not errors:
        raise DownloadError(f"{request.subject}: no mirror is named for it", hint="Name one with --mirror.")
    raise next((error for error in errors if isinstance(error, IntegrityError)), errors[0])


def _fetch_from(mirror: str, request: SuiteRequest) -> SuiteFetch:
    url = inrelease_url(mirror, request.source.suite)
    answer = request.http.retrying(url, lambda: _ask(url, mirror, request))
    if answer.body is None:
        assert request.comparable is not None
        _check_unchanged(request.comparable, request)
        record = dataclasses.replace(request.comparable, checked=request.now.date().isoformat())
        return SuiteFetch(record, "unchanged", answer.bytes_read)
    release = _verified_release(answer.body, request)
    if request.comparable is not None and release.date.isoformat() < request.comparable.date:
        # A mirror in a round robin may lag by hours; what is newer and was signed stays.
        _check_unchanged(request.comparable, request)
        return SuiteFetch(request.comparable, "behind", answer.bytes_read)
    lists = _package_lists(release, request)
    packages, bytes_read = _packages(mirror, release, lists, request)
    record = SuiteRecord(
        archive=request.archive.id,
        suite=request.source.suite,
        date=release.date.isoformat(),
        valid_until=release.valid_until.isoformat() if release.valid_until else "",
        checked=request.now.date().isoformat(),
        automatic=not release.not_automatic,
        head=answer.body[:HEAD_BYTES].decode("latin-1"),
        validators=_validators(mirror, answer),
        asked=request.asked,
        lists=tuple((entry.path, entry.sha256) for entry in lists),
        packages=packages,
    )
    return SuiteFetch(record, "fetched", answer.bytes_read + bytes_read)


def _ask(url: str, mirror: str, request: SuiteRequest) -> _Answer:
    """One conditional request for InRelease.

    Beside the validators goes a Range for its head: a server without validators then sends 2 kB, and one
    that ignores both is cut off as soon as the head turns out to be known. Forging that only freezes the
    state, which Valid-Until bounds, as replaying an old InRelease would.
    """
    with request.http.open(url, _conditions(mirror, request.comparable)) as response:
        if response.status_code == 304:
            return _Answer(None, "", "", 0)
        head = _read(response.raw.read, url, HEAD_BYTES)
        if request.comparable is not None and head.decode("latin-1") == request.comparable.head:
            return _Answer(None, "", "", len(head))
        if response.status_code == 200:
            body = head + _read(response.raw.read, url, _INRELEASE_LIMIT_BYTES)
            return _Answer(body, response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""), len(body))
    with request.http.open(url) as response:
        body = _read(response.raw.read, url, _INRELEASE_LIMIT_BYTES)
    etag, last_modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
    return _Answer(body, etag, last_modified, len(head) + len(body))


def _read(read: Callable[[int], bytes], url: str, limit_bytes: int) -> bytes:
    """Up to so many bytes; urllib3 may return less than asked for while more is to come."""
    chunks, length = [], 0
    with translated(url):
        while length < limit_bytes and (chunk := read(min(limit_bytes - length, 1 << 16))):
            chunks.append(chunk)
            length += len(chunk)
    return b"".join(chunks)


def _conditions(mirror: str, previous: SuiteRecord | None) -> dict[str, str]:
    if previous is None:
        return {}
    headers = {"Range": f"bytes=0-{HEAD_BYTES - 1}"}
    for digest, etag, last_modified in previous.validators:
        if digest == _mirror_digest(mirror):
            if etag:
                headers["If-None-Match"] = etag
            if last_modified:
                headers["If-Modified-Since"] = last_modified
    return headers


def _mirror_digest(mirror: str) -> str:
    return hashlib.sha256(mirror.encode()).hexdigest()[:16]


def _validators(mirror: str, answer: _Answer) -> tuple[tuple[str, str, str], ...]:
    """Those of this mirror only: what another one sent belongs to an older release."""
    if not answer.etag and not answer.last_modified:
        return ()
    return ((_mirror_digest(mirror), answer.etag, answer.last_modified),)


def _check_unchanged(previous: SuiteRecord, request: SuiteRequest) -> None:
    if previous.valid_until:
        _check_fresh(datetime.datetime.fromisoformat(previous.valid_until), request)


def _check_fresh(valid_until: datetime.datetime | None, request: SuiteRequest) -> None:
    try:
        check_still_valid(valid_until, now=request.now, subject=request.subject)
    except StaleError as error:
        if not request.allow_stale:
            raise
        logger.warning("%s; it is taken all the same, as was asked for", error.message)


def _verified_release(body: bytes, request: SuiteRequest) -> Release:
    text = verified_text(
        body,
        keyring=request.row.keyring,
        keyring_package=request.row.keyring_package,
        signed_by=request.archive.signed_by,
        subject=request.subject,
    )
    release = parse_release(text, subject=request.subject)
    check_release(release, suite=request.source.suite, now=request.now, subject=request.subject)
    _check_fresh(release.valid_until, request)
    return release


def _package_lists(release: Release, request: SuiteRequest) -> tuple[ListedFile, ...]:
    """The lists to be read, of each the best compressed form that we can read."""
    architectures = (request.deb_arch, "all") if release.separate_all else (request.deb_arch,)
    lists = []
    for component in request.archive.components:
        for architecture in architectures:
            base = f"{component}/binary-{architecture}/Packages"
            found = next((entry for end in (".xz", ".gz", "") if (entry := release.file(base + end))), None)
            if found is None and architecture == request.deb_arch:
                raise IntegrityError(
                    f"{request.subject}: its Release lists no {base}",
                    hint="Check the row's components and architectures in distros.toml.",
                )
            if found is not None:
                lists.append(found)
    return tuple(lists)


def _packages(
    mirror: str, release: Release, lists: tuple[ListedFile, ...], request: SuiteRequest
) -> tuple[tuple[BinaryPackage, ...], int]:
    """The packages that matter, and the bytes read for them; none when no list changed."""
    previous = request.comparable
    if previous is not None and previous.lists == tuple((entry.path, entry.sha256) for entry in lists):
        return previous.packages, 0
    packages: list[BinaryPackage] = []
    bytes_read = 0
    for entry in lists:
        packed = _fetch_list(mirror, release, entry, request)
        bytes_read += len(packed)
        text = _decompressed(packed, entry, release, request.subject).decode("utf-8", "replace")
        packages.extend(read_packages(text, request.wanted, subject=request.subject))
    return tuple(packages), bytes_read


def _fetch_list(mirror: str, release: Release, entry: ListedFile, request: SuiteRequest) -> bytes:
    base = f"{mirror}/dists/{quote(request.source.suite)}"
    folder = entry.path.rpartition("/")[0]
    urls = [f"{base}/{quote(entry.path)}"]
    if release.by_hash:
        urls.insert(0, f"{base}/{quote(folder)}/by-hash/SHA256/{entry.sha256}")
    if entry.size_bytes > _LIST_LIMIT_BYTES:
        raise IntegrityError(f"{redact(urls[0])}: a list of {entry.size_bytes} bytes", hint="Use another mirror.")
    with tempfile.TemporaryDirectory(prefix="kdriver-list-") as folder_name:
        path = Path(folder_name) / "Packages"
        download.fetch(urls, path, size_bytes=entry.size_bytes, sha256=entry.sha256, http=request.http)
        return path.read_bytes()


def _decompressed(packed: bytes, entry: ListedFile, release: Release, subject: str) -> bytes:
    """The list's text, never longer than its Release says, and with the digest that it says."""
    plain = release.file(re.sub(r"\.(xz|gz)$", "", entry.path))
    limit_bytes = plain.size_bytes if plain is not None else _LIST_LIMIT_BYTES
    hint = "Use another mirror."
    try:
        if entry.path.endswith(".xz"):
            text = lzma.LZMADecompressor(memlimit=512 << 20).decompress(packed, max_length=limit_bytes + 1)
        elif entry.path.endswith(".gz"):
            text = _gunzip(packed, limit_bytes + 1)
        else:
            text = packed
    except (lzma.LZMAError, OSError, EOFError) as error:
        raise IntegrityError(f"{subject}: {entry.path} is damaged ({error})", hint=hint) from error
    if len(text) > limit_bytes:
        raise IntegrityError(f"{subject}: {entry.path} unpacks to more than {limit_bytes} bytes", hint=hint)
    if plain is not None and hashlib.sha256(text).hexdigest() != plain.sha256:
        raise IntegrityError(f"{subject}: {entry.path} unpacks to another text than signed", hint=hint)
    return text


def _gunzip(packed: bytes, limit_bytes: int) -> bytes:
    with gzip.open(io.BytesIO(packed)) as stream:
        return stream.read(limit_bytes)


def read_packages(text: str, wanted: Callable[[str], bool], *, subject: str) -> Iterator[BinaryPackage]:
    """The wanted packages of a Packages file, in its order. Raises IntegrityError for a malformed stanza."""
    for block in text.split("\n\n"):
        name = _PACKAGE.search(block)
        if name is not None and wanted(name[1]):
            try:
                yield _package(parse_stanza(block))
            except (KeyError, ValueError) as error:
                raise IntegrityError(
                    f"{subject}: the entry of {name[1]} is malformed ({error})", hint="Use another mirror."
                ) from error


def _package(fields: Mapping[str, str]) -> BinaryPackage:
    path = fields["Filename"].removeprefix("./")
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"its path {path!r} leads out of the archive")
    return BinaryPackage(
        name=fields["Package"],
        version=fields["Version"],
        arch=fields["Architecture"],
        source=fields.get("Source", fields["Package"]).split(" ", 1)[0],
        depends=fields.get("Depends", ""),
        path=path,
        size_bytes=int(fields["Size"]),
        sha256=fields["SHA256"].lower(),
    )


__all__ = ["HEAD_BYTES", "StaleError", "SuiteRequest", "fetch_suite", "inrelease_url", "read_packages"]
