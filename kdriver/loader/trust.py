"""What a host trusts of a repository: the root that it was given, and the metadata that it has seen."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from kdriver.core.errors import ConfigError
from kdriver.loader.state import State, replace_file
from kdriver.repository.client import Trust, fetch_root, is_root, normal_url, settle, staged


@contextmanager
def trusted(
    state: State, repo: str, trust_file: Path | None, on_first_use: bool, *, keep: bool = True
) -> Iterator[Trust]:
    """What is trusted of a repository, for the length of one look at it.

    The root comes from `trust_file`, else from an earlier run, else (on_first_use) from the repository itself. What
    was learned is kept only when the block ends well, and only with `keep`. Raises ConfigError when there is no
    root to trust.
    """
    url = normal_url(repo)
    folder = trust_folder(state, url)
    if keep:
        _clear_leftovers(folder)
    pinned = folder / "root.json"
    if trust_file is not None:
        root, how = _read_trust_file(trust_file), "file"
    elif pinned.is_file():
        root, how = pinned.read_bytes(), "pinned"
    elif on_first_use:
        root, how = fetch_root(url), "first use"
    else:
        raise ConfigError(
            f"{url}: this host has no trusted root for it",
            hint="Name the root.json that its owner gave you with --trust, or accept it once with "
            "--trust-on-first-use.",
        )
    with staged(folder) if keep else _scratch(folder) as copy:
        replace_file(copy / "root.json", root)
        if how != "pinned":
            source = {"url": url, "how": how, "at": datetime.now(UTC).isoformat(timespec="seconds")}
            replace_file(copy / "source.json", json.dumps(source).encode())
        (copy / "metadata").mkdir(exist_ok=True)
        yield Trust(copy / "metadata", root, how)


def trust_folder(state: State, url: str) -> Path:
    """Where what is known of a repository lies."""
    host = "".join(letter if letter.isalnum() else "-" for letter in urlsplit(url).netloc) or "folder"
    return state.folder / "trust" / f"{host}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def _clear_leftovers(folder: Path) -> None:
    """Undo what a loader that was killed left half done. Only the holder of the state's lock comes here."""
    settle(folder)
    for leftover in folder.parent.glob(".staged-*"):
        shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kdriver-") as name:
        if folder.is_dir():
            shutil.copytree(folder, name, symlinks=True, dirs_exist_ok=True)
        yield Path(name)


def _read_trust_file(path: Path) -> bytes:
    hint = "Name the repository's root.json with --trust."
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint=hint) from error
    if not is_root(content):
        raise ConfigError(f"{path}: is no signed root of a repository", hint=hint)
    return content
