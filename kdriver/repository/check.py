"""Checking a repository folder from end to end: every signature, every digest, every reference."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.artifact import CORE_KERNEL, Artifact
from kdriver.core.errors import IntegrityError
from kdriver.repository import layout
from kdriver.repository.attestation import provenance_fault
from kdriver.repository.entries import DriverEntry, KernelEntry, names_from_json
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
            wanted += [layout.provenance_target(driver.provenance)] if driver.provenance else []
            faults += [f"{entry.key}: {one} is no target" for one in wanted if metadata.target(one) is None]
            faults += _provenance_faults(metadata, entry.key, driver)
            for alias in driver.aliases:
                aliases += 1
                if _digest(store.path(alias)) != driver.artifact:
                    faults.append(f"{alias}: is missing or is not the driver of {entry.key}")
    return CheckReport(targets, len(entries), aliases, size_bytes, tuple(faults))


def _provenance_faults(metadata: SignedMetadata, key: str, driver: DriverEntry) -> list[str]:
    """Whether a driver's provenance is signed, is of its file, and says what its record says."""
    if not driver.provenance:
        return []
    try:
        envelope = metadata.read_target(layout.provenance_target(driver.provenance))
        record = metadata.read_target(layout.record_target(driver.record))
        if envelope is None or record is None:
            return []  # a fault that is named already
        artifact = Artifact.from_json(json.loads(record))
    except (IntegrityError, ValueError, KeyError, TypeError):
        return []  # likewise: the file differs from its signed digest
    fault = provenance_fault(envelope, metadata.root, artifact)
    if not fault and artifact.sha256 != driver.artifact:
        fault = "the record is of another file"
    return [f"{key} {driver.kind}: {fault}"] if fault else []


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
