"""A folder of kernel headers as if it were a header package: a kernel's build tree, an installed or unpacked
kernel-devel or linux-headers folder, or a folder that packages were unpacked into.

What a build of a module can need is copied to where a package has it (`usr/src/<name>`), because the tree of a batch is
read-only and named by its content. Links that lead out of the folder become what they lead to: the headers of Debian
and Ubuntu point to their common parts beside them.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kdriver.core.errors import ConfigError

_RELEASE = "include/generated/utsrelease.h"
_COMMON = "include/linux/kernel.h"
_WHOLE = ("include", "scripts")
"""Folders of a kernel's source of which a build can need everything that is no object."""
_NAMES = re.compile(r"Makefile.*|Kbuild.*|Kconfig.*")
_LEFT_OUT = re.compile(
    r".*\.(o|a|ko|mod|order|cmd|d|tmp|ll|s)|vmlinux.*|System\.map.*|\.git|\.tmp_.*|cscope.*|tags|TAGS"
)
_TOOLS = ("tools/objtool/objtool", "tools/bpf/resolve_btfids/resolve_btfids")
_PACKED = ("usr/src/", "usr/lib/linux-kbuild")
_NEVER = re.compile(
    r"\.git|Documentation|samples|drivers/.*/.*|arch/(?!x86)[^/]*|lib/modules|usr/lib/modules|usr/share|boot"
)


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a folder. name: in the package that the folder stands for. link: what it points to, where it is a link
    that stays inside; else its content is `path`'s."""

    name: str
    path: Path
    link: str = ""


def tree_files(folder: Path) -> tuple[TreeFile, ...]:
    """What a build can need of a folder, sorted by name. Raises ConfigError when it holds no kernel headers."""
    if (folder / "usr/src").is_dir():
        found = list(_walk(folder, "", lambda name: name.startswith(_PACKED)))
    else:
        parts = _parts(folder)
        found = [
            TreeFile(f"usr/src/{name}/{file.name}", file.path, file.link)
            for name, part in parts.items()
            for file in _walk(part, "", is_for_building)
        ]
    if not any(file.name.endswith(_RELEASE) for file in found):
        raise ConfigError(
            f"{folder}: has no {_RELEASE}; the headers of a kernel, or its prepared build tree, were expected",
            hint="Name what /lib/modules/<release>/build points to, or prepare the tree with `make modules_prepare`.",
        )
    return tuple(sorted(found, key=lambda one: one.name))


def digest_tree(folder: Path) -> tuple[str, int]:
    """SHA-256 over names, links, execute bits and contents of what a build can need of a folder, and its size."""
    digest, size_bytes = hashlib.sha256(), 0
    for file in tree_files(folder):
        size_bytes += _add(digest, file)
    return digest.hexdigest(), size_bytes


def copy_tree(folder: Path, into: Path, members: Callable[[str], bool] = lambda name: True) -> None:
    """Copy what a build can need of a folder into `into`, as unpacking a package would; paths of the folder in its
    Makefiles are led there. members: picks by name."""
    parts = {} if (folder / "usr/src").is_dir() else _parts(folder)
    moved = {str(place): name for name, part in parts.items() for place in (part, part.resolve())}
    for file in tree_files(folder):
        if not members(file.name):
            continue
        target = into / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.link:
            target.symlink_to(file.link)
            continue
        shutil.copyfile(file.path, target)
        target.chmod(0o755 if _is_program(file.path) else 0o644)
        if file.path.name == "Makefile" and file.name.count("/") == 3:
            text = target.read_text(errors="surrogateescape")
            target.write_text(_moved(text, moved), errors="surrogateescape")


def is_for_building(name: str) -> bool:
    """Whether a build of a module can need a file of a kernel's source or build tree, by its path there. A whole tree
    of a kernel that was built has gigabytes; this leaves about what a distribution's headers package has."""
    parts = PurePosixPath(name).parts
    if _LEFT_OUT.fullmatch(parts[-1]):
        return False
    if len(parts) == 1 or parts[0] in _WHOLE or name.startswith(_TOOLS):
        return True
    if parts[:2] == ("arch", "x86"):
        return not name.endswith((".c", ".S"))
    return bool(_NAMES.fullmatch(parts[-1])) and parts[0] not in ("Documentation", "tools")


def _parts(folder: Path) -> dict[str, Path]:
    """The folder, and the one that its Makefile continues in, by the names that they get: Debian's common headers, the
    source of a tree that was built in a folder of its own (O=)."""
    folder = folder.absolute()
    if (folder / _COMMON).is_file():
        return {folder.name: folder}
    makefile = folder / "Makefile"
    text = makefile.read_text(errors="replace") if makefile.is_file() else ""
    named = [Path(word) for word in re.findall(r"(?<![\w.])/[\w./+~-]+", text)]
    places = [*(place.parent if place.name == "Makefile" else place for place in named), folder / "source"]
    # The headers may stand elsewhere than where they would be installed: the common ones are then beside them.
    places += [folder.parent / place.name for place in places]
    found = next((place for place in places if (place / _COMMON).is_file()), None)
    if found is None:
        raise ConfigError(
            f"{folder}: has no {_COMMON}, and its Makefile leads to no folder that has",
            hint="Put the common headers beside it, or name the .deb or .rpm files of all parts.",
        )
    name = found.name if found.name != folder.name else f"{found.name}-source"
    return {folder.name: folder, name: found}


def _walk(
    root: Path, at: str, wanted: Callable[[str], bool], within: frozenset[Path] = frozenset()
) -> Iterator[TreeFile]:
    """The files of a folder and below that are wanted, by their path from the root. within: the real folders that
    the walk is in, so that a link cannot lead round for ever."""
    real = (root / at).resolve()
    if real in within:
        return
    for path in sorted((root / at).iterdir()):
        relative = f"{at}/{path.name}".lstrip("/")
        if path.is_symlink():
            target, resolved = str(path.readlink()), path.resolve()
            if not resolved.exists() or (not at and path.name in ("source", "build")):
                continue
            if not target.startswith("/") and resolved.is_relative_to(root.resolve()):
                if resolved.is_dir() or wanted(relative):
                    yield TreeFile(relative, path, target)
                continue
        if path.is_dir():
            if not _NEVER.fullmatch(relative):
                yield from _walk(root, relative, wanted, within | {real})
        elif wanted(relative) and path.is_file():
            yield TreeFile(relative, path)


def _add(digest: hashlib._Hash, file: TreeFile) -> int:
    if file.link:
        digest.update(f"l {file.name}\0{file.link}\0".encode("utf-8", "surrogateescape"))
        return 0
    content = file.path.read_bytes()
    mode = "x" if _is_program(file.path) else "-"
    digest.update(f"{mode} {file.name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
    digest.update(content)
    return len(content)


def _is_program(path: Path) -> bool:
    """By its mode: what the caller may do would give one folder several digests."""
    return bool(path.stat().st_mode & 0o111)


def _moved(makefile: str, places: dict[str, str]) -> str:
    """A Makefile in which folders (their path: their name below /usr/src) have moved."""
    for old, name in places.items():
        makefile = re.sub(rf"{re.escape(old)}(?![\w.+~-])", f"/usr/src/{name}", makefile)
    return makefile
