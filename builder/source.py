"""The driver source: its folder, its versions, what of it each driver kind is built from, and the rendered headers."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import tomllib
from dataclasses import dataclass
from functools import lru_cache
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


def digest_folder(folder: Path) -> str:
    """SHA-256 over the names and contents of all files in a folder, of any depth; hidden files and editors' backups
    do not count. A folder that is missing has the digest of an empty one."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name.endswith("~") or any(part.startswith(".") for part in name.split("/")):
            continue
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


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
        if (source.folder / name).is_dir():
            shutil.copytree(source.folder / name, into / name, dirs_exist_ok=True)
    shutil.copytree(generated, into / "gen")
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


@lru_cache(maxsize=256)
def digest_file(path: Path) -> str:
    """SHA-256 of one file that does not change while kdriver runs."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
