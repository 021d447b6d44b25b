"""A folder, or a page of links, with package files: custom kernels, RPMs of a subscription, sites without a network.

Every file is read: what it is says its own metadata, and its digest is noted. A kernel is put together by the row's
family, from all files of the source. An RPM whose signature is by a key of the row is authenticated; any other file is
not, and nothing built from it is published by default.
"""

from __future__ import annotations

import dataclasses
import hashlib
import html
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urldefrag, urljoin

from kdriver.core import download, paths
from kdriver.core.errors import ConfigError, DownloadError, IntegrityError, NotFoundError
from kdriver.core.http import Http, redact
from kdriver.core.kernel import Kernel
from kdriver.packages.deb import read_control
from kdriver.packages.rpm import read_header, verify_rpm
from kernel_index.exchange import Refused
from kernel_index.family import family_of
from kernel_index.package_names import kernel_part, split_file_name
from kernel_index.rpm.keys import signing_keys
from kernel_index.rpm.primary import package_of_header
from kernel_index.suites import BinaryPackage, Suite, SuiteRecord
from kernel_index.table import DistroRow

ARCHIVE = "folder"
"""Package.archive of packages that lie at an address of their own."""
FILES_LIMIT = 20_000
PAGE_LIMIT_BYTES = 16 << 20
_SUFFIXES = (".deb", ".rpm")
_HREF = re.compile(r"""href\s*=\s*["']?([^"'\s>]{1,2000})""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A package file that was read. address: `file://…` or http(s). signed: by a key of the row."""

    package: BinaryPackage
    signed: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a source holds. refused: files that are no good, and why."""

    kernels: tuple[Kernel, ...]
    refused: tuple[Refused, ...]
    files: int


def read_source(source: str, row: DistroRow, *, today: str, http: Http | None = None) -> Found:
    """The kernels of a folder or page. source: a folder's path, or the http(s) address of a page of links (a server's
    listing). today: UTC date.

    Packages that are part of no kernel are passed over. Raises NotFoundError where the source has no package of a
    kernel of this row, DownloadError where the page cannot be read.
    """
    refused: list[Refused] = []
    remote = source.startswith(("http://", "https://"))
    files = _remote_files(source, row, http or Http(), refused) if remote else _local_files(Path(source), row, refused)
    found = list(files)
    suites = [_suite(found, today, signed=good) for good in (True, False)]
    signed = frozenset(file.package.sha256 for file in found if file.signed)
    kernels = tuple(
        _as_vouched_for(kernel, signed, today)
        for kernel in family_of(row.family).kernels(row, [suite for suite in suites if suite.packages])
    )
    if not kernels and not refused:
        raise NotFoundError(
            f"{redact(source)}: no package of a kernel of {row.title} among its files",
            hint="Name a folder with .deb or .rpm files, or the distribution release that they are for with --distro.",
        )
    return Found(kernels, tuple(refused), len(found))


def _as_vouched_for(kernel: Kernel, signed: frozenset[str], today: str) -> Kernel:
    """Authenticated only as far as signatures reach; named by no metapackage, for none of its distribution names it."""
    packages = tuple(dataclasses.replace(one, authenticated=one.sha256 in signed) for one in kernel.packages)
    vouched = all(package.authenticated for package in packages)
    return dataclasses.replace(kernel, packages=packages, authenticated=vouched, named_by=(), first_seen=today)


def _local_files(folder: Path, row: DistroRow, refused: list[Refused]) -> Iterator[SourceFile]:
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder", hint="Name a folder, or an address that starts with http.")
    names = [path for path in sorted(folder.rglob("*")) if path.suffix in _SUFFIXES and path.is_file()]
    if len(names) > FILES_LIMIT:
        raise ConfigError(f"{folder}: {len(names)} packages, at most {FILES_LIMIT} are read", hint="Split the folder.")
    for path in names:
        try:
            found = _read(path, path.resolve().as_uri(), row)
        except (IntegrityError, ValueError, OSError) as error:
            refused.append(Refused(path.name, str(error)))
            continue
        if found is not None:
            yield found


def _remote_files(page: str, row: DistroRow, http: Http, refused: list[Refused]) -> Iterator[SourceFile]:
    """Of a page's links those that are named like parts of a kernel; each is downloaded into the cache."""
    listing = download.read(http, page, PAGE_LIMIT_BYTES).decode("utf-8", "replace")
    for url in package_links(listing, page):
        name = url.rsplit("/", 1)[-1]
        with tempfile.TemporaryDirectory(prefix="kdriver-folder-", dir=_scratch()) as scratch:
            try:
                if kernel_part(split_file_name(url)) is None:
                    continue
                path = download.fetch([url], Path(scratch) / name, size_bytes=None, sha256=None, http=http)
                found = _read(path, url, row)
            except (DownloadError, IntegrityError, ValueError) as error:
                refused.append(Refused(name, str(error)))
                continue
            if found is not None:
                _keep(path, found.package.sha256)
                yield found


