"""Signed provenance in a repository: published with each driver, and what is wrong with it is found."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from kdriver.core.provenance import statement
from kdriver.repository import layout
from kdriver.repository.attestation import attest, provenance_fault
from kdriver.repository.check import check_repository
from kdriver.repository.draft import Draft, document, find_driver, read_entry
from kdriver.repository.keys import Keys
from kdriver.repository.metadata import SignedMetadata
from tests.fakes.published import POLICY, Published, candidate, kernel


def test_each_driver_is_published_with_its_signed_provenance(tmp_path: Path) -> None:
    published = Published(tmp_path)
    one = candidate(tmp_path)
    published.publish(one)
    metadata = SignedMetadata(published.store)
    entry = read_entry(metadata, kernel().key)
    assert entry is not None
    envelope = json.loads(metadata.read_target(layout.provenance_target(entry.drivers[0].provenance)) or b"")
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert json.loads(base64.b64decode(envelope["payload"])) == statement(one.artifact)
    assert check_repository(published.store).faults == ()


def test_provenance_that_another_key_signed_is_a_fault(tmp_path: Path) -> None:
    published = Published(tmp_path)
    one = candidate(tmp_path).artifact
    root = SignedMetadata(published.store).root
    assert provenance_fault(attest(one, published.keys), root, one) == ""
    stranger = Keys({"targets": CryptoSigner.generate_ed25519()}, POLICY)
    assert provenance_fault(attest(one, stranger), root, one) == (
        "provenance: no key of the repository's targets role signed it"
    )
    assert provenance_fault(b"{}", root, one).startswith("provenance: is no signed statement: ")
    other = replace(one, sha256="f" * 64)
    assert provenance_fault(attest(other, published.keys), root, one) == "provenance: is of another file"
    hidden = replace(one, compiler="gcc-13")
    assert provenance_fault(attest(hidden, published.keys), root, one) == (
        "provenance: says something else than the artifact's record"
    )


def test_check_finds_an_entry_with_the_provenance_of_something_else(tmp_path: Path) -> None:
    published = Published(tmp_path)
    one = candidate(tmp_path)
    published.publish(one)
    metadata = SignedMetadata(published.store, published.keys)
    entry = read_entry(metadata, kernel().key)
    assert entry is not None
    driver = find_driver(entry, "kmod", "0.1.0")
    assert driver is not None
    wrong = attest(replace(one.artifact, flags=("-O3",)), published.keys)
    digest = _digest(wrong)
    metadata.put_target(layout.provenance_target(digest), wrong)
    draft = Draft(metadata)
    draft.put(kernel(), replace(driver, provenance=digest))
    draft.write()
    metadata.commit()
    assert check_repository(published.store).faults == (
        f"{kernel().key} kmod: provenance: says something else than the artifact's record",
    )
    assert document({"a": 1}).endswith(b"\n")


def _digest(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
