"""Publishing: which drivers go into a repository with which mark, and writing them so that a crash harms nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import IntegrityError
from kdriver.core.verdict import Outcome
from kdriver.inspect.elf import strip_signature
from kdriver.repository import layout
from kdriver.repository.attestation import attest
from kdriver.repository.draft import Draft, document, find_driver, read_entry
from kdriver.repository.entries import DriverEntry, KernelEntry
from kdriver.repository.gather import Candidate
from kdriver.repository.keys import Keys
from kdriver.repository.metadata import SignedMetadata
from kdriver.repository.store import FolderStore


class Action(StrEnum):
    """What happens to one driver of one kernel."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class PublishStep:
    """A decision on one candidate. mark: the verdict's outcome as it will stand in the entry."""

    candidate: Candidate
    action: Action
    reason: str
    mark: Outcome

    def to_json(self) -> dict[str, Any]:
        """A row of `kdriver publish --json`."""
        return {
            "kernel": self.candidate.kernel.key,
            "kind": str(self.candidate.artifact.kind),
            "outcome": str(self.action),
            "reason": self.reason,
            "verdict": str(self.mark),
            "artifact": self.candidate.artifact.sha256,
            "size_bytes": self.candidate.artifact.size_bytes,
        }


def plan_publish(
    candidates: Iterable[Candidate],
    published: Mapping[str, KernelEntry],
    *,
    include_unverified: bool,
    capture_sha256: str,
    include_unauthenticated: bool = False,
    include_void: bool = False,
) -> tuple[PublishStep, ...]:
    """Decide on each candidate, in order. published: the repository's entries by kernel key."""

    def decide(one: Candidate) -> PublishStep:
        if not (one.kernel.authenticated or include_unauthenticated):
            return _unauthenticated(one)
        passed = one.verdict is not None and one.verdict.outcome is Outcome.PASSED
        if one.void and passed and not include_void:
            return PublishStep(one, Action.REFUSED, f"its verdict is void: {one.void}", Outcome.NOT_VERIFIED)
        return _decide(one, _same_version(published.get(one.kernel.key), one), include_unverified, capture_sha256)

    return tuple(decide(one) for one in candidates)


def publish(
    store: FolderStore,
    keys: Keys,
    candidates: tuple[Candidate, ...],
    *,
    include_unverified: bool = False,
    include_unauthenticated: bool = False,
    include_void: bool = False,
    capture: Path | None = None,
    dry_run: bool = False,
    now: datetime | None = None,
) -> tuple[PublishStep, ...]:
    """Publish what passed, under the repository's lock, and return one decision for each candidate.

    capture: the static capture tool to publish with the drivers. Earlier kernels and drivers stay. Signatures
    that are due are renewed, even when there is nothing new. Raises KdriverError
    when another publisher is at work, IntegrityError when a file differs from its record.
    """
    if dry_run:
        return _plan(
            SignedMetadata(store, keys), candidates, include_unverified, include_unauthenticated, include_void, capture
        )
    with store.locked():
        metadata = SignedMetadata(store, keys)
        steps = _plan(metadata, candidates, include_unverified, include_unauthenticated, include_void, capture)
        moment = now or datetime.now(UTC)
        tool = _put_tool(metadata, capture) if capture and any(s.action is Action.PUBLISHED for s in steps) else ""
        draft = Draft(metadata)
        for step in steps:
            if step.action in (Action.PUBLISHED, Action.WITHDRAWN):
                _write(store, metadata, draft, step, tool, moment.isoformat(timespec="seconds"), keys)
        draft.write()
        metadata.commit(moment)
        if metadata.is_due(moment):
            metadata.refresh(moment)
    return steps


def _plan(
    metadata: SignedMetadata,
    candidates: tuple[Candidate, ...],
    include_unverified: bool,
    include_unauthenticated: bool,
    include_void: bool,
    capture: Path | None,
) -> tuple[PublishStep, ...]:
    entries = {}
    for key in {one.kernel.key for one in candidates}:
        entry = read_entry(metadata, key)
        if entry is not None:
            entries[key] = entry
    tool = hashlib.sha256(capture.read_bytes()).hexdigest() if capture else ""
    return plan_publish(
        candidates,
        entries,
        include_unverified=include_unverified,
        include_unauthenticated=include_unauthenticated,
        include_void=include_void,
        capture_sha256=tool,
    )


def _unauthenticated(candidate: Candidate) -> PublishStep:
    """No signed metadata vouches for the packages that this driver was built from."""
    mark = candidate.verdict.outcome if candidate.verdict else Outcome.NOT_VERIFIED
    why = "its kernel's packages are unauthenticated: no signed metadata vouches for them"
    return PublishStep(candidate, Action.REFUSED, why, mark)


