"""One suite of an apt repository: InRelease, verified; then its package lists, by hash and only when changed."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime
import gzip
import hashlib
import io
import logging
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from kdriver.core import download
from kdriver.core.errors import DownloadError, IntegrityError
from kdriver.core.http import StatusError, redact, translated
from kdriver.packages.deb822 import parse_stanza
from kernel_index.apt.openpgp import verified_text
from kernel_index.apt.release import (
    ListedFile,
    Release,
    StaleError,
    check_release,
    check_still_valid,
    parse_release,
    size_of,
)
from kernel_index.suites import BinaryPackage, Question, SuiteFetch, SuiteRecord

logger = logging.getLogger(__name__)

HEAD_BYTES = 2048
"""How much of an InRelease is compared: it holds the Date and the first digests, so no two releases share it."""
_INRELEASE_LIMIT_BYTES = 8 << 20
_LIST_LIMIT_BYTES = 1 << 30
_LISTS_AT_A_TIME = 3
_PIECE_BYTES = 4 << 20
_STANZA_LIMIT_BYTES = 16 << 20
REPLAY_TOLERANCE = datetime.timedelta(days=3)
"""How much older than the known one a Release may be for its mirror to count as one that lags."""
_PACKAGE = re.compile(r"^Package:[ \t]*(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SuiteRequest:
    """A question, and which packages of the suite are kept. prefix: what all their names begin with.

    wanted: says of a name that begins so whether it is kept. revision: changes whenever these two do.
    """

    question: Question
    prefix: str
    wanted: Callable[[str], bool]
    revision: str

    @property
    def asked(self) -> str:
        """What a state of the suite must answer: the same lists, signed by the same keys."""
        archive = self.question.archive
        # Of an archive that nobody signs the row has no keys, or they do not count.
        pinned = "unsigned" if archive.unsigned else " ".join(sorted(archive.signed_by))
        keys = hashlib.sha256(pinned.encode()).hexdigest()[:16]
        return " ".join((*archive.components, *self.architectures, keys, self.revision))

    @property
    def architectures(self) -> tuple[str, ...]:
        """Those that the archive holds, in Debian's words."""
        return tuple(word for _, word in self.question.row.architectures_of(self.question.archive))

    @property
    def comparable(self) -> SuiteRecord | None:
        """The previous state, where it is one of the same question."""
        previous = self.question.previous
        return previous if previous is not None and previous.asked == self.asked else None

    @property
    def subject(self) -> str:
        """How messages call it."""
        return self.question.subject


@dataclass(frozen=True, slots=True)
class _Answer:
    """body: None when the server said that nothing changed."""

    body: bytes | None
    etag: str
    last_modified: str
    bytes_read: int


def release_url(mirror: str, suite: str, *, unsigned: bool = False) -> str:
    """Where a suite's Release lies on a mirror, signed; or the plain one, which archives that nobody signs have."""
    return f"{mirror}/dists/{quote(suite)}/{'Release' if unsigned else 'InRelease'}"


