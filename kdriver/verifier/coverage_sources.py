"""Where the verdicts of a coverage come from: this machine's records and journal, and signed repositories."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kdriver.core.errors import ConfigError, KdriverError
from kdriver.core.paths import cache_dir
from kdriver.core.verdict import Outcome, Verdict
from kdriver.repository.check import kernel_entries
from kdriver.repository.client import RepositoryClient
from kdriver.repository.entries import KernelEntry, names_from_json
from kdriver.repository.layout import kernel_target, names_target, verdict_target
from kdriver.repository.metadata import SignedMetadata
from kdriver.repository.store import FolderStore
from kdriver.verifier.journal import Told, read_journal

ReadJson = Callable[[str], Any]


def read_here(problems: list[str], driver_src: Path | None = None) -> Iterator[Told]:
    """The verdicts on one driver (None: kdriver's own) that this machine's cache knows. What cannot be read is added to
    `problems`."""
    wanted = str(driver_src.absolute()) if driver_src else ""
    journal = tuple(read_journal(problems))
    yield from (told for told in journal if told.driver_src == wanted)
    known = {told.verdict.artifact_sha256 for told in journal}
    for path in sorted((cache_dir() / "verdicts").glob("*/*.json")) if not wanted else ():
        if path.parent.name in known:
            continue
        try:
            yield Told(Verdict.from_json(json.loads(path.read_bytes())), "here")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"{path}: is no verdict ({error!r})")


def read_folder(folder: Path, problems: list[str]) -> Iterator[Told]:
    """All verdicts of a repository in a folder. Raises NotFoundError when it is none, IntegrityError."""
    metadata = SignedMetadata(FolderStore(folder))

    def read(target: str) -> Any:
        content = metadata.read_target(target)
        return None if content is None else json.loads(content)

    for entry in kernel_entries(metadata):
        yield from _of_entry(entry, read, str(folder), problems)


def read_client(client: RepositoryClient, arch: str, problems: list[str]) -> Iterator[Told]:
    """All verdicts of a repository that is served. Raises DownloadError and IntegrityError."""
    client.refresh()
    names = client.read_json(names_target(arch))
    for key in names_from_json(names) if names is not None else ():
        document = client.read_json(kernel_target(key))
        if document is None:
            problems.append(f"{client.url}: names {key} and has no entry of it")
            continue
        yield from _of_entry(KernelEntry.from_json(document), client.read_json, client.url, problems)


def _of_entry(entry: KernelEntry, read: ReadJson, source: str, problems: list[str]) -> Iterator[Told]:
    for driver in entry.drivers:
        if not driver.verdict:
            if entry.distro:  # else the CO-RE object that any kernel is offered
                yield Told(_without_record(entry.key, driver.kind, driver.artifact, driver.reason), source)
            continue
        try:
            document = read(verdict_target(driver.verdict))
            if document is None:
                raise ConfigError("is missing")
            yield Told(Verdict.from_json(document), source)
        except (ValueError, KeyError, TypeError, KdriverError) as error:
            problems.append(f"{source}: verdict on {entry.key} {driver.kind}: {error}")


def _without_record(kernel: str, kind: str, artifact: str, reason: str) -> Verdict:
    return Verdict(kernel, str(kind), artifact, Outcome.NOT_VERIFIED, reason, 0.0, "")
