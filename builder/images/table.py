"""Which build images there are: one for each distribution release that has its own, and those of the LLVM releases."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kdriver.core.errors import NotFoundError
from kernel_index.table import DistroRow

_TABLE = Path(__file__).with_name("images.toml")


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """An image that can be made. name: `debian13`, or `clang-16`. row: the distribution release that it is made of.
    packages: all that are installed on the base."""

    name: str
    title: str
    row: DistroRow
    packages: tuple[str, ...]

    @property
    def repository(self) -> str:
        """What the engine calls it, without a tag."""
        return f"kdriver/{self.name}"


@dataclass(frozen=True, slots=True)
class _Tools:
    """An image for one release of LLVM. of: the distribution release that has it."""

    name: str
    of: str
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """What images.toml says. common: template to the packages that every image of it has."""

    common: dict[str, tuple[str, ...]]
    tools: tuple[_Tools, ...]


@lru_cache(maxsize=1)
def _table() -> _Table:
    document = tomllib.loads(_TABLE.read_text())
    return _Table(
        {name: tuple(one["packages"]) for name, one in document["template"].items()},
        tuple(_Tools(name, one["of"], tuple(one["packages"])) for name, one in document["clang"].items()),
    )


def image_specs(rows: Sequence[DistroRow]) -> tuple[ImageSpec, ...]:
    """All images of a table of distribution releases, in its order; those of LLVM last."""
    table = _table()
    specs = [
        ImageSpec(row.id, row.title, row, (*row.compilers, *table.common[row.image_template]))
        for row in rows
        if not why_not(row) and row.image
    ]
    by_id = {row.id: row for row in rows}
    specs += [
        ImageSpec(one.name, f"LLVM of {by_id[one.of].title}", by_id[one.of], one.packages)
        for one in table.tools
        if one.of in by_id and not why_not(by_id[one.of])
    ]
    return tuple(specs)


def image_name(row: DistroRow) -> str:
    """The name of the image that builds for a row's kernels; empty where there is none: see why_not."""
    return "" if why_not(row) else row.image_of or row.id


def why_not(row: DistroRow) -> str:
    """Why no image builds for a row; empty where one does."""
    if row.no_image:
        return row.no_image
    if row.image and row.image_template not in _table().common:
        return f"no Dockerfile template {row.image_template!r}" if row.image_template else "its row names no template"
    if row.image and not row.compilers:
        return "its row names no compilers"
    return ""


def select_specs(specs: Iterable[ImageSpec], names: Sequence[str], rows: Sequence[DistroRow]) -> tuple[ImageSpec, ...]:
    """The images of those names: an image's, or a row's, whose image may be another row's. Raises NotFoundError."""
    known = {spec.name: spec for spec in specs}
    by_row = {row.id: row for row in rows}
    chosen = []
    for name in names:
        row = by_row.get(name)
        if row is not None and why_not(row):
            raise NotFoundError(f"{name}: no image builds for it: {why_not(row)}")
        found = known.get(image_name(row) if row is not None else name)
        if found is None:
            near = difflib.get_close_matches(name, [*known, *by_row], n=3, cutoff=0.5) or sorted(known)
            raise NotFoundError(f"image {name!r} is not known", hint=f"Use one of: {', '.join(near)}.")
        chosen.append(found)
    return tuple(dict.fromkeys(chosen))
