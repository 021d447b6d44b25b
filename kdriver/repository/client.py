"""Reading a repository over HTTP or from a folder, every byte checked against signed metadata (TUF)."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, TargetFile, Timestamp
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

from kdriver.core import errors
from kdriver.repository import layout
from kdriver.version import VERSION

logger = logging.getLogger(__name__)

_TIMEOUT_S = 20
_MAX_ROOT_BYTES = 512_000
_CHUNK_BYTES = 1 << 18
# The errors that are raised say what a retry's warning would say, once.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
_RESTORE_HINT = "Do not use this repository; tell its owner, or try another mirror."


@dataclass(frozen=True, slots=True)
class Trust:
    """What a host trusts of one repository.

    metadata_dir: the metadata that was verified last, which protects against a rollback. root: the root metadata
    that all trust starts from. how: `file` (--trust), `pinned` (from an earlier run) or `first use`.
    """

    metadata_dir: Path
    root: bytes
    how: str


class RepositoryClient:
    """One view of a repository: all that is read comes from one consistent snapshot."""

    def __init__(self, url: str, trust: Trust) -> None:
        """Raises IntegrityError when the trusted root is none."""
        self.url = normal_url(url)
        self._trust = trust
        with _explained(self.url):
            self._updater = Updater(
                str(trust.metadata_dir),
                f"{self.url}{layout.METADATA}/",
                target_base_url=f"{self.url}{layout.TARGETS}/",
                fetcher=RepositoryFetcher(_TIMEOUT_S, _CHUNK_BYTES, f"kdriver/{VERSION}"),
                config=UpdaterConfig(),
                bootstrap=trust.root,
            )

    def refresh(self) -> None:
        """Fetch and verify the newest metadata. Raises DownloadError and IntegrityError."""
        with _explained(self.url):
            self._updater.refresh()

    def expires(self) -> datetime:
        """When the repository's timestamp, as verified last, ends to hold; UTC."""
        content = (self._trust.metadata_dir / "timestamp.json").read_bytes()
        timestamp: Metadata[Timestamp] = Metadata.from_bytes(content)
        return timestamp.signed.expires

    def find(self, target: str) -> TargetFile | None:
        """What the signed metadata says of a target; None when the repository has no such target."""
        with _explained(self.url):
            return self._updater.get_targetinfo(target)

    def download(self, target: str, destination: Path) -> Path:
        """Fetch a target to a file. The file appears only when its length and digest are right. Raises NotFoundError
        when the repository has no such target, DownloadError and IntegrityError."""
        found = self.find(target)
        if found is None:
            raise errors.NotFoundError(f"{self.url}: has no {target}", hint="Ask the repository's owner to publish it.")
        destination.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=destination.parent, prefix=".part-")
        os.close(handle)
        part = Path(name)
        try:
            with _explained(self.url, target):
                self._updater.download_target(found, filepath=str(part))
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.chmod(0o644)
            part.replace(destination)
        finally:
            part.unlink(missing_ok=True)
        return destination

    def read_json(self, target: str) -> Any:
        """A small JSON target, parsed; None when the repository has no such target."""
        if self.find(target) is None:
            return None
        with tempfile.TemporaryDirectory(prefix="kdriver-") as folder:
            path = self.download(target, Path(folder) / "document.json")
            try:
                return json.loads(path.read_bytes())
            except ValueError as error:
                raise errors.IntegrityError(f"{self.url}: {target} is no JSON: {error}", hint=_RESTORE_HINT) from error


