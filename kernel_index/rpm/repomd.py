"""repomd.xml: which package lists a yum repository has (http://linux.duke.edu/metadata/repo; createrepo_c)."""

from __future__ import annotations

import datetime
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from kdriver.core.errors import IntegrityError
from kernel_index.rpm.xml import whole

_REPO = "{http://linux.duke.edu/metadata/repo}"
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_HINT = "Use another mirror."


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that repomd.xml names. path: relative to the repository. open_size_bytes: of the text, 0: not said."""

    path: str
    sha256: str
    size_bytes: int
    open_size_bytes: int


@dataclass(frozen=True, slots=True)
class Repomd:
    """date: when the repository was made. primary: its list of packages."""

    date: datetime.datetime
    primary: ListedFile


def parse_repomd(text: bytes, *, subject: str) -> Repomd:
    """The parts of repomd.xml that matter. Raises IntegrityError: malformed, no list of packages, no SHA-256."""
    root = whole(text, subject=subject)
    parts = {part.get("type", ""): part for part in root.iter(f"{_REPO}data")}
    if root.tag != f"{_REPO}repomd" or "primary" not in parts:
        raise IntegrityError(f"{subject}: its repomd.xml names no list of packages (primary)", hint=_HINT)
    try:
        return Repomd(_date(root), _listed(parts["primary"]))
    except (ValueError, OverflowError, OSError) as error:
        raise IntegrityError(f"{subject}: its repomd.xml is malformed ({error})", hint=_HINT) from error


def check_path(path: str) -> str:
    """A path of metadata, as long as it stays below its repository. Raises ValueError."""
    clean = path.removeprefix("./")
    if (
        not clean
        or clean.startswith("/")
        or ".." in clean.split("/")
        or "://" in clean
        or "\\" in clean
        or "\0" in clean
    ):
        raise ValueError(f"the path {path!r} leads out of the repository")
    return clean


def _listed(part: ET.Element) -> ListedFile:
    checksum = part.find(f"{_REPO}checksum")
    location = part.find(f"{_REPO}location")
    kind = checksum.get("type", "") if checksum is not None else ""
    digest = (checksum.text or "").strip().lower() if checksum is not None else ""
    if kind != "sha256" or not _SHA256.match(digest):
        raise ValueError(f"a checksum of type {kind or 'none'}, sha256 was expected")
    path = check_path(location.get("href", "") if location is not None else "")
    return ListedFile(path, digest, _size(part, "size"), _size(part, "open-size"))


def _size(part: ET.Element, name: str) -> int:
    value = int(part.findtext(f"{_REPO}{name}") or "0")
    if value < 0:
        raise ValueError(f"{name} is {value}")
    return value


def _date(root: ET.Element) -> datetime.datetime:
    """`revision` where it is a time, as createrepo sets it; else the newest list's own time."""
    revision = (root.findtext(f"{_REPO}revision") or "").strip()
    stamps = [int(float(part.text or "0")) for part in root.iter(f"{_REPO}timestamp")]
    # Some projects count revisions: a number below 2001-09-09 is none of a time.
    stamp = int(revision) if revision.isdecimal() and int(revision) >= 10**9 else max(stamps, default=0)
    return datetime.datetime.fromtimestamp(stamp, datetime.UTC).replace(microsecond=0)
