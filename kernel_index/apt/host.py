"""The mirrors that this host's apt uses: sources.list(5), one-line and deb822."""

from __future__ import annotations

import logging
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kdriver.packages.deb822 import parse_stanza, split_stanzas
from kernel_index.table import Archive, DistroRow

logger = logging.getLogger(__name__)

APT_FOLDER = Path("/etc/apt")
_ALIASES = ("oldoldstable", "oldstable", "stable", "testing", "unstable")
_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$")


@dataclass(frozen=True, slots=True)
class AptSource:
    """One address, suite and its components as the host names them. signed_by: keyring file, empty if none."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str


def host_mirrors(
    row: DistroRow, os_release: Mapping[str, str], *, apt_folder: Path = APT_FOLDER
) -> dict[str, tuple[str, ...]]:
    """Archive ids to the addresses that the host's apt uses for that archive, likeliest first.

    A host of another release of the same family serves as well: its mirror carries both. Empty on hosts of
    another family. An archive that the host's sources do not name is left out. Backports lie on the main
    archive's mirror whether or not the host takes packages from there, and so do the optional suites of its folder.
    """
    if os_release.get("ID") != row.family:
        return {}
    codenames = (os_release.get("VERSION_CODENAME", ""), *_ALIASES)
    found: dict[str, list[tuple[int, str]]] = {}
    for source in read_apt_sources(apt_folder):
        for archive in row.archives:
            if archive.architectures and platform.machine() not in archive.architectures:
                # A host of another architecture has another mirror: Ubuntu's ports.
                continue
            suite = _in_words_of(row.codename, source.suite, codenames)
            if suite in archive.suites and set(source.components) & set(archive.components):
                rank = _rank(source, archive)
                if rank is not None:
                    found.setdefault(archive.id, []).append((rank, source.uri.rstrip("/")))
    for archive in row.archives:
        beside = [other.id for other in row.archives if other.id in found and other.folder == archive.folder]
        if archive.optional and not archive.archived and archive.id not in found and beside:
            found[archive.id] = found[beside[0]]
    return {
        archive: tuple(dict.fromkeys(uri for _, uri in sorted(uris, key=lambda ranked: ranked[0])))
        for archive, uris in found.items()
    }


def _in_words_of(codename: str, suite: str, codenames: tuple[str, ...]) -> str:
    """`trixie-security` of a trixie host is `bookworm-security` to a bookworm row."""
    for name in codenames:
        if name and (suite == name or suite.startswith(f"{name}-")):
            return codename + suite[len(name) :]
    return suite


def _rank(source: AptSource, archive: Archive) -> int | None:
    """Lower is likelier; None for a third party's repository, which often uses the same suite names."""
    if source.signed_by and "archive-keyring" not in source.signed_by and "debian-archive" not in source.signed_by:
        return None
    return 0 if urlsplit(source.uri).path.rstrip("/").endswith(f"/{archive.folder}") else 1


def read_apt_sources(apt_folder: Path = APT_FOLDER) -> tuple[AptSource, ...]:
    """The binary sources over HTTP that are switched on, in apt's order. A file that cannot be read is
    skipped with a warning: the public mirrors are still there."""
    sources: list[AptSource] = []
    parts = apt_folder / "sources.list.d"
    files = [apt_folder / "sources.list", *(sorted(parts.iterdir()) if parts.is_dir() else ())]
    for file in files:
        if file.suffix not in (".list", ".sources") or not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8")
            found = list(_deb822(text) if file.suffix == ".sources" else _one_line(text))
        except (OSError, ValueError) as error:
            logger.warning("%s: cannot be read (%s), its mirrors are not used", file, error)
            continue
        sources.extend(source for source in found if source.uri.startswith(("http://", "https://")))
    return tuple(sources)


def _deb822(text: str) -> Iterator[AptSource]:
    for block in split_stanzas(text):
        fields = {name.lower(): value for name, value in parse_stanza(block).items()}
        if fields.get("enabled", "yes").lower() in ("no", "false", "0", "off"):
            continue
        if "deb" not in fields.get("types", "").split():
            continue
        # An embedded key stands on lines of its own; that it is one is all that matters here.
        signed_by = fields.get("signed-by", "").split("\n")[0].strip() or fields.get("signed-by", "")[:1]
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield AptSource(uri, suite, tuple(fields.get("components", "").split()), signed_by)


def _one_line(text: str) -> Iterator[AptSource]:
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#", 1)[0].strip())
        if match is None:
            continue
        options = dict(option.partition("=")[::2] for option in (match["options"] or "").split())
        components = tuple(match["components"].split())
        yield AptSource(match["uri"], match["suite"], components, options.get("signed-by", ""))