def _decide(
    candidate: Candidate, existing: DriverEntry | None, include_unverified: bool, capture_sha256: str
) -> PublishStep:
    verdict = candidate.verdict
    mark = verdict.outcome if verdict else Outcome.NOT_VERIFIED
    same_file = existing is not None and existing.artifact == candidate.artifact.sha256
    if mark is Outcome.FAILED:
        reason = f"failed verification: {verdict.reason if verdict else ''}"
        withdraw = existing is not None and same_file and existing.outcome is not Outcome.FAILED
        return PublishStep(candidate, Action.WITHDRAWN if withdraw else Action.REFUSED, reason, mark)
    if mark is Outcome.NOT_VERIFIED:
        why = f"not verified: {verdict.reason}" if verdict else "has no verdict"
        if not include_unverified:
            return PublishStep(candidate, Action.REFUSED, why, mark)
        if existing is not None and existing.outcome is Outcome.PASSED:
            kept = f"{why}; the published one of this version passed and stays"
            return PublishStep(candidate, Action.REFUSED, kept, mark)
        if existing is not None and same_file:
            return PublishStep(candidate, Action.UNCHANGED, why, mark)
        return PublishStep(candidate, Action.PUBLISHED, why, mark)
    assert verdict is not None
    if existing is not None and same_file and existing.verdict == _digest(document(verdict.to_json())):
        fresh_tool = not capture_sha256 or existing.capture == capture_sha256
        if fresh_tool:
            return PublishStep(candidate, Action.UNCHANGED, "is published already", mark)
    return PublishStep(candidate, Action.PUBLISHED, f"passed with {verdict.events} events", mark)


def _same_version(entry: KernelEntry | None, candidate: Candidate) -> DriverEntry | None:
    artifact = candidate.artifact
    if entry is None:
        return None
    return find_driver(entry, artifact.kind, artifact.driver.version, bool(artifact.signer))


def _write(
    store: FolderStore, metadata: SignedMetadata, draft: Draft, step: PublishStep, tool: str, now: str, keys: Keys
) -> None:
    kernel = step.candidate.kernel
    driver = _put_driver(metadata, step, now, keys)
    former = draft.driver(kernel.key, driver)
    driver = replace(driver, capture=tool or (former.capture if former else ""))
    driver = replace(driver, aliases=_link_aliases(store, driver, former))
    draft.put(kernel, driver)
    if driver.kind is DriverKind.CORE and driver.outcome is Outcome.PASSED:
        draft.offer_core(driver, kernel.key)


def _put_driver(metadata: SignedMetadata, step: PublishStep, now: str, keys: Keys) -> DriverEntry:
    """Write a driver, its record, its signed provenance and its verdict. The entry misses the capture tool."""
    artifact, kernel, verdict = step.candidate.artifact, step.candidate.kernel, step.candidate.verdict
    record = document(artifact.to_json())
    metadata.put_target(layout.record_target(_digest(record)), record)
    provenance = attest(artifact, keys)
    metadata.put_target(layout.provenance_target(_digest(provenance)), provenance)
    verdict_digest = ""
    if verdict is not None:
        verdict_record = document(verdict.to_json())
        verdict_digest = _digest(verdict_record)
        metadata.put_target(layout.verdict_target(verdict_digest), verdict_record)
    target = layout.artifact_target(artifact.sha256, artifact.file_name)
    metadata.put_target_file(target, step.candidate.path, artifact.sha256)
    content = step.candidate.path.read_bytes()
    plain = strip_signature(content) if artifact.kind is DriverKind.KMOD else content
    if artifact.unsigned and _digest(plain) != artifact.unsigned:
        raise IntegrityError(
            f"{step.candidate.path}: without its signature it is not the file that was judged", hint="Build it again."
        )
    return DriverEntry(
        kind=artifact.kind,
        artifact=artifact.sha256,
        size_bytes=len(content),
        name=artifact.name,
        driver=artifact.driver,
        compiler=artifact.compiler,
        vermagic=artifact.vermagic,
        signed=len(plain) != len(content),
        outcome=step.mark,
        reason=step.reason,
        verdict=verdict_digest,
        record=_digest(record),
        capture="",
        aliases=layout.peer_aliases(
            distro=kernel.distro,
            arch=kernel.arch,
            release=kernel.release,
            build=kernel.build,
            kind=artifact.kind,
            name=artifact.name,
            driver=artifact.driver,
        )
        if step.mark is Outcome.PASSED and not artifact.signer
        else (),
        published_at=now,
        twin_of=artifact.twin_of,
        provenance=_digest(provenance),
    )


def _link_aliases(store: FolderStore, driver: DriverEntry, former: DriverEntry | None) -> tuple[str, ...]:
    """Give the driver its addresses in Falco's naming; one that belongs to another kernel stays with it: two Debian
    kernels can share falcoctl's shortened name, and the wrong file would be worse than none."""
    stored = layout.stored_path(driver.target, driver.artifact)
    mine = {driver.artifact, former.artifact if former else ""}
    linked = []
    for alias in driver.aliases:
        if store.exists(alias) and _digest(store.read(alias)) not in mine:
            continue
        store.link(alias, stored)
        linked.append(alias)
    for alias in former.aliases if former else ():
        if alias not in linked and store.exists(alias) and _digest(store.read(alias)) in mine:
            store.path(alias).unlink()
    return tuple(linked)


def _put_tool(metadata: SignedMetadata, capture: Path) -> str:
    digest = _digest(capture.read_bytes())
    metadata.put_target_file(layout.tool_target(digest), capture, digest)
    return digest


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
