"""The driver source: its folder, its versions, what of it each driver kind is built from, and the rendered headers."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.artifact import DriverKind, DriverVersion
from kdriver.core.errors import ConfigError
from kdriver.core.paths import source_dir

SETTINGS = "driver.toml"
_FOLDERS: dict[DriverKind, tuple[str, ...]] = {
    DriverKind.KMOD: ("common", "kmod"),
    DriverKind.BPF: ("common", "kmod/probes", "bpf"),
    DriverKind.CORE: ("common", "core"),
}
"""What of the driver source a kind is built from; bpf needs the compile probes that stand with the module. The
catalogue counts by what is rendered from it."""
_SOURCE_SUFFIXES = (".c", ".h", ".S", ".toml", ".mk")
_SOURCE_NAMES = ("Kbuild", "Makefile")


@dataclass(frozen=True, slots=True)
class DriverSource:
    """A folder in the shape of driver_src. kinds: which drivers it holds."""

    folder: Path
    version: DriverVersion
    kinds: tuple[DriverKind, ...]

    @property
    def probes(self) -> Path:
        """The folder of compile probes; it may be missing."""
        return self.folder / "kmod" / "probes"


def load_source(folder: Path | None = None) -> DriverSource:
    """Read driver.toml of a driver source (None: the one that ships with kdriver). Raises ConfigError."""
    folder = (folder or source_dir("driver_src")).absolute()
    path = folder / SETTINGS
    hint = "Name a folder in the shape of kdriver's driver_src with --driver-src."
    try:
        settings = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{folder}: is no driver source: it has no {SETTINGS}", hint=hint) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    problems = []
    texts = {}
    for key in ("version", "api", "schema", "compat_api", "compat_schema"):
        texts[key] = str(settings.get(key, ""))
        if not isinstance(settings.get(key), str):
            problems.append(f"{key} must be a text such as 1.0.0")
    kinds = []
    for name in settings.get("kinds", ()):
        if name in tuple(DriverKind):
            kinds.append(DriverKind(name))
        else:
            problems.append(f"kinds: {name!r} is none of {', '.join(DriverKind)}")
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    return DriverSource(folder, DriverVersion(**texts), tuple(kinds) or tuple(DriverKind))


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


def digest_source(source: DriverSource, kind: DriverKind, generated: Path) -> str:
    """SHA-256 of all of the driver source that goes into one kind, rendered headers included."""
    digest = hashlib.sha256((source.folder / SETTINGS).read_bytes())
    for name in _FOLDERS[kind]:
        digest.update(f"{name}\0{digest_folder(source.folder / name)}\0".encode())
    digest.update(digest_folder(generated).encode())
    return digest.hexdigest()


def copy_source(source: DriverSource, kind: DriverKind, generated: Path, into: Path) -> Path:
    """Copy what a kind is built from: `into`/<folder> for each folder and `into`/gen with the rendered headers, which
    is returned."""
    for name in _FOLDERS[kind]:
        copy_folder(source.folder / name, into / name)
    (into / "gen").mkdir()
    copy_folder(generated, into / "gen")
    return into / "gen"


def render_headers(source: DriverSource, cache: Path) -> Path:
    """The C headers that are rendered from the source's catalogue, in a folder of `cache` named by their content.

    A source without a catalogue has none: the folder is empty. Raises what kdriver.catalogue raises.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".render-", dir=cache) as scratch:
        fresh = Path(scratch) / "gen"
        fresh.mkdir()
        if (source.folder / "catalogue").is_dir():
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
    return kept
