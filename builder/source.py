"""The driver source: its folder, its versions, what of it each driver kind is built from, and the rendered headers."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.foreign import ForeignDriver, is_foreign, is_plain_kbuild, plain_kbuild, read_foreign
from kdriver.core.artifact import DriverKind, DriverVersion
from kdriver.core.errors import ConfigError
from kdriver.core.paths import source_dir

SETTINGS = "driver.toml"
FOREIGN = "src"
"""The folder of a workplace that holds a foreign driver's source."""
_FOLDERS: dict[DriverKind, tuple[str, ...]] = {
    DriverKind.KMOD: ("common", "kmod"),
    DriverKind.BPF: ("common", "kmod/probes", "bpf"),
    DriverKind.CORE: ("common", "core"),
}
"""What of the driver source a kind is built from; bpf needs the compile probes that stand with the module. The
catalogue counts by what is rendered from it."""
_SOURCE_SUFFIXES = (".c", ".h", ".S", ".toml", ".mk")
_SOURCE_NAMES = ("Kbuild", "Makefile")
_MADE_SUFFIXES = (".o", ".ko", ".mod", ".mod.c", ".cmd", ".o.d")
_MADE_NAMES = ("Module.symvers", "modules.order")
"""What kbuild leaves behind in a folder of other people's."""


@dataclass(frozen=True, slots=True)
class DriverSource:
    """A folder in the shape of driver_src, or with a driver of another project (foreign). kinds: which drivers it
    holds. name: what the module is called unless somebody says otherwise."""

    folder: Path
    version: DriverVersion
    kinds: tuple[DriverKind, ...]
    name: str = "kdriver"
    foreign: ForeignDriver | None = None

    @property
    def probes(self) -> Path:
        """The folder of compile probes; it may be missing."""
        return self.folder / "kmod" / "probes"


def load_source(folder: Path | None = None, name: str | None = None) -> DriverSource:
    """Read driver.toml of a driver source (None: the one that ships with kdriver). Raises ConfigError.

    name: what the driver is called; needed for a kbuild module without a driver.toml, whose own name it then is.
    """
    folder = (folder or source_dir("driver_src")).absolute()
    path = folder / SETTINGS
    try:
        settings = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return _without_settings(folder, name)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    problems: list[str] = []
    if is_foreign(settings):
        foreign = read_foreign(settings, problems)
        if name not in (None, foreign.name):
            problems.append(f"the driver is called {foreign.name}, --name says {name}")
        return _foreign_source(folder, foreign, path, problems)
    texts = {}
    for key in ("version", "api", "schema", "compat_api", "compat_schema"):
        texts[key] = str(settings.get(key, ""))
        if not isinstance(settings.get(key), str):
            problems.append(f"{key} must be a text such as 1.0.0")
    kinds = []
    for kind in settings.get("kinds", ()):
        if kind in tuple(DriverKind):
            kinds.append(DriverKind(kind))
        else:
            problems.append(f"kinds: {kind!r} is none of {', '.join(DriverKind)}")
    if problems:
        hint = "A driver of another shape has a table for each kind: docs/bring-your-own-driver.md."
        raise ConfigError(f"{path}: {'; '.join(problems)}", hint=hint)
    return DriverSource(folder, DriverVersion(**texts), tuple(kinds) or tuple(DriverKind), name or "kdriver")


def _without_settings(folder: Path, name: str | None) -> DriverSource:
    """A folder without driver.toml: a plain kbuild module, or no driver source at all."""
    if not is_plain_kbuild(folder):
        raise ConfigError(
            f"{folder}: is no driver source: it has no {SETTINGS}, and no Kbuild or Makefile with obj-m",
            hint="Name a folder as docs/bring-your-own-driver.md describes it with --driver-src.",
        )
    if name is None:
        raise ConfigError(
            f"{folder}: is a kbuild module without a {SETTINGS}: what it is called is not known",
            hint="Say what its module is called with --name.",
        )
    problems: list[str] = []
    return _foreign_source(folder, plain_kbuild(folder, name, problems), folder, problems)


def _foreign_source(folder: Path, foreign: ForeignDriver, subject: Path, problems: list[str]) -> DriverSource:
    problems += [
        f"{part.kind}.folder: {part.folder} is no folder"
        for part in foreign.parts
        if not (folder / part.folder).is_dir()
    ]
    if problems:
        raise ConfigError(f"{subject}: {'; '.join(problems)}", hint="See docs/bring-your-own-driver.md.")
    version = DriverVersion(foreign.version, "", "", "", "")
    return DriverSource(folder, version, tuple(part.kind for part in foreign.parts), foreign.module_name, foreign)


def is_source(path: Path) -> bool:
    """Whether a file of a driver source is written by people: what make leaves behind when someone builds by hand
    there (objects, modules, *.mod.c, hidden files) neither counts nor is taken along."""
    if path.name.startswith(".") or path.name.endswith(".mod.c"):
        return False
    return path.suffix in _SOURCE_SUFFIXES or path.name in _SOURCE_NAMES