def fetch_suite(request: SuiteRequest) -> SuiteFetch:
    """The suite's state now, from the first mirror that has it.

    Raises ConfigError (gpgv or keyring missing), IntegrityError (signature, digest, StaleError) or
    DownloadError; where several mirrors failed, the error that weighs most, integrity before absence.
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
                # Another mirror made up for it; that one of them is not to be trusted must still be seen.
                logger.warning("%s (another mirror was used)", earlier.message)
        return fetched
    if not errors:
        raise DownloadError(f"{request.subject}: no mirror is named for it", hint="Name one with --mirror.")
    raise next((error for error in errors if isinstance(error, IntegrityError)), errors[0])


def _fetch_from(mirror: str, request: SuiteRequest) -> SuiteFetch:
    question = request.question
    url = release_url(mirror, question.source.suite, unsigned=bool(question.archive.unsigned))
    answer = question.http.retrying(url, lambda: _ask(url, mirror, request))
    today = question.now.date().isoformat()
    if answer.body is None:
        assert request.comparable is not None
        record = dataclasses.replace(request.comparable, checked=today, stale=_stale_since(request.comparable, request))
        return SuiteFetch(record, "unchanged", answer.bytes_read)
    release = _verified_release(answer.body, request)
    if request.comparable is not None and release.date.isoformat() < request.comparable.date:
        return _behind(release, answer, request)
    lists = _package_lists(release, request)
    read, not_carried = _read_lists(mirror, release, lists, request)
    bytes_read = sum(entry.size_bytes for entry in lists if _list_id(entry, request) in read)
    valid_until = release.valid_until.isoformat() if release.valid_until else ""
    record = SuiteRecord(
        archive=question.archive.id,
        suite=question.source.suite,
        date=release.date.isoformat(),
        valid_until=valid_until,
        checked=today,
        automatic=not (release.not_automatic or question.archive.not_automatic),
        head=answer.body[:HEAD_BYTES].decode("latin-1"),
        validators=_validators(mirror, answer),
        asked=request.asked,
        lists=tuple(_kept_lists(lists, not_carried, request)),
        stale=valid_until if _is_past(release.valid_until, request) else "",
        authenticated=not question.archive.unsigned,
        without=tuple(sorted({_architecture(entry) for entry in not_carried})),
    )
    return SuiteFetch(record, "fetched", answer.bytes_read + bytes_read, read)


def _behind(release: Release, answer: _Answer, request: SuiteRequest) -> SuiteFetch:
    """What a mirror means that serves something older than what was seen: it lags by hours in a round robin, and
    what is newer and was signed stays; by days, it is frozen or somebody replays, and is refused."""
    assert request.comparable is not None
    known = datetime.datetime.fromisoformat(request.comparable.date)
    if known - release.date > REPLAY_TOLERANCE:
        raise IntegrityError(
            f"{request.subject}: the mirror sent a Release of {release.date:%Y-%m-%d %H:%M} UTC, "
            f"one of {known:%Y-%m-%d %H:%M} UTC was seen already",
            hint="Use another mirror: this one replays old metadata.",
        )
    stale = _stale_since(request.comparable, request)
    return SuiteFetch(dataclasses.replace(request.comparable, stale=stale), "behind", answer.bytes_read)


def _ask(url: str, mirror: str, request: SuiteRequest) -> _Answer:
    """One conditional request for InRelease.

    Beside the validators goes a Range for its head: a server without validators then sends 2 kB, and one
    that ignores both is cut off as soon as the head turns out to be known. Forging that only freezes the
    state, which Valid-Until bounds, as replaying an old InRelease would.
    """
    with request.question.http.open(url, _conditions(mirror, request.comparable)) as response:
        if response.status_code == 304:
            return _Answer(None, "", "", 0)
        head = _read(response.raw.read, url, HEAD_BYTES)
        if request.comparable is not None and head.decode("latin-1") == request.comparable.head:
            return _Answer(None, "", "", len(head))
        if response.status_code == 200:
            body = head + _read(response.raw.read, url, _INRELEASE_LIMIT_BYTES)
            return _Answer(body, response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""), len(body))
    with request.question.http.open(url) as response:
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


def _stale_since(record: SuiteRecord, request: SuiteRequest) -> str:
    """The Valid-Until of a known state where it has passed and that is accepted. Raises StaleError where it is not."""
    if not record.valid_until:
        return ""
    return record.valid_until if _is_past(datetime.datetime.fromisoformat(record.valid_until), request) else ""


def _is_past(valid_until: datetime.datetime | None, request: SuiteRequest) -> bool:
    """Whether the time has passed. Raises StaleError where it has and neither row nor user accepts that."""
    if request.question.archive.archived:
        return False
    try:
        check_still_valid(valid_until, now=request.question.now, subject=request.subject)
    except StaleError:
        if not request.question.accept_stale:
            raise
        return True
    return False


def _verified_release(body: bytes, request: SuiteRequest) -> Release:
    row, archive = request.question.row, request.question.archive
    if archive.unsigned:
        text = body.decode("utf-8", "replace")
    else:
        text = verified_text(
            body,
            keyrings=[keyring for keyring in (archive.keyring, row.keyring) if keyring is not None],
            keyring_package=archive.keyring_package or row.keyring_package,
            signed_by=archive.signed_by,
            subject=request.subject,
            archived=archive.archived,
        )
    release = parse_release(text, subject=request.subject)
    check_release(release, suite=request.question.source.suite, now=request.question.now, subject=request.subject)
    _is_past(release.valid_until, request)
    return release


def _package_lists(release: Release, request: SuiteRequest) -> tuple[ListedFile, ...]:
    """The lists to be read, of each the best compressed form that we can read.

    A suite holds fewer architectures than its row when it was given up for some of them. Of architectures that it
    says it has, a missing list is a fault.
    """
    held = [one for one in request.architectures if one in release.architectures or not release.architectures]
    lists: list[ListedFile] = []
    for component in request.question.archive.components:
        found = [_list_of(release, component, one) for one in held]
        if held and not any(found):
            raise IntegrityError(
                f"{request.subject}: its Release lists no {component}/binary-{held[0]}/Packages",
                hint="Check the row's components and architectures in distros.toml.",
            )
        if release.separate_all:
            found.append(_list_of(release, component, "all"))
        lists.extend(entry for entry in found if entry is not None)
    if not held:
        raise IntegrityError(
            f"{request.subject}: its Release names none of {', '.join(request.architectures)}",
            hint="Check the row's architectures in distros.toml.",
        )
    return tuple(lists)


def _list_of(release: Release, component: str, architecture: str) -> ListedFile | None:
    base = f"{component}/binary-{architecture}/Packages"
    return next((entry for end in (".xz", ".gz", "") if (entry := release.file(base + end))), None)


def _list_id(entry: ListedFile, request: SuiteRequest) -> str:
    return f"{request.revision}-{entry.digest}"


class _NotCarriedError(DownloadError):
    """The mirror has not got the list that the Release names."""


def _read_lists(
    mirror: str, release: Release, lists: tuple[ListedFile, ...], request: SuiteRequest
) -> tuple[dict[str, tuple[BinaryPackage, ...]], tuple[ListedFile, ...]]:
    """The packages that matter of the lists that are not known yet, and the lists that the mirror does not carry.

    Mirrors may carry a selection of architectures under a Release that names all. The row's first one must be there.
    """
    unknown: dict[str, ListedFile] = {}
    for entry in lists:
        if _list_id(entry, request) not in request.question.known_lists:
            unknown.setdefault(_list_id(entry, request), entry)

    def one(entry: ListedFile) -> tuple[BinaryPackage, ...] | None:
        try:
            packed = _fetch_list(mirror, release, entry, request)
        except _NotCarriedError as error:
            if _architecture(entry) in (request.architectures[0], "all"):
                raise
            logger.info("%s", error.message)
            return None
        return read_list(packed, entry, release, request)

    with concurrent.futures.ThreadPoolExecutor(max_workers=_LISTS_AT_A_TIME) as pool:
        read = dict(zip(unknown, pool.map(one, unknown.values()), strict=True))
    found = {name: packages for name, packages in read.items() if packages is not None}
    # Empty lists of several architectures have one digest, hence one id.
    return found, tuple(entry for entry in lists if read.get(_list_id(entry, request), ()) is None)


def _architecture(entry: ListedFile) -> str:
    """`amd64` of `main/binary-amd64/Packages.xz`."""
    return entry.path.split("/")[-2].removeprefix("binary-")


def _kept_lists(
    lists: tuple[ListedFile, ...], not_carried: tuple[ListedFile, ...], request: SuiteRequest
) -> Iterator[tuple[str, str]]:
    """Path and id of each list; of one that the mirror does not carry, the last one that was read, if any."""
    before = dict(request.comparable.lists) if request.comparable is not None else {}
    for entry in lists:
        if entry not in not_carried:
            yield entry.path, _list_id(entry, request)
        elif entry.path in before:
            yield entry.path, before[entry.path]


def _fetch_list(mirror: str, release: Release, entry: ListedFile, request: SuiteRequest) -> bytes:
    """The bytes of a list: by its digest, where the mirror knows that, else by its name.

    Raises _NotCarriedError where it is neither; IntegrityError where only its name is there, with other bytes.
    """
    base = f"{mirror}/dists/{quote(request.question.source.suite)}"
    url = f"{base}/{quote(entry.path)}"
    if entry.size_bytes > _LIST_LIMIT_BYTES:
        raise IntegrityError(f"{redact(url)}: a list of {entry.size_bytes} bytes", hint="Use another mirror.")

    def fetched(address: str) -> bytes:
        http = request.question.http
        return download.fetch_bytes([address], size_bytes=entry.size_bytes, sha256=entry.digest, http=http)

    hint = "Use another mirror: this one does not carry what its Release names."
    if release.by_hash:
        folder = entry.path.rpartition("/")[0]
        try:
            name = download.algorithm_of(entry.digest).upper()
            return fetched(f"{base}/{quote(folder)}/by-hash/{name}/{entry.digest}")
        except StatusError as error:
            if error.status not in (404, 410):
                raise
    try:
        return fetched(url)
    except StatusError as error:
        if error.status not in (404, 410):
            raise
        raise _NotCarriedError(error.message, hint=hint) from error
    except IntegrityError as error:
        if not release.by_hash:
            raise
        # A list of another Release under the usual name, and none under its digest: a mirror that is not in step.
        raise _NotCarriedError(error.message, hint=hint) from error


def read_list(packed: bytes, entry: ListedFile, release: Release, request: SuiteRequest) -> tuple[BinaryPackage, ...]:
    """The wanted packages of a compressed list whose digest was checked. It is unpacked piece by piece and never
    to more than its Release says. Raises IntegrityError."""
    plain = release.file(re.sub(r"\.(xz|gz)$", "", entry.path))
    limit_bytes = min(plain.size_bytes, _LIST_LIMIT_BYTES) if plain is not None else _LIST_LIMIT_BYTES
    chosen = wanted_stanzas(
        _unpacked(packed, entry.path, limit_bytes, request.subject, exact=plain is not None), request.prefix.encode()
    )
    text = b"\n\n".join(chosen).decode("utf-8", "replace")
    return tuple(read_packages(text, request.wanted, subject=request.subject))


def _unpacked(packed: bytes, path: str, limit_bytes: int, subject: str, *, exact: bool) -> Iterator[bytes]:
    """The pieces of a list's text. exact: it must be as long as limit_bytes."""
    length = 0
    try:
        for piece in _pieces(packed, path):
            length += len(piece)
            if length > limit_bytes:
                break
            yield piece
    except (lzma.LZMAError, zlib.error, OSError, EOFError) as error:
        raise IntegrityError(f"{subject}: {path} is damaged ({error})", hint="Use another mirror.") from error
    if length < limit_bytes and exact:
        raise IntegrityError(
            f"{subject}: {path} is damaged (it unpacks to {length} of {limit_bytes} bytes)", hint="Use another mirror."
        )
    if length > limit_bytes:
        raise IntegrityError(f"{subject}: {path} unpacks to more than {limit_bytes} bytes", hint="Use another mirror.")


