"""The index as one plain JSON document, out and in, and kernels that come from elsewhere than a crawl."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kdriver.core.errors import ConfigError
from kdriver.core.kernel import Kernel, PackageRole
from kernel_index.store import RowIndex, load_index, load_kernels, locked, read_row, write_row
from kernel_index.table import load_table, select_rows

FORMAT = 1
LIMIT_BYTES = 1 << 30
"""The largest document that is read: ten times an index of 50,000 kernels."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that was not taken, and why."""

    name: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """A flat object; keys are this class's fields."""
        return {"name": self.name, "reason": self.reason}


def read_document(file: Path) -> Any:
    """A JSON file's document. Raises ConfigError."""
    try:
        if file.stat().st_size > LIMIT_BYTES:
            raise ConfigError(f"{file}: larger than {LIMIT_BYTES} bytes", hint="Import it in parts.")
        return msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}", hint="Name a file that can be read.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{file}: no JSON document ({error})", hint="Name a file of `kdriver index export`."
        ) from error


def is_export(document: Any) -> bool:
    """Whether a document is `kdriver index export`'s own; else it may be kernel-crawler's."""
    return isinstance(document, dict) and "distributions" in document and "format" in document


def export_index(index: Iterable[RowIndex]) -> dict[str, Any]:
    """The index as one plain document."""
    return {"format": FORMAT, "distributions": [row.to_json() for row in index]}


def read_export(document: Any, name: str) -> tuple[RowIndex, ...]:
    """The inverse of export_index. name: of the document, for messages. Raises ConfigError."""
    try:
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}, {FORMAT} was expected")
        return tuple(RowIndex.from_json(row) for row in document["distributions"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        hint = "Name a file that `kdriver index export` of this version wrote."
        raise ConfigError(f"{name}: no exported index ({type(error).__name__}: {error})", hint=hint) from error


def read_kernels(path: Path, distro: str | None = None) -> tuple[Kernel, ...]:
    """The kernels of an index's folder or of an exported file. distro: of this row id or family only.

    Raises NotFoundError for a folder without an index or a distribution that nothing knows, ConfigError for a file of
    another form.
    """
    if path.is_file():
        kernels = tuple(one for row in read_export(read_document(path), str(path)) for one in row.kernels)
    else:
        kernels = load_kernels(path)
    known = distro is None or any(distro in (one.distro, one.distro_release) for one in kernels)
    if not known:
        select_rows(load_table(), distro)
    return tuple(one for one in kernels if distro in (None, one.distro, one.distro_release))


def read_rows(path: Path | None = None, distro: str | None = None) -> tuple[RowIndex, ...]:
    """The index's rows with their state. distro: as read_kernels."""
    index = load_index(path)
    if distro is None:
        return index
    ids = {row.id for row in select_rows(load_table(), distro)}
    return tuple(row for row in index if row.distro_release in ids)


def add_kernels(index: RowIndex, found: Sequence[Kernel], updated: str) -> RowIndex:
    """A row's index with kernels that no crawl found. What is known stays as it is: a package that signed metadata
    named is never replaced, only parts that were missing are added."""
    kernels = {kernel.key: kernel for kernel in index.kernels}
    for kernel in found:
        known = kernels.get(kernel.key)
        kernels[kernel.key] = kernel if known is None else _filled(known, kernel)
    return dataclasses.replace(index, kernels=tuple(kernels.values()), updated=index.updated or updated)


def _filled(known: Kernel, found: Kernel) -> Kernel:
    roles = {package.role for package in known.packages}
    extra = [package for package in found.packages if package.role not in roles]
    if not extra:
        return known
    packages = sorted((*known.packages, *extra), key=lambda package: tuple(PackageRole).index(package.role))
    authenticated = known.authenticated and all(package.authenticated for package in extra)
    return dataclasses.replace(known, packages=tuple(packages), authenticated=authenticated)


def unknown_kernels(kernels: Sequence[Kernel], path: Path | None = None) -> tuple[Kernel, ...]:
    """Those of the kernels that the index does not have."""
    known = {row_id: read_row(row_id, path) for row_id in {kernel.distro_release for kernel in kernels}}
    keys = {(row_id, kernel.key) for row_id, row in known.items() if row is not None for kernel in row.kernels}
    return tuple(kernel for kernel in kernels if (kernel.distro_release, kernel.key) not in keys)


def store_kernels(kernels: Sequence[Kernel], path: Path | None = None) -> tuple[Kernel, ...]:
    """Add kernels that no crawl found to the index, and return those that were new to it. Raises as locked and
    write_row do."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    by_row: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        by_row.setdefault(kernel.distro_release, []).append(kernel)
    with locked(path):
        new = unknown_kernels(kernels, path)
        for row_id, found in by_row.items():
            known = read_row(row_id, path) or RowIndex(row_id, "", (), ())
            write_row(add_kernels(known, found, now), path)
    return new
