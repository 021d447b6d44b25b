"""Which mirrors to ask: what the user says, else what this host's own package manager uses, else the public ones.

The index holds archive ids and relative paths only; addresses are put together here, anew each time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from kdriver.core.errors import ConfigError
from kdriver.core.http import Http
from kdriver.core.kernel import Kernel, Package
from kdriver.packages.rpm import verify_rpm
from kernel_index.family import family_of
from kernel_index.rpm.keys import signing_keys
from kernel_index.table import Archive, DistroRow, load_table, select_rows

OS_RELEASE_FILES = (Path("/etc/os-release"), Path("/usr/lib/os-release"))


def archive_mirrors(row: DistroRow, archive: Archive, overrides: Sequence[str] = ()) -> tuple[str, ...]:
    """Base addresses of an archive in the order to be tried; empty where only the user can name one.

    overrides: the values of --mirror; without them those of KDRIVER_MIRROR (separated by spaces). Each is
    `ARCHIVE=URL` for one archive, `ROW/ARCHIVE=URL` for that of one distribution release, or a URL that serves for
    all: a server's root, or the folder of one archive whose siblings stand beside it. What is named so is the only
    one asked. An archive of ended releases is carried by few mirrors: only one that is named for it takes its place.
    Raises ConfigError.
    """
    named = override_mirrors(row, archive, override_values(overrides), general=not archive.archived)
    if named:
        return named
    if archive.archived:
        return archive.mirrors
    on_host = family_of(row.family).host_mirrors(row, read_os_release()).get(archive.id, ())
    return tuple(dict.fromkeys((*on_host, *archive.mirrors)))


def override_values(overrides: Sequence[str] = ()) -> tuple[str, ...]:
    """The values of --mirror, else those of KDRIVER_MIRROR."""
    return tuple(overrides or os.environ.get("KDRIVER_MIRROR", "").split())


def override_mirrors(
    row: DistroRow, archive: Archive, values: Sequence[str], *, general: bool = True
) -> tuple[str, ...]:
    """What the values of --mirror mean for one archive; empty where they say nothing of it. Raises ConfigError.

    general: whether an address that serves for all archives counts.
    """
    mirrors = []
    for value in values:
        head, equals, rest = value.partition("=")
        one_archive = equals and not head.startswith(("http://", "https://"))
        url = (rest if one_archive else value).rstrip("/")
        if not url.startswith(("http://", "https://")) or (
            one_archive and head.rpartition("/")[2] not in _archive_ids()
        ):
            ids = ", ".join(one.id for one in row.archives)
            first = row.archives[0]
            raise ConfigError(
                f"--mirror {value!r}: an address, or one of {ids} with = and an address, was expected",
                hint=f"Write --mirror http://mirror.example or --mirror {first.id}=http://mirror.example/{first.folder}.",
            )
        if not one_archive and general:
            mirrors.append(_archive_on(url, row, archive))
        elif one_archive and head in (archive.id, f"{row.id}/{archive.id}"):
            mirrors.append(url)
    return tuple(mirrors)


def _archive_ids() -> frozenset[str]:
    """The ids of every row's archives: a value for another row's archive is no fault of this one's."""
    return frozenset(archive.id for row in load_table() for archive in row.archives)


def _archive_on(url: str, row: DistroRow, archive: Archive) -> str:
    for other in row.archives:
        if url.endswith(f"/{other.folder}"):
            return f"{url.removesuffix(other.folder)}{archive.folder}"
    return f"{url}/{archive.folder}"


def package_urls(kernel: Kernel, package: Package, mirrors: Sequence[str] = ()) -> tuple[str, ...]:
    """The addresses of a kernel's package in the order to be tried. mirrors: as --mirror's values.

    A package that was imported or lies in a folder has its own address, which is the only one.
    Raises NotFoundError for a distribution release or archive that the table does not have.
    """
    if "://" in package.path:
        return (package.path,)
    row, archive = _place_of(kernel, package)
    return tuple(f"{base}/{quote(package.path)}" for base in archive_mirrors(row, archive, mirrors))


def package_client(kernel: Kernel, package: Package, http: Http | None = None) -> Http:
    """What to ask those addresses with: `http`, with credentials where the package's archive needs some.

    Raises ConfigError where they are missing, NotFoundError as package_urls.
    """
    http = http or Http()
    if "://" in package.path:
        return http
    row, archive = _place_of(kernel, package)
    return family_of(row.family).client(http, archive)


def check_package(kernel: Kernel, package: Package, file: Path) -> Path:
    """A downloaded package file, once its own signature was checked where its format has one that its archive's keys
    must have made: an RPM. The digest of a list alone does not do where the list is not signed (rpm/headers.py).

    Raises IntegrityError; ConfigError where gpgv or the keyring is missing; NotFoundError as package_urls.
    """
    if "://" in package.path or not package.file_name.endswith(".rpm"):
        return file
    keys = signing_keys(*_place_of(kernel, package))
    if keys is not None:
        verify_rpm(file, keys)
    return file


def _place_of(kernel: Kernel, package: Package) -> tuple[DistroRow, Archive]:
    row_id, _, archive_id = package.archive.rpartition(":")
    row = select_rows(load_table(), row_id or kernel.distro_release)[0]
    return row, row.archive(archive_id)


def read_os_release(files: Sequence[Path] = OS_RELEASE_FILES) -> Mapping[str, str]:
    """The host's os-release(5); empty where there is none."""
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
        return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
    return {}
