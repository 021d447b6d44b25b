"""Signed provenance: an in-toto statement in a DSSE envelope, signed by the repository's targets key."""

from __future__ import annotations

import json
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from tuf.api.metadata import Root

from kdriver.core.artifact import Artifact
from kdriver.core.errors import IntegrityError
from kdriver.core.provenance import statement
from kdriver.repository.keys import Keys

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_ROLE = "targets"


def attest(artifact: Artifact, keys: Keys) -> bytes:
    """The signed statement about a driver file as a JSON document: the same bytes for the same record and key."""
    payload = json.dumps(statement(artifact), sort_keys=True, separators=(",", ":")).encode()
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(keys.signer(_ROLE))
    return (json.dumps(envelope.to_dict(), indent=1, sort_keys=True) + "\n").encode()


def read_attestation(content: bytes, root: Root) -> dict[str, Any]:
    """The statement in an envelope that a key of the root's targets role signed. Raises IntegrityError."""
    role = root.roles[_ROLE]
    try:
        envelope = Envelope.from_dict(json.loads(content))
        if envelope.payload_type != PAYLOAD_TYPE:
            raise ValueError(f"its payload is {envelope.payload_type!r}, no in-toto statement")
        envelope.verify([root.keys[keyid] for keyid in role.keyids], role.threshold)
        found: dict[str, Any] = json.loads(envelope.payload)
    except VerificationError as error:
        raise IntegrityError("provenance: no key of the repository's targets role signed it") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"provenance: is no signed statement: {error}") from error
    return found


def provenance_fault(content: bytes, root: Root, artifact: Artifact) -> str:
    """What is wrong with the provenance of an artifact; empty when it is signed and says what the record says."""
    try:
        found = read_attestation(content, root)
    except IntegrityError as error:
        return error.message
    expected = statement(artifact)
    if found.get("subject") != expected["subject"]:
        return "provenance: is of another file"
    # The kdriver that wrote it may have been another version than this one.
    for one in (found, expected):
        one["predicate"]["runDetails"]["builder"]["version"] = {}
    return "" if found == expected else "provenance: says something else than the artifact's record"