def digest_folder(folder: Path) -> str:
    """SHA-256 over the names and contents of all source files in a folder, of any depth. A folder that is missing has
    the digest of an empty one."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and is_source(path):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def copy_folder(folder: Path, into: Path) -> None:
    """Copy the source files of a folder; one that is missing is none."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and is_source(path):
            target = into / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def foreign_files(folder: Path) -> Iterator[Path]:
    """All files of another project's folder, sorted, but for hidden ones and what kbuild leaves behind."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and not name.endswith(_MADE_SUFFIXES) and name not in _MADE_NAMES:
                yield Path(place, name)


def digest_foreign(folder: Path) -> str:
    """SHA-256 over the names, contents and execute permissions of another project's files."""
    digest = hashlib.sha256()
    for path in foreign_files(folder):
        content = path.read_bytes()
        executable = bool(path.stat().st_mode & 0o111)  # never os.access, which says yes to root of any folder
        head = f"{path.relative_to(folder).as_posix()}\0{executable}\0{len(content)}\0"
        digest.update(head.encode() + content)
    return digest.hexdigest()


def copy_foreign(folder: Path, into: Path) -> None:
    """Copy another project's files, with their permissions; links become what they point to."""
    into.mkdir()
    for path in foreign_files(folder):
        target = into / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def digest_source(source: DriverSource, kind: DriverKind, generated: Path) -> str:
    """SHA-256 of all of the driver source that goes into one kind, rendered headers included."""
    if source.foreign is not None:
        part = source.foreign.part(kind)
        return hashlib.sha256(f"{digest_foreign(source.folder)}\0{source.foreign.version}\0{part}".encode()).hexdigest()
    digest = hashlib.sha256((source.folder / SETTINGS).read_bytes())
    for name in _FOLDERS[kind]:
        digest.update(f"{name}\0{digest_folder(source.folder / name)}\0".encode())
    digest.update(digest_folder(generated).encode())
    return digest.hexdigest()


def digest_cases(source: DriverSource, generated: Path) -> str:
    """SHA-256 of the cases that drivers of this source are judged by: of the programs' source and of the catalogue, not
    of what a compiler made of them."""
    digest = hashlib.sha256(digest_folder(generated).encode())
    for name in ("cases", "common"):
        digest.update(f"{name}\0{digest_folder(source.folder / name)}\0".encode())
    return digest.hexdigest()


def catalogue_version(source: DriverSource, generated: Path) -> str:
    """The schema's version and a digest of all that is rendered from the catalogue: `1.1.0 e7b0536e0ff7`."""
    return f"{source.version.schema} {digest_folder(generated)[:12]}"


def copy_source(source: DriverSource, kind: DriverKind, generated: Path, into: Path) -> Path:
    """Copy what a kind is built from: `into`/<folder> for each folder and `into`/gen with the rendered headers, which
    is returned. A foreign driver is `into`/src."""
    if source.foreign is not None:
        copy_foreign(source.folder, into / FOREIGN)
        return into / FOREIGN
    for name in _FOLDERS[kind]:
        copy_folder(source.folder / name, into / name)
    (into / "gen").mkdir()
    copy_folder(generated, into / "gen")
    return into / "gen"


def render_headers(source: DriverSource, cache: Path) -> Path:
    """The C headers that are rendered from the source's catalogue, in a folder of `cache` named by their content.

    A source without a catalogue has none: the folder is empty. What was rendered before of the same is taken as it is:
    a note beside the folders says which. Raises what kdriver.catalogue raises.
    """
    cache.mkdir(parents=True, exist_ok=True)
    note = cache / f"of-{_digest_catalogue(source)[:32]}"
    known = cache / note.read_text() if note.is_file() else None
    if known is not None and known.is_dir() and digest_folder(known)[:32] == known.name:
        return known
    with tempfile.TemporaryDirectory(prefix=".render-", dir=cache) as scratch:
        fresh = Path(scratch) / "gen"
        fresh.mkdir()
        if source.foreign is None and (source.folder / "catalogue").is_dir():
            from kdriver.catalogue.load import load_catalogue
            from kdriver.catalogue.render import render

            render(load_catalogue(source.folder), fresh)
        kept = cache / digest_folder(fresh)[:32]
        if not kept.is_dir():
            try:
                fresh.rename(kept)
            except OSError:
                if not kept.is_dir():  # else another process was first with the same content
                    raise
        told = Path(scratch) / "note"
        told.write_text(kept.name)
        told.replace(note)
    return kept


def _digest_catalogue(source: DriverSource) -> str:
    """SHA-256 of everything that rendering depends on: the catalogue, the templates, and the code that renders."""
    digest = hashlib.sha256(b"foreign" if source.foreign is not None else b"")
    settings = source.folder / SETTINGS
    digest.update(settings.read_bytes() if settings.is_file() else b"")
    digest.update(digest_folder(source.folder / "catalogue").encode())
    code = Path(__file__).resolve().parent.parent / "kdriver" / "catalogue"
    for path in (*sorted((source_dir("templates") / "driver").iterdir()), *sorted(code.glob("*.py"))):
        if path.is_file():
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()