class RepositoryFetcher(Urllib3Fetcher):
    """Fetches over HTTP, with paths percent-encoded, and from a folder (`file:` addresses)."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        parts = urlsplit(url)
        if parts.scheme == "file":
            return self._read(Path(unquote(parts.path)))
        return super()._fetch(parts._replace(path=layout.url_path(unquote(parts.path))).geturl())

    def _read(self, path: Path) -> Iterator[bytes]:
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DownloadHTTPError(f"{path}: {error.strerror}", 404) from error
        logger.debug("%s: %d bytes", path, size)
        return self._blocks(path)

    def _blocks(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            while block := file.read(self.chunk_size):
                yield block


def normal_url(repo: str) -> str:
    """A repository's address with a slash at its end; a folder's path becomes a `file:` address.

    Raises ConfigError when it is neither."""
    parts = urlsplit(repo)
    if parts.scheme in ("http", "https", "file"):
        return repo if repo.endswith("/") else f"{repo}/"
    folder = Path(repo)
    if parts.scheme or not folder.is_dir():
        raise errors.ConfigError(
            f"{repo}: is neither an http, https or file address nor a folder",
            hint="Name the repository's address with --repo, such as http://mirror.example/kdriver/.",
        )
    return f"{folder.absolute().as_uri()}/"


def fetch_root(url: str) -> bytes:
    """The first root of a repository that is not trusted yet, checked only against itself. For trust on first use."""
    base = normal_url(url)
    fetcher = RepositoryFetcher(_TIMEOUT_S, _CHUNK_BYTES, f"kdriver/{VERSION}")
    with _explained(base):
        content = fetcher.download_bytes(f"{base}{layout.metadata_path('root', 1)}", _MAX_ROOT_BYTES)
        root: Metadata[Root] = Metadata.from_bytes(content)
        root.verify_delegate("root", root)
    return bytes(content)


def is_root(content: bytes) -> bool:
    """Whether that is root metadata, signed by its own keys."""
    try:
        root: Metadata[Root] = Metadata.from_bytes(content)
        root.verify_delegate("root", root)
    except (RepositoryError, ValueError, TypeError):
        return False
    return True


@contextmanager
def staged(trust_dir: Path) -> Iterator[Path]:
    """A copy of a trust folder that takes its place when the block ends well (or with NotFoundError), and vanishes when
    it does not: after a failure nothing of an untrusted repository is left."""
    trust_dir.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=trust_dir.parent, prefix=".staged-"))
    try:
        if trust_dir.is_dir():
            shutil.copytree(trust_dir, staging, symlinks=True, dirs_exist_ok=True)
        try:
            yield staging
        except errors.NotFoundError:
            # The metadata that says so was verified: it is worth keeping.
            _take_place(staging, trust_dir)
            raise
        _take_place(staging, trust_dir)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def settle(trust_dir: Path) -> None:
    """Undo what a process that was killed while a copy took its place left: without the former metadata this host would
    accept an older state of the repository again. Only the holder of the state's lock may call it."""
    former = _former(trust_dir)
    if former.is_dir() and not trust_dir.exists():
        former.rename(trust_dir)
    shutil.rmtree(former, ignore_errors=True)


def _take_place(staging: Path, trust_dir: Path) -> None:
    former = _former(trust_dir)
    if trust_dir.is_dir():
        trust_dir.rename(former)
    staging.rename(trust_dir)
    shutil.rmtree(former, ignore_errors=True)


def _former(trust_dir: Path) -> Path:
    return trust_dir.with_name(f".former-{trust_dir.name}")


@contextmanager
def _explained(url: str, target: str | None = None) -> Iterator[None]:
    """Turn what python-tuf and urllib3 raise into one line with a hint. Source: tuf.api.exceptions, and trials."""
    name = f"{url}: {target}" if target else url
    try:
        yield
    except ExpiredMetadataError as error:
        raise errors.IntegrityError(
            f"{name}: its signed metadata is out of date: {error}",
            hint="Check this host's clock; if it is right, the repository's owner must run `kdriver repo refresh`.",
        ) from error
    except BadVersionNumberError as error:
        raise errors.IntegrityError(
            f"{name}: offers older metadata than this host has seen (a rollback): {error}",
            hint="Use a mirror that is up to date; an old copy is never accepted.",
        ) from error
    except UnsignedMetadataError as error:
        raise errors.IntegrityError(
            f"{name}: its metadata is not signed by the trusted keys: {error}", hint=_RESTORE_HINT
        ) from error
    except (LengthOrHashMismatchError, DownloadLengthMismatchError) as error:
        raise errors.IntegrityError(f"{name}: differs from its signed length or digest", hint=_RESTORE_HINT) from error
    except RepositoryError as error:
        raise errors.IntegrityError(f"{name}: its metadata is damaged: {error}", hint=_RESTORE_HINT) from error
    except DownloadHTTPError as error:
        raise errors.DownloadError(
            f"{name}: answers with status {error.status_code}",
            hint="Check the address: it must be the folder that holds `metadata` and `targets`.",
        ) from error
    except (DownloadError, urllib3.exceptions.HTTPError) as error:
        raise errors.DownloadError(
            f"{name}: cannot be reached: {_cause(error)}", hint="Check the address and the network."
        ) from error


def _cause(error: BaseException) -> str:
    """The innermost reason: python-tuf and urllib3 wrap a refused connection four times, and the outermost calls it a
    slow retrieval."""
    while True:
        inner = error.__cause__ or getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.rsplit(": ", 1)[-1]
