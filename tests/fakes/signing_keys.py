"""Keys and certificates for signing modules, made anew by each test; a token of SoftHSM that holds one."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "4321"


@dataclass(frozen=True)
class KeyPair:
    """A private key in PEM and its certificate."""

    key: Path
    certificate: Path
    serial: int


def make_key(
    folder: Path,
    name: str = "signer",
    *,
    passphrase: str = "",
    curve: bool = False,
    starts: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=30),
    der: bool = False,
) -> KeyPair:
    """A key with a certificate of its own. starts, ends: of its validity, from now on."""
    key = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"kdriver test {name}")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts)
        .not_valid_after(now + ends)
        .sign(key, hashes.SHA256())
    )
    lock: KeySerializationEncryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    files = folder / f"{name}.pem", folder / f"{name}.{'der' if der else 'crt'}"
    files[0].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
    files[1].write_bytes(certificate.public_bytes(Encoding.DER if der else Encoding.PEM))
    return KeyPair(*files, certificate.serial_number)


def token_of(folder: Path, pair: KeyPair) -> dict[str, str]:
    """Put a key into a new token, where it is `pkcs11:token=kdriver;object=key`; the environment that leads to it."""
    tokens = folder / "tokens"
    tokens.mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    environment = {"SOFTHSM2_CONF": str(settings), "PATH": "/usr/bin:/bin"}
    label = ["--token", "kdriver", "--label", "key", "--id", "01", "--pin", PIN]
    for words in (
        ["--init-token", "--free", "--label", "kdriver", "--pin", PIN, "--so-pin", PIN],
        ["--import", str(pair.key), *label],
    ):
        subprocess.run(["softhsm2-util", *words], env=environment, check=True, capture_output=True)
    return {"SOFTHSM2_CONF": str(settings), "PKCS11_MODULE_PATH": str(SOFTHSM)}
