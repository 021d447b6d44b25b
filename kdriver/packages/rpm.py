"""RPM packages: their header, their digests and signatures, and what they install."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kdriver.core.errors import IntegrityError
from kdriver.packages.archive import Member, MemberFilter, space, unpack_members
from kdriver.packages.compression import damage, decompressed
from kdriver.packages.cpio import cpio_members
from kdriver.packages.openpgp import SigningKeys, verify_detached
from kdriver.packages.rpmheader import RpmFront, RpmHeader, Tag, read_front, texts

_SUFFIXES = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "lzma": ".lzma", "zstd": ".zst", "none": ""}
_CHUNK_BYTES = 1 << 18
_HINT = "Delete the file and download it again."
_SIGNED_HINT = "Do not use this file; download it again from another mirror."


def read_header(rpm: Path) -> RpmHeader:
    """What a package says about itself. Raises IntegrityError for a damaged one; nothing is verified."""
    with rpm.open("rb") as source:
        return read_front(source, rpm.name).header


def unpack_rpm(
    rpm: Path, into: Path, *, members: MemberFilter | None = None, count: int | None = None
) -> tuple[str, ...]:
    """Unpack what a package installs into a folder, and return the names written (relative, sorted as packed).

    members, count: as unpack_deb; no scriptlet is ever run. Several packages may be unpacked into one folder.
    Raises IntegrityError for a damaged package or one that would leave `into`, KdriverError for no space.
    """
    with space(rpm.name, into), _payload(rpm) as packed, damage(rpm.name):
        return unpack_members(packed, into, archive=rpm.name, members=members, count=count)


def list_rpm(rpm: Path) -> tuple[str, ...]:
    """The names of all files and links that a package installs. Raises IntegrityError for a damaged one."""
    with _payload(rpm) as packed, damage(rpm.name):
        return tuple(member.name.removeprefix("./").lstrip("/") for member, _ in packed if not member.isdir())


def verify_rpm(rpm: Path, keys: SigningKeys) -> str:
    """Check a package's digests and its signature, of header and payload; the fingerprint of the key that signed.

    Raises IntegrityError: unsigned, by another key, changed; ConfigError where gpgv or the keyring is missing.
    """
    with rpm.open("rb") as source:
        front = read_front(source, rpm.name)
        signer = verify_front(front, keys, subject=rpm.name) if _header_signatures(front) else ""
        whole = _whole_signatures(front)
        if signer and front.header.payload_sha256:
            _check_payload(source, front, rpm.name)
            return signer
        # Before rpm 4.14 the header has no digest of the payload: the signature of both covers it.
        if not whole:
            said = "its payload is covered by no signature" if signer else "it is not signed"
            raise IntegrityError(f"{rpm.name}: {said}", hint=_SIGNED_HINT)
        return verify_detached(_all_of(source, front), whole[0], keys, subject=rpm.name)


def verify_front(front: RpmFront, keys: SigningKeys, *, subject: str) -> str:
    """Check the header's digest and signature; the fingerprint of the key that signed. The payload is not looked at,
    so this proves what the package is and, by its header, which payload belongs to it. Raises as verify_rpm."""
    for tag, algorithm in ((Tag.SIG_SHA256, "sha256"), (Tag.SIG_SHA1, "sha1")):
        for promised in texts(front.signatures, tag)[:1]:
            if hashlib.new(algorithm, front.signed).hexdigest() != promised.lower():
                raise IntegrityError(f"{subject}: its header differs from the {algorithm} given for it", hint=_HINT)
    signatures = _header_signatures(front)
    if not signatures:
        raise IntegrityError(f"{subject}: its header is not signed", hint=_SIGNED_HINT)
    failures = []
    for signature in signatures:
        try:
            return verify_detached([front.signed], signature, keys, subject=subject)
        except IntegrityError as error:
            failures.append(error)
    # With several signatures (rpm 6: one of each algorithm) one that gpgv understands is enough; else say the first.
    raise failures[0]


def _header_signatures(front: RpmFront) -> list[bytes]:
    """The OpenPGP signatures of the header alone; rpm 6 has them as base64 texts."""
    found = [value for tag in (Tag.SIG_RSA, Tag.SIG_DSA) if isinstance(value := front.signatures.get(tag), bytes)]
    for text in texts(front.signatures, Tag.SIG_OPENPGP):
        with contextlib.suppress(binascii.Error, ValueError):
            found.append(base64.b64decode(text))
    return list(dict.fromkeys(found))


def _whole_signatures(front: RpmFront) -> list[bytes]:
    """The OpenPGP signatures of header and payload together, of rpm up to 4.13."""
    return [value for tag in (Tag.SIG_PGP, Tag.SIG_GPG) if isinstance(value := front.signatures.get(tag), bytes)]


def _all_of(source: IO[bytes], front: RpmFront) -> Iterator[bytes]:
    yield front.signed
    source.seek(front.payload_offset)
    while chunk := source.read(_CHUNK_BYTES):
        yield chunk


def _check_payload(source: IO[bytes], front: RpmFront, archive: str) -> None:
    digest = hashlib.sha256()
    source.seek(front.payload_offset)
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
    if digest.hexdigest() != front.header.payload_sha256:
        raise IntegrityError(f"{archive}: its payload differs from the digest that was signed", hint=_SIGNED_HINT)


@contextlib.contextmanager
def _payload(rpm: Path) -> Iterator[Iterator[Member]]:
    """The members of a package's payload."""
    with rpm.open("rb") as source:
        header = read_front(source, rpm.name).header
        suffix = _SUFFIXES.get(header.payload_compressor)
        if header.payload_format != "cpio" or suffix is None:
            form = f"{header.payload_format} in {header.payload_compressor}"
            raise IntegrityError(f"{rpm.name}: its payload is {form}, which kdriver cannot read", hint="Report this.")
        with decompressed(source, suffix, rpm.name) as stream:
            yield cpio_members(stream, rpm.name)