def _pieces(packed: bytes, path: str) -> Iterator[bytes]:
    if path.endswith(".xz"):
        unpacker = lzma.LZMADecompressor(memlimit=512 << 20)
        fed = packed
        while not unpacker.eof:
            piece = unpacker.decompress(fed, max_length=_PIECE_BYTES)
            fed = b""
            if not piece and unpacker.needs_input and not unpacker.eof:
                raise EOFError("it ends too early")
            yield piece
    elif path.endswith(".gz"):
        with gzip.open(io.BytesIO(packed)) as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece
    else:
        yield packed


def wanted_stanzas(pieces: Iterator[bytes], prefix: bytes) -> Iterator[bytes]:
    """The stanzas whose Package begins with `prefix`: found by one search, without looking at the others."""
    mark = b"\nPackage: " + prefix
    left = b"\n"
    for piece in pieces:
        text = left + piece
        # What may still grow stays for the next round: the last stanza, which is not ended yet.
        end = text.rfind(b"\n\n")
        if end < 0:
            if len(text) > _STANZA_LIMIT_BYTES:
                raise IntegrityError("a package list with an endless entry", hint="Use another mirror.")
            left = text
            continue
        yield from _stanzas(text[: end + 1], mark)
        left = text[end + 1 :]
    yield from _stanzas(left, mark)


def _stanzas(text: bytes, mark: bytes) -> Iterator[bytes]:
    start = text.find(mark)
    while start >= 0:
        # A Package field need not be the first of its stanza.
        first = text.rfind(b"\n\n", 0, start + 1) + 2 if start else 0
        end = text.find(b"\n\n", start)
        end = len(text) if end < 0 else end
        yield text[first if first > 1 else 0 : end].strip(b"\n")
        start = text.find(mark, end)


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
        size_bytes=size_of(fields["Size"]),
        sha256=fields.get("SHA256", "").lower(),
        sha512="" if "SHA256" in fields else fields["SHA512"].lower(),
    )


__all__ = ["HEAD_BYTES", "StaleError", "SuiteRequest", "fetch_suite", "read_packages", "release_url"]
