"""The signed headers of packages, for repositories whose metadata nobody signed: the first part of each file.

A header proves which package its file is. What the index cannot prove without fetching all of it, that the payload
belongs to it, kdriver.packages.rpm.verify_rpm checks before anything of the package is used. A header is 0.2 to 2 MB
and a repository can have a thousand: one that was found good is noted in the cache by its package's digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast
from urllib.parse import quote

from kdriver.core import paths
from kdriver.core.errors import IntegrityError
from kdriver.core.http import Http, translated
from kdriver.packages.openpgp import SigningKeys
from kdriver.packages.rpm import verify_front
from kdriver.packages.rpmheader import read_front
from kernel_index.suites import BinaryPackage

logger = logging.getLogger(__name__)


def check_headers(
    mirror: str, packages: Sequence[BinaryPackage], keys: SigningKeys, *, http: Http, subject: str
) -> int:
    """Fetch and check the signed header of each package that was not checked before; the bytes read.

    subject: the repository, as messages call it. Raises IntegrityError (unsigned, by another key, another package
    than listed), DownloadError, ConfigError (gpgv or keyring missing).
    """
    bytes_read = 0
    for package in packages:
        note = _note(package, keys)
        if note.exists():
            continue
        url = f"{mirror}/{quote(package.path)}"
        called = f"{subject}: {package.path.rsplit('/', 1)[-1]}"

        def check(url: str = url, package: BinaryPackage = package, called: str = called) -> int:
            return _check(url, package, keys, called, http)

        bytes_read += http.retrying(url, check)
        with contextlib.suppress(OSError):  # Without the note it is only fetched again.
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()
    return bytes_read


def _note(package: BinaryPackage, keys: SigningKeys) -> Path:
    """What says that the header of the file with that digest was found good, under these keys."""
    pinned = hashlib.sha256(" ".join(sorted(keys.signed_by)).encode()).hexdigest()[:16]
    listed = hashlib.sha256(f"{package.name} {package.version} {package.arch}".encode()).hexdigest()[:16]
    return paths.cache_dir() / "rpm-headers" / package.sha256[:2] / f"{package.sha256}-{listed}-{pinned}"


def _check(url: str, package: BinaryPackage, keys: SigningKeys, subject: str, http: Http) -> int:
    with http.open(url) as response, translated(url):
        front = read_front(cast(IO[bytes], response.raw), subject)
    verify_front(front, keys, subject=subject)
    header = front.header
    if (header.name, str(header.evr), header.arch) != (package.name, package.version, package.arch):
        raise IntegrityError(
            f"{subject}: it is {header.name} {header.evr} {header.arch}, listed as {package.name} "
            f"{package.version} {package.arch}",
            hint="Use another mirror.",
        )
    return front.payload_offset
