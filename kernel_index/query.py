"""Choosing kernels of the index by the words of the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kdriver.core.errors import ConfigError, NotFoundError
from kdriver.core.kernel import Kernel
from kernel_index.family import family_of
from kernel_index.nearest import distance
from kernel_index.store import Store, opened
from kernel_index.table import DistroRow, load_table, select_rows
from kernel_index.twins import REBUILDS, as_twin, find_twin, row_of_release, twin_release

NEWEST = "newest"
KERNEL_HELP = (
    "A key (debian/x86_64/6.1.0-56-amd64/6.1.192-2), a `uname -r` that only one build has, or `newest`: what the "
    "distribution's metapackage names today; newest:6.12 of that line, newest:cloud-amd64 of that flavour, "
    "newest:6.12:cloud-amd64 both."
)
"""The help of every --kernel option."""


def find_kernels(
    path: Path | None = None,
    *,
    distro: str | None = None,
    kernel: str | None = None,
    flavour: str | None = None,
    arch: str = "x86_64",
) -> tuple[Kernel, ...]:
    """What select_kernels chooses of the index in `path`, without reading the rest of it.

    Raises as select_kernels, NotFoundError also when there is no index.
    """
    ids = [row.id for row in select_rows(load_table(), distro)]
    newest = kernel is not None and kernel.split(":")[0] == NEWEST
    with opened(path) as store:
        near = store.kernels(
            releases=ids,
            arch=arch,
            name=None if newest else kernel,
            flavour=None if newest or kernel is not None else flavour,
            named=newest,
        )
        try:
            return select_kernels(near, distro=distro, kernel=kernel, flavour=flavour, arch=arch)
        except NotFoundError:
            twin = _twin(store, distro, kernel, arch)
            if twin is not None:
                return (twin,)
            # Only all of them can say what is near.
            every = store.kernels(releases=ids, arch=arch)
    return select_kernels(every, distro=distro, kernel=kernel, flavour=flavour, arch=arch)


def find_keys(keys: Iterable[str], path: Path | None = None) -> tuple[Kernel, ...]:
    """The kernels that have these keys, without those that are not to be had: by distribution release and then oldest
    first, a kernel of RHEL that only a rebuild's packages stand for among them. path: the index's folder.

    Raises NotFoundError when there is no index.
    """
    found: list[Kernel] = []
    with opened(path) as store:
        for key in sorted(set(keys)):
            held = [one for one in store.kernels(name=key) if one.key == key]
            twin = None if held else _twin(store, None, key, _arch_of(key))
            found += held or ([twin] if twin is not None else [])
    return tuple(sorted(found, key=_in_order))


def _arch_of(key: str) -> str:
    # debian/x86_64/6.1.0-56-amd64/6.1.192-2
    return "".join(key.split("/")[1:2])


def _in_order(kernel: Kernel) -> tuple[str, Any, str]:
    return kernel.distro_release, family_of(kernel.distro).version_key(kernel.package_version), kernel.key


def _twin(store: Store, distro: str | None, kernel: str | None, arch: str) -> Kernel | None:
    """A kernel of RHEL that is not in the index, with the packages of the rebuild that has the same release."""
    rows = load_table()
    release = twin_release(kernel or "", select_rows(rows, distro) if distro is not None else ())
    for family, rebuilds in REBUILDS.items() if release else ():
        row = row_of_release(release, select_rows(rows, distro), family)
        ids = [one.id for one in rows if one.family in rebuilds]
        twin = find_twin(store.kernels(releases=ids, arch=arch, name=release), release, arch, family)
        if row is not None and twin is not None:
            alias = as_twin(twin, row)
            # A key also says the package version, which the twin's may not be.
            return alias if kernel in (alias.key, alias.release) else None
    return None


def select_kernels(
    kernels: Sequence[Kernel],
    *,
    distro: str | None = None,
    kernel: str | None = None,
    flavour: str | None = None,
    arch: str = "x86_64",
) -> tuple[Kernel, ...]:
    """The kernels that are meant, in the index's order.

    distro: a row id or family, None for all. kernel: see KERNEL_HELP, None for all; `newest` gives one kernel
    per distribution release. flavour: `amd64`, `cloud-amd64`, `rt-amd64`, None for all (with `newest` the
    generic one). Never empty: raises NotFoundError that names near ones, and for a `uname -r` of several
    builds ConfigError that lists their keys.
    """
    rows = select_rows(load_table(), distro)
    ids = [row.id for row in rows]
    of_rows = [one for one in kernels if one.distro_release in ids and one.arch == arch]
    if not of_rows:
        raise NotFoundError(
            f"{distro or 'the index'}: the index has no {arch} kernel of it", hint="Run `kdriver index update`."
        )
    if kernel is not None and (kernel == NEWEST or kernel.startswith(f"{NEWEST}:")):
        return _newest_of_rows(of_rows, rows, kernel, flavour, arch)
    return _named(of_rows, kernel, flavour)


def _named(kernels: Sequence[Kernel], kernel: str | None, flavour: str | None) -> tuple[Kernel, ...]:
    of_flavour = [one for one in kernels if flavour in (None, one.flavour)]
    if not of_flavour:
        known = ", ".join(sorted({one.flavour for one in kernels}))
        raise NotFoundError(f"flavour {flavour!r} is not in the index", hint=f"Use one of: {known}.")
    if kernel is None:
        return tuple(of_flavour)
    found = [one for one in of_flavour if kernel in (one.key, one.release)]
    keys = list(dict.fromkeys(one.key for one in found))
    if len(keys) > 1:
        raise ConfigError(f"{kernel}: {len(keys)} builds have that name", hint=f"Use one of: {', '.join(keys)}.")
    if not found:
        near = ", ".join(near_kernels(kernels, kernel))
        raise NotFoundError(
            f"kernel {kernel!r} is not in the index",
            hint=f"The nearest are {near}; `kdriver index list` shows all, `kdriver index update` looks again.",
        )
    return tuple(found[:1])


def newest_words(kernels: Sequence[Kernel]) -> dict[str, str]:
    """Kernel keys to the shortest `newest…` that means them; only kernels that one means are in it."""
    rows = {row.id: row for row in load_table()}
    words: dict[str, str] = {}
    for one in kernels:
        row = rows.get(one.distro_release)
        if row is None or not one.named_by:
            continue
        of_row = [other for other in kernels if other.distro_release == row.id and other.arch == one.arch]
        generic = row.generic_flavour(one.arch)
        ending = "" if one.flavour == generic else f":{one.flavour}"
        line = family_of(row.family).line(one.release)
        if _newest(of_row, row, "", one.flavour) == one:
            words[one.key] = f"{NEWEST}{ending}"
        elif line and _newest(of_row, row, line, one.flavour) == one:
            words[one.key] = f"{NEWEST}:{line}{ending}"
    return words


def near_kernels(kernels: Sequence[Kernel], name: str, count: int = 3) -> tuple[str, ...]:
    """The kernels of the index nearest to `name`, as that is written: keys, or releases.

    A `uname -r` is compared by its numbers and flavour, any other word by its letters."""
    if name[:1].isdigit():
        releases = sorted({one.release for one in kernels}, key=lambda one: (distance(name, "", one, ""), one))
        return tuple(releases[:count])
    names = list(dict.fromkeys(one.key if "/" in name else one.release for one in kernels))
    return tuple(difflib.get_close_matches(name, names, n=count, cutoff=0.0))


def _newest_of_rows(
    kernels: Sequence[Kernel], rows: Sequence[DistroRow], words: str, flavour: str | None, arch: str
) -> tuple[Kernel, ...]:
    line, wanted_flavour = _newest_words(words, flavour)
    found = []
    for row in rows:
        of_row = [one for one in kernels if one.distro_release == row.id]
        kernel = _newest(of_row, row, line, wanted_flavour or row.generic_flavour(arch))
        if kernel is not None:
            found.append(kernel)
    if not found:
        raise NotFoundError(f"{words}: no metapackage of the index names such a kernel", hint=_named_hint(kernels))
    return tuple(found)


def _newest_words(words: str, flavour: str | None) -> tuple[str, str]:
    """(line, flavour) of `newest[:LINE][:FLAVOUR]`; empty where not said."""
    line = ""
    for word in words.split(":")[1:]:
        if word[:1].isdigit() and not line:
            line = word
        elif word and not word[:1].isdigit() and flavour in (None, word):
            flavour = word
        else:
            raise ConfigError(f"--kernel {words}: {word!r} was not expected", hint="Write newest:6.12:cloud-amd64.")
    return line, flavour or ""


def _newest(kernels: Sequence[Kernel], row: DistroRow, line: str, flavour: str) -> Kernel | None:
    """Of a line: the newest that any metapackage names. Without one: what the flavour's own metapackage names in
    the suites that are installed from by default."""
    family = family_of(row.family)
    named = [one for one in kernels if one.flavour == flavour and one.named_by]
    if line:
        named = [one for one in named if family.line(one.release) == line]
    else:
        named = [one for one in named if family.default_metapackage(flavour) in one.named_by]
    return max(named, key=lambda one: family.version_key(one.package_version), default=None)


def _named_hint(kernels: Sequence[Kernel]) -> str:
    lines = sorted(
        {f"newest:{family_of(one.distro).line(one.release)}:{one.flavour}" for one in kernels if one.named_by}
    )
    return f"Use one of: {', '.join(lines)}." if lines else "Run `kdriver index update`."
