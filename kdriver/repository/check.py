"""Checking a repository folder from end to end: every signature, every digest, every reference."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.artifact import CORE_KERNEL
from kdriver.core.errors import IntegrityError
from kdriver.repository import layout
from kdriver.repository.entries import KernelEntry, names_from_json
from kdriver.repository.metadata import SignedMetadata
from kdriver.repository.store import FolderStore


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found. faults: one line each, empty when all is well."""

    targets: int
    kernels: int
    aliases: int
    size_bytes: int
    faults: tuple[str, ...]


def check_repository(store: FolderStore) -> CheckReport:
    """Read everything that a client could read. Raises NotFoundError when the folder is no repository and
    IntegrityError when its metadata is damaged; faults of single files are reported together."""
    metadata = SignedMetadata(store)
    faults = []
    targets = size_bytes = 0
    for target in metadata.targets():
        targets += 1
        size_bytes += target.length
        stored = layout.stored_path(target.path, target.hashes["sha256"])
        if _digest(store.path(stored)) != target.hashes["sha256"]:
            faults.append(f"{stored}: is missing or differs from its signed digest")
    try:
        entries = kernel_entries(metadata)
    except IntegrityError:
        if not faults:
            raise
        entries = []  # an entry is among the faults that are named already
    aliases = 0
    for entry in entries:
        for driver in entry.drivers:
            wanted = [driver.target, layout.record_target(driver.record)]
            wanted += [layout.verdict_target(driver.verdict)] if driver.verdict else []
            wanted += [layout.tool_target(driver.capture)] if driver.capture else []
            faults += [f"{entry.key}: {one} is no target" for one in wanted if metadata.target(one) is None]
            for alias in driver.aliases:
                aliases += 1
                if _digest(store.path(alias)) != driver.artifact:
                    faults.append(f"{alias}: is missing or is not the driver of {entry.key}")
    return CheckReport(targets, len(entries), aliases, size_bytes, tuple(faults))


def kernel_entries(metadata: SignedMetadata) -> list[KernelEntry]:
    """All kernels with their drivers, sorted by key; the CO-RE object for any kernel first when there is one."""
    arch = CORE_KERNEL.split("/")[1]
    names = metadata.read_target(layout.names_target(arch))
    keys = [CORE_KERNEL, *(names_from_json(json.loads(names)) if names else ())]
    contents = (metadata.read_target(layout.kernel_target(key)) for key in keys)
    return [KernelEntry.from_json(json.loads(content)) for content in contents if content is not None]


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
