"""Modules of the guest's own kernel, for cases that need what it does not have built in, with all that they need."""

from __future__ import annotations

import lzma
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from kdriver.core.errors import NotFoundError
from kdriver.inspect.elf import read_module
from kdriver.packages.kernel_files import unpack_package

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_SUFFIXES = (".ko", ".ko.xz", ".ko.zst")
_MOST_SAMPLED = 50


def unpack_modules(sources: Sequence[Path], release: str, names: Sequence[str], into: Path) -> tuple[Path, ...]:
    """Put the modules of that name, and those that they depend on, into a folder, uncompressed.

    sources: packages (.deb, .rpm) and folders, in which `lib/modules/<release>` stands, or which are that folder.
    The result is in the order in which they must be inserted; what is built into the kernel is left out. The order
    comes from the modules' own `depends` (packages hold no modules.dep: depmod makes it when they are installed).
    Raises NotFoundError for a name that the sources do not have, IntegrityError for a damaged package.
    """
    home = f"lib/modules/{release}/"

    def is_wanted(name: str) -> bool:
        return home in name and name.endswith((*_SUFFIXES, "/modules.builtin"))

    found = _laid_out(sources, release, into, is_wanted)
    files = {_name(path): path for path in found if path.name.endswith(_SUFFIXES)}
    listed = [path for path in found if path.name == "modules.builtin"]
    builtin = {_name(Path(line)) for one in listed for line in one.read_text().split()}
    order: dict[str, Path] = {}
    subject = f"{', '.join(source.name for source in sources)}: {release}"
    for name in names:
        _add(name.replace("-", "_"), files, builtin, order, subject)
    into.mkdir(parents=True, exist_ok=True)
    return tuple(_uncompressed(path, into) for path in order.values())


def sample_modules(sources: Sequence[Path], release: str, into: Path) -> tuple[Path, ...]:
    """Some of a kernel's own modules, as they are, to compare drivers with: a module carries the CRCs of the symbols
    that it uses. Raises as unpack_modules."""

    def is_wanted(name: str) -> bool:
        return f"lib/modules/{release}/kernel/" in name and name.endswith(_SUFFIXES)

    every = _laid_out(sources, release, into, is_wanted, count=_MOST_SAMPLED)
    found = [path for path in every if path.name.endswith(_SUFFIXES)]
    return tuple(found[:: max(1, len(found) // _MOST_SAMPLED)][:_MOST_SAMPLED])


def _laid_out(
    sources: Sequence[Path], release: str, into: Path, members: Callable[[str], bool], count: int | None = None
) -> list[Path]:
    """The files of a release's modules: packages are unpacked into a folder, folders are read where they are."""
    folders = [into]
    for source in sources:
        if source.is_dir():
            folders.append(_modules_folder(source, release))
        else:
            unpack_package(source, into, members=members, count=count)
    return [path for folder in folders for path in sorted(folder.rglob("*"))]


def _modules_folder(folder: Path, release: str) -> Path:
    """Where a folder keeps the modules of a release; one that is not laid out as a package is that place."""
    for name in (f"lib/modules/{release}", f"usr/lib/modules/{release}", release):
        if (folder / name).is_dir():
            return folder / name
    return folder


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
    for needed in dict(read_module(files[name]).modinfo).get("depends", "").split(","):
        if needed:
            _add(needed.replace("-", "_"), files, builtin, order, subject, above | {name})
    order[name] = files[name]


def _name(path: Path) -> str:
    """The name that the kernel gives a module's file."""
    return path.name.split(".ko")[0].replace("-", "_")


def _uncompressed(path: Path, into: Path) -> Path:
    """The kernel of a guest may not be able to take a compressed one (before 5.17 none can)."""
    if path.suffix == ".ko":
        return path
    content = path.read_bytes()
    plain = into / path.with_suffix("").name
    plain.write_bytes(lzma.decompress(content) if path.suffix == ".xz" else zstd.decompress(content))
    return plain
