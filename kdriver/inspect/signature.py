"""The signature at the end of a kernel module: who signed it, how, and whether a certificate's key made it.

Sources: struct module_signature and scripts/sign-file.c of Linux (a detached PKCS#7 message, a trailer of 12 bytes, a
magic text); RFC 5652 for the message. Only what names the signer is read of it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kdriver.core.errors import IntegrityError
from kdriver.inspect.elf import SIGNATURE_MAGIC, SIGNATURE_TRAILER_BYTES

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_PKCS7 = 2
_HASHES = {
    "2b0e03021a": "sha1",
    "608648016503040204": "sha224",
    "608648016503040201": "sha256",
    "608648016503040202": "sha384",
    "608648016503040203": "sha512",
}
"""Object identifiers of digests, in hexadecimal DER."""
_COMMON_NAME = bytes.fromhex("550403")


@dataclass(frozen=True, slots=True)
class ModuleSignature:
    """One appended signature. signed: the bytes that it is over. message: the PKCS#7 message, DER. signer: the common
    name of the certificate's issuer, and serial its number, empty where the message names the key by its identifier,
    which is then key_id. hash: `sha256`. value: the signature itself."""

    signed: bytes
    message: bytes
    signer: str
    serial: str
    key_id: str
    hash: str
    value: bytes


def read_signature(module: bytes) -> ModuleSignature | None:
    """The last signature of a module, None when it has none. Raises IntegrityError when it cannot be read."""
    if not module.endswith(SIGNATURE_MAGIC):
        return None
    end = len(module) - len(SIGNATURE_MAGIC)
    trailer = module[end - SIGNATURE_TRAILER_BYTES : end]
    try:
        _, _, id_type, _, _, size = struct.unpack(">BBBBB3xI", trailer)
        start = end - SIGNATURE_TRAILER_BYTES - size
        if id_type != _PKCS7 or start <= 0:
            raise ValueError("it is no PKCS#7 message" if id_type != _PKCS7 else "it is longer than the module")
        message = module[start : end - SIGNATURE_TRAILER_BYTES]
        return _parse(module[:start], message)
    except (ValueError, IndexError, struct.error) as error:
        raise IntegrityError(f"the module's signature cannot be read: {error}") from error


def made_by(signature: ModuleSignature, certificate: Certificate) -> bool:
    """Whether the key of a certificate made the signature."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    chosen = getattr(hashes, signature.hash.upper(), None)
    key = certificate.public_key()
    if chosen is None:
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature.value, signature.signed, padding.PKCS1v15(), chosen())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature.value, signature.signed, ec.ECDSA(chosen()))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _parse(signed: bytes, message: bytes) -> ModuleSignature:
    """ContentInfo, SignedData and the first SignerInfo of a PKCS#7 message."""
    content = _children(_children(message)[0][1])  # contentType, [0] content
    data = _children(_children(content[1][1])[0][1])  # version, digestAlgorithms, contentInfo, ..., signerInfos
    info = _children(
        _children(data[-1][1])[0][1]
    )  # version, sid, digestAlgorithm, [0] attributes, algorithm, signature
    tag, who = info[1]
    signer = serial = key_id = ""
    if tag == 0x30:
        issuer, number = _children(who)[:2]
        signer, serial = _common_name(issuer[1]), number[1].hex().upper()
    else:
        key_id = who.hex().upper()
    oid = _children(info[2][1])[0][1].hex()
    if any(tag == 0xA0 for tag, _ in info[3:]):
        raise ValueError("its signed attributes are none that the kernel's sign-file writes")
    value = next(part for tag, part in info[3:] if tag == 0x04)
    return ModuleSignature(signed, message, signer, serial, key_id, _HASHES.get(oid, f"oid {oid}"), value)


def _common_name(name: bytes) -> str:
    for _, relative in _children(name):
        for _, pair in _children(relative):
            parts = _children(pair)
            if parts[0][1] == _COMMON_NAME:
                return parts[1][1].decode("utf-8", "replace")
    return ""


def _children(content: bytes) -> list[tuple[int, bytes]]:
    """The elements of DER content, each as its tag and its own content. Raises ValueError, IndexError."""
    found = []
    at = 0
    while at < len(content):
        tag, size = content[at], content[at + 1]
        at += 2
        if size & 0x80:
            digits = size & 0x7F
            if not 0 < digits <= 4:
                raise ValueError("a length in it is none of DER")
            size = int.from_bytes(content[at : at + digits], "big")
            at += digits
        if at + size > len(content):
            raise ValueError("it is cut off")
        found.append((tag, content[at : at + size]))
        at += size
    return found
