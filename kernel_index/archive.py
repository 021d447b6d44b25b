"""What repositories serve beyond their lists, and keeping packages before they go.

A package that left the lists is accepted by the digest that signed metadata once gave. One of which no list that we saw
ever spoke is taken as it comes, its digest is noted from then on, and it is marked unauthenticated.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdriver.core import download, paths
from kdriver.core.errors import DownloadError, IntegrityError
from kdriver.core.http import Http, StatusError
from kdriver.core.kernel import Kernel, Package, PackageRole, PackageState
from kernel_index.family import family_of
from kernel_index.merge import ordered_packages
from kernel_index.sources import package_client, package_urls
from kernel_index.store import locked, opened

logger = logging.getLogger(__name__)

AT_A_TIME = 8
_IMAGE_ROLES = (PackageRole.IMAGE, PackageRole.MODULES)
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of one package. outcome: kept (now), there (before), gone, or failed; reason: of the last two."""

    kernel: str
    package: str
    outcome: str
    size_bytes: int
    authenticated: bool
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """A flat object; keys are this class's fields."""
        return dataclasses.asdict(self)


def ask_states(kernels: Sequence[Kernel], *, http: Http | None = None) -> tuple[Kernel, ...]:
    """The kernels, with what their servers say today of packages that no list names. Nothing is downloaded.

    A server that does not answer leaves what was known. Kernels without headers in any list get those that are
    still served under the names that follow from the image's; they are unauthenticated, sizes are the server's.
    """
    asking = http or Http()
    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_A_TIME) as pool:
        return tuple(pool.map(lambda kernel: _asked(kernel, asking), kernels))


def _asked(kernel: Kernel, http: Http) -> Kernel:
    packages = {package.role: _with_state(kernel, package, http) for package in kernel.packages}
    if PackageRole.HEADERS not in packages:
        derived = list(_derived(kernel, http))
        parts = family_of(kernel.distro).derived_headers(kernel)
        # Headers that lack a part build nothing.
        packages.update({package.role: package for package in derived} if len(derived) == len(parts) else {})
    kept = ordered_packages(packages)
    authenticated = kernel.authenticated and all(package.authenticated for package in kept)
    return dataclasses.replace(kernel, packages=kept, authenticated=authenticated)


def _with_state(kernel: Kernel, package: Package, http: Http) -> Package:
    if package.state is PackageState.INDEXED:
        return package
    size_bytes = _served_size(kernel, package, http)
    if size_bytes is None:
        return package
    state = PackageState.SERVED if size_bytes >= 0 else PackageState.GONE
    return dataclasses.replace(package, state=state)


def _derived(kernel: Kernel, http: Http) -> Iterator[Package]:
    for choices in family_of(kernel.distro).derived_headers(kernel):
        for package in choices:
            size_bytes = _served_size(kernel, package, http)
            if size_bytes is not None and size_bytes > 0:
                yield dataclasses.replace(package, size_bytes=size_bytes, state=PackageState.SERVED)
                break


def _served_size(kernel: Kernel, package: Package, http: Http) -> int | None:
    """The size that a server gives for the package; -1 where all say that it is gone, None where nobody can say."""
    gone = 0
    urls = package_urls(kernel, package)
    http = package_client(kernel, package, http)
    for url in urls:
        try:
            with http.retrying(url, functools.partial(http.open, url, method="HEAD")) as response:
                return int(response.headers.get("Content-Length") or 0)
        except StatusError as error:
            gone += error.status in (404, 410)
        except (DownloadError, IntegrityError, ValueError) as error:
            logger.info("%s: %s", package.name, error)
    return -1 if gone else None


def run_archive(
    kernels: Sequence[Kernel],
    *,
    images: bool = False,
    path: Path | None = None,
    http: Http | None = None,
    report: Report | None = None,
) -> tuple[Kept, ...]:
    """Ask what is still served, keep the header packages of the kernels (with images: the images too) in
    paths.archive_dir(), and note states and digests in the index in `path`. One result for each package that is
    wanted. Raises KdriverError when index or archive cannot be written."""
    asking = http or Http()
    with locked(path):
        asked = ask_states(kernels, http=asking)
        results: list[Kept] = []
        changed: list[Kernel] = []
        for kernel in asked:
            if report is not None:
                report(kernel.release)
            packages = {}
            for package in kernel.packages:
                wanted = images or package.role not in _IMAGE_ROLES
                kept, packages[package.role] = _keep(kernel, package, asking) if wanted else (None, package)
                results.extend([kept] if kept is not None else [])
            changed.append(dataclasses.replace(kernel, packages=ordered_packages(packages)))
        note_kernels(changed, path)
    return tuple(results)


def note_kernels(kernels: Sequence[Kernel], path: Path | None = None) -> None:
    """Put the kernels into the index in the place of those of the same key."""
    by_row: dict[str, dict[str, Kernel]] = {}
    for kernel in kernels:
        by_row.setdefault(kernel.distro_release, {})[kernel.key] = kernel
    with opened(path) as store:
        for row_id, changed in by_row.items():
            row = store.row(row_id)
            if row is not None:
                replaced = tuple(changed.get(kernel.key, kernel) for kernel in row.kernels)
                store.put_row(dataclasses.replace(row, kernels=replaced))
        store.commit()


def _keep(kernel: Kernel, package: Package, http: Http) -> tuple[Kept, Package]:
    def result(outcome: str, of: Package, reason: str = "") -> tuple[Kept, Package]:
        return Kept(kernel.key, package.name, outcome, of.size_bytes, of.authenticated, reason), of

    folder = paths.archive_dir()
    if package.digest and download.by_digest(folder, package.digest, package.file_name).exists():
        return result("there", package)
    if package.state is PackageState.GONE:
        return result("gone", package, "no server has it any more")
    try:
        return result("kept", _fetched(kernel, package, folder, http))
    except (DownloadError, IntegrityError) as error:
        return result("failed", package, error.message)


def _fetched(kernel: Kernel, package: Package, folder: Path, http: Http) -> Package:
    urls = package_urls(kernel, package)
    http = package_client(kernel, package, http)
    size_bytes = package.size_bytes or None
    if package.digest:
        there = download.by_digest(folder, package.digest, package.file_name)
        download.fetch(urls, there, size_bytes=size_bytes, sha256=package.digest, http=http)
        return package
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as name:
        file = download.fetch(urls, Path(name) / package.file_name, size_bytes=size_bytes, sha256=None, http=http)
        sha256 = download.file_sha256(file)
        there = download.by_digest(folder, sha256, package.file_name)
        there.parent.mkdir(parents=True, exist_ok=True)
        size = file.stat().st_size
        file.replace(there)
    return dataclasses.replace(package, sha256=sha256, size_bytes=size, authenticated=False)
