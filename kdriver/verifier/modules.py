"""Modules of the guest's own kernel, for cases that need what it does not have built in, with all that they need."""

from __future__ import annotations

import lzma
import sys
from collections.abc import Sequence
from pathlib import Path

from kdriver.core.errors import NotFoundError
from kdriver.inspect.elf import read_module
from kdriver.packages.deb import unpack_deb

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_SUFFIXES = (".ko", ".ko.xz", ".ko.zst")


def unpack_modules(package: Path, release: str, names: Sequence[str], into: Path) -> tuple[Path, ...]:
    """Put the modules of that name, and those that they depend on, into a folder, uncompressed.

    The result is in the order in which they must be inserted; what is built into the kernel is left out. The order
    comes from the modules' own `depends` (packages hold no modules.dep: depmod makes it when they are installed).
    Raises NotFoundError for a name that the package does not have, IntegrityError for a damaged package.
    """
    home = f"lib/modules/{release}/"
    unpack_deb(
        package,
        into,
        members=lambda name: home in name and name.endswith((*_SUFFIXES, "/modules.builtin")),
    )
    files = {_name(path): path for path in sorted(into.rglob("*")) if path.name.endswith(_SUFFIXES)}
    listed = next(iter(into.rglob("modules.builtin")), None)
    builtin = {_name(Path(line)) for line in listed.read_text().split()} if listed else set()
    order: dict[str, Path] = {}
    for name in names:
        _add(name.replace("-", "_"), files, builtin, order, f"{package.name}: {release}")
    return tuple(order.values())


def _add(
    name: str,
    files: dict[str, Path],
    builtin: set[str],
    order: dict[str, Path],
    subject: str,
    above: frozenset[str] = frozenset(),
) -> None:
    """Depth first: what a module depends on stands before it. above: those on the way here."""
    if name in order or name in builtin or name in above:
        return
    if name not in files:
        raise NotFoundError(f"{subject}: has no module {name}", hint="Name a module that this kernel has.")
    plain = _uncompressed(files[name])
    for needed in dict(read_module(plain).modinfo).get("depends", "").split(","):
        if needed:
            _add(needed.replace("-", "_"), files, builtin, order, subject, above | {name})
    order[name] = plain


def _name(path: Path) -> str:
    """The name that the kernel gives a module's file."""
    return path.name.split(".ko")[0].replace("-", "_")


def _uncompressed(path: Path) -> Path:
    """The kernel of a guest may not be able to take a compressed one (before 5.17 none can)."""
    if path.suffix == ".ko":
        return path
    content = path.read_bytes()
    plain = path.with_suffix("")
    plain.write_bytes(lzma.decompress(content) if path.suffix == ".xz" else zstd.decompress(content))
    return plain
