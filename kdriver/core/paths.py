"""Where kdriver keeps things. Every folder can be moved by an environment variable."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Downloads, unpacked headers, artifacts, tools; safe to delete. KDRIVER_CACHE, else the XDG cache."""
    named = os.environ.get("KDRIVER_CACHE")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kdriver"


def index_dir() -> Path:
    """The kernel index. KDRIVER_INDEX, else the XDG data folder; not a cache: it never shrinks."""
    named = os.environ.get("KDRIVER_INDEX")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "kdriver" / "index"


def source_dir(name: str) -> Path:
    """A folder of data that ships with kdriver: `driver_src` or `templates`."""
    return Path(__file__).resolve().parent.parent / name


def archive_dir() -> Path:
    """Where `kdriver index archive` keeps packages: KDRIVER_ARCHIVE, else beside the index."""
    return Path(os.environ["KDRIVER_ARCHIVE"]) if os.environ.get("KDRIVER_ARCHIVE") else index_dir() / "packages"
