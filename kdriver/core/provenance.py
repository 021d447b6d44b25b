"""Provenance: what a driver file was built from and by whom, as an in-toto statement that others' tools can read.

Formats: in-toto Statement v1 (https://in-toto.io/Statement/v1), predicate SLSA Provenance v1
(https://slsa.dev/provenance/v1). Everything in it comes from the artifact's record, so that the two cannot disagree.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from kdriver.core.artifact import CORE_KERNEL, Artifact, Input
from kdriver.version import VERSION

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:kdriver:build:v1"
"""What the parameters mean; docs/building.md describes it."""
BUILDER_VARIABLE = "KDRIVER_BUILDER_ID"
LOCAL_BUILDER = "urn:kdriver:builder:unnamed"
"""A builder that nobody gave a name: somebody's machine."""


def builder_id() -> str:
    """Who builds here: a URI from KDRIVER_BUILDER_ID, which a CI sets to what names its workflow."""
    return os.environ.get(BUILDER_VARIABLE) or LOCAL_BUILDER


def statement(artifact: Artifact) -> dict[str, Any]:
    """The statement about one driver file. resolvedDependencies: what it was built from, each with its digest."""
    finished = _moment(artifact.built_at)
    started = finished - timedelta(seconds=artifact.seconds) if finished else None
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": artifact.file_name, "digest": {"sha256": artifact.sha256}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "kernel": artifact.kernel,
                    "kind": str(artifact.kind),
                    "name": artifact.name,
                    "driver": artifact.driver.to_json(),
                },
                "internalParameters": {
                    "compiler": artifact.compiler,
                    "flags": list(artifact.flags),
                    "contentKey": artifact.content_key,
                    **({"vermagic": artifact.vermagic} if artifact.vermagic else {}),
                    **({"codeOf": artifact.code_of} if artifact.code_of else {}),
                    **({"twinOf": artifact.twin_of} if artifact.twin_of else {}),
                    **({"certificate": artifact.signer, "unsigned": artifact.unsigned} if artifact.signer else {}),
                },
                "resolvedDependencies": [_dependency(one, artifact) for one in artifact.inputs],
            },
            "runDetails": {
                "builder": {"id": artifact.builder or LOCAL_BUILDER, "version": {"kdriver": VERSION}},
                "metadata": {
                    "invocationId": artifact.content_key,
                    **({"startedOn": _text(started)} if started else {}),
                    **({"finishedOn": _text(finished)} if finished else {}),
                },
            },
        },
    }


def _dependency(one: Input, artifact: Artifact) -> dict[str, Any]:
    """A ResourceDescriptor. A package's name tells its kind; a digest of 128 digits is a SHA-512."""
    algorithm = "sha512" if len(one.sha256) == 128 else "sha256"
    found: dict[str, Any] = {"name": one.name, "digest": {algorithm: one.sha256}}
    family = "" if artifact.kernel == CORE_KERNEL else artifact.kernel.split("/", 1)[0]
    stem, _, suffix = one.name.rpartition(".")
    if family and suffix == "deb" and stem.count("_") == 2:
        name, version, arch = stem.split("_")
        found["uri"] = f"pkg:deb/{family}/{name}@{version.replace('+', '%2B').replace('~', '%7E')}?arch={arch}"
    return found


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