def package_links(listing: str, page: str) -> tuple[str, ...]:
    """The addresses of package files below a page, in its order: those of its links, or, where it is plain text, its
    lines. Links that lead elsewhere are not followed."""
    base = page.rsplit("/", 1)[0] + "/"
    named = _HREF.findall(listing) or listing.split()
    urls = []
    for name in named[: FILES_LIMIT * 4]:
        try:
            url = urldefrag(urljoin(page, html.unescape(name)))[0]
        except ValueError:
            continue
        if url.startswith(base) and url.endswith(_SUFFIXES) and "/../" not in url:
            urls.append(url)
    return tuple(dict.fromkeys(urls))[:FILES_LIMIT]


def _read(path: Path, address: str, row: DistroRow) -> SourceFile | None:
    """A file of packages; None for one that can be no part of a kernel. Raises IntegrityError for a damaged one."""
    if path.suffix == ".rpm":
        header = read_header(path)
        package = package_of_header(header, path=address, size_bytes=0, sha256="")
    else:
        fields = read_control(path)
        for field in ("Package", "Version", "Architecture"):
            if not fields.get(field):
                raise IntegrityError(f"{path.name}: its control file has no {field}", hint="Build the package anew.")
        package = BinaryPackage(
            name=fields["Package"],
            version=fields["Version"],
            arch=fields["Architecture"],
            source=fields.get("Source", ""),
            depends=fields.get("Depends", ""),
            path=address,
            size_bytes=0,
            sha256="",
            provides=fields.get("Provides", ""),
        )
    if not family_of(row.family).wanted(package.name):
        return None
    whole = dataclasses.replace(package, size_bytes=path.stat().st_size, sha256=_sha256(path))
    return SourceFile(whole, signed=path.suffix == ".rpm" and _signed(path, row))


def _signed(path: Path, row: DistroRow) -> bool:
    """Whether a key of one of the row's archives signed an RPM."""
    for archive in row.archives:
        keys = signing_keys(row, archive)
        if keys is None:
            continue
        try:
            verify_rpm(path, keys)
        except (IntegrityError, ConfigError):
            continue
        return True
    return False


def _suite(files: Sequence[SourceFile], today: str, *, signed: bool) -> Suite:
    record = SuiteRecord(
        archive=ARCHIVE,
        suite="signed" if signed else "unsigned",
        date=today,
        valid_until="",
        checked=today,
        automatic=True,
        head="",
        validators=(),
        asked="",
        lists=(),
        authenticated=signed,
    )
    return Suite(record, tuple(file.package for file in files if file.signed is signed))


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _scratch() -> Path:
    folder = paths.cache_dir() / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _keep(path: Path, sha256: str) -> None:
    """Where a build looks for it, so that it is not downloaded again."""
    kept = paths.cache_dir() / "downloads" / sha256[:2] / sha256 / path.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    path.replace(kept)
