"""Signing modules for Secure Boot: the signed file is a second file of the same build, with its own record.

The kernel's own scripts/sign-file of the headers does it where it runs here; it takes a key in a file or a PKCS#11 URI.
Where it does not (another C library, another OpenSSL, no OpenSSL provider for tokens), `openssl cms` with its PKCS#11
engine stands in for a token, and the cryptography package for a key in a file: the messages have the same form. The key
is never copied, and its passphrase goes by the environment only, never to a command line or a log.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import subprocess
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from builder.failure import Failure, StepError
from builder.store import Stored, content_key, find_stored, put
from kdriver.core.errors import ConfigError
from kdriver.inspect.elf import SIGNATURE_MAGIC
from kdriver.inspect.signature import made_by, read_signature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7PrivateKeyTypes
    from cryptography.x509 import Certificate

PIN_VARIABLE = "KDRIVER_SIGN_PIN"
HASH = "sha256"
_LAYOUT = "1"
_CARRIED = (
    "PATH", "HOME", "LD_LIBRARY_PATH", "OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES",
    "PKCS11_MODULE_PATH", "PKCS11_PROVIDER_MODULE", "SOFTHSM2_CONF",
)  # fmt: skip
"""What an OpenSSL, and its engine or provider for tokens, are found and set up by."""
_TIMEOUT_S = 120.0
_HOST_TOOLS = ("/usr/lib/linux-kbuild-*/scripts/sign-file", "/usr/src/kernels/*/scripts/sign-file")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with its certificate. key: a file, or a PKCS#11 URI. certificate: the file. fingerprint: SHA-256 of the
    certificate, in hexadecimal."""

    key: str
    certificate: Path
    fingerprint: str

    @property
    def is_token(self) -> bool:
        """Whether the key stays in a PKCS#11 token."""
        return self.key.startswith("pkcs11:")


def load_signing_key(key: str, certificate: Path, *, now: datetime | None = None) -> SigningKey:
    """Check a key and a certificate before anything is built. Raises ConfigError: a file that cannot be read, a
    certificate that is not valid now, or one of another key (of a token that is found out by the first signature)."""
    if "-----BEGIN " in key or re.search(r"pin-value=", key):
        raise ConfigError(
            "--sign-key: holds a secret, which every user of this machine can read in the list of processes",
            hint=f"Name a file or a PKCS#11 URI without pin-value, and put the PIN into {PIN_VARIABLE}.",
        )
    found = _certificate(certificate)
    moment = now or datetime.now(UTC)
    if moment > found.not_valid_after_utc:
        raise ConfigError(
            f"{certificate}: the certificate expired on {found.not_valid_after_utc:%Y-%m-%d}",
            hint="Name one that is valid with --sign-cert.",
        )
    if moment < found.not_valid_before_utc:
        raise ConfigError(
            f"{certificate}: the certificate is valid only from {found.not_valid_before_utc:%Y-%m-%d} on",
            hint="Check this machine's clock.",
        )
    signing = SigningKey(key, certificate, _fingerprint(found))
    if not signing.is_token and _private(key).public_key() != found.public_key():
        raise _mismatch(signing)
    return signing


def sign_stored(stored: Stored, signing: SigningKey, store: Path, tools: tuple[Path, ...]) -> Stored:
    """The signed file of a built module; made now when the store does not have it. tools: places of sign-file to try.

    Raises StepError (toolchain) when nothing here can sign with that key, ConfigError when the key does not fit.
    """
    record = stored.record
    key = content_key(
        {"layout": _LAYOUT, "module": record.content_key, "certificate": signing.fingerprint, "hash": HASH}
    )
    found = find_stored(store, key)
    if found is not None and found.record.unsigned == record.sha256:
        return found
    content = stored.path.read_bytes()
    signed = _sign(content, signing, tools)
    signature = read_signature(signed)
    if signature is None or signature.signed != content or not made_by(signature, _certificate(signing.certificate)):
        raise _mismatch(signing)
    with tempfile.TemporaryDirectory(prefix=".sign-", dir=store) as scratch:
        file = Path(scratch) / record.file_name
        file.write_bytes(signed)
        fresh = replace(
            record,
            sha256=hashlib.sha256(signed).hexdigest(),
            size_bytes=len(signed),
            content_key=key,
            signer=signing.fingerprint,
            unsigned=record.sha256,
        )
        return put(store, file, fresh)


def sign_argv(tool: Path, signing: SigningKey, module: Path, out: Path) -> list[str]:
    """The kernel's sign-file."""
    return [str(tool), HASH, signing.key, str(signing.certificate), str(module), str(out)]


def openssl_argv(signing: SigningKey, module: Path, out: Path) -> list[str]:
    """What sign-file does, by the openssl program with its engine for tokens."""
    return [
        "openssl", "cms", "-sign", "-engine", "pkcs11", "-keyform", "engine", "-inkey", signing.key,
        "-passin", "env:KBUILD_SIGN_PIN", "-signer", str(signing.certificate), "-md", HASH, "-binary", "-noattr",
        "-nocerts", "-nosmimecap", "-outform", "DER", "-in", str(module), "-out", str(out),
    ]  # fmt: skip


def sign_environment() -> dict[str, str]:
    """What sign-file gets: the passphrase or PIN in its own variable, and what its engine is found by."""
    carried = {name: os.environ[name] for name in _CARRIED if name in os.environ}
    pin = os.environ.get(PIN_VARIABLE)
    return {"PATH": os.defpath, **carried, **({"KBUILD_SIGN_PIN": pin} if pin is not None else {})}


def host_tools() -> tuple[Path, ...]:
    """The sign-file programs that are installed here, the newest last by name."""
    return tuple(path for pattern in _HOST_TOOLS for path in sorted(Path("/").glob(pattern[1:])))


def _sign(content: bytes, signing: SigningKey, tools: tuple[Path, ...]) -> bytes:
    said = []
    with tempfile.TemporaryDirectory(prefix="kdriver-sign-") as scratch:
        module, out = Path(scratch) / "module.ko", Path(scratch) / "signed"
        module.write_bytes(content)
        for tool in tools:
            if tool.is_file() and tool.read_bytes()[:4] == b"\x7fELF":  # before 4.3 a Perl script of another form
                said.append(_run(sign_argv(tool, signing, module, out)))
                if not said[-1]:
                    return out.read_bytes()
        if not signing.is_token:
            return _appended(content, _message(content, signing))
        said.append(_run(openssl_argv(signing, module, out)))
        if not said[-1]:
            return _appended(content, out.read_bytes())
    if "key values mismatch" in said[-1]:
        raise _mismatch(signing)
    raise StepError(
        Failure.TOOLCHAIN,
        f"neither sign-file nor openssl could sign with {signing.key}: {said[-1]}",
        hint=f"Install libengine-pkcs11-openssl, name the token's module in PKCS11_MODULE_PATH, and put its PIN into "
        f"{PIN_VARIABLE}.",
    )


def _mismatch(signing: SigningKey) -> ConfigError:
    return ConfigError(
        f"{signing.certificate}: is not the certificate of {signing.key}", hint="Name the two that belong together."
    )


def _run(argv: list[str]) -> str:
    """Empty when it did what it should, else the line that says most."""
    try:
        done = subprocess.run(
            argv,
            env=sign_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{Path(argv[0]).name}: {error}"
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    lines = [re.sub(r"^[0-9A-F]{16,}:error:[0-9A-F]+:", "error: ", line) for line in lines]
    telling = [line for line in lines if "error:" in line or "failed" in line.lower()]
    return (telling or lines or [f"{Path(argv[0]).name} ended with status {done.returncode}"])[0]


def _appended(content: bytes, message: bytes) -> bytes:
    """struct module_signature after the message, and the magic text."""
    return content + message + struct.pack(">BBBBB3xI", 0, 0, 2, 0, 0, len(message)) + SIGNATURE_MAGIC


def _message(content: bytes, signing: SigningKey) -> bytes:
    """The message that sign-file makes, by the cryptography package."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

    options = [
        PKCS7Options.DetachedSignature,
        PKCS7Options.Binary,
        PKCS7Options.NoCerts,
        PKCS7Options.NoAttributes,
    ]
    builder = PKCS7SignatureBuilder().set_data(content)
    builder = builder.add_signer(_certificate(signing.certificate), _private(signing.key), hashes.SHA256())
    return builder.sign(Encoding.DER, options)


def _certificate(path: Path) -> Certificate:
    from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate

    try:
        content = path.read_bytes()
        return load_pem_x509_certificate(content) if b"-----BEGIN" in content else load_der_x509_certificate(content)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="Name the certificate with --sign-cert.") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is no X.509 certificate in PEM or DER", hint="Name another --sign-cert.") from error


def _fingerprint(certificate: Certificate) -> str:
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex()


def _private(path: str) -> PKCS7PrivateKeyTypes:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pin = os.environ.get(PIN_VARIABLE)
    hint = "Name a private key in PEM, or a PKCS#11 URI, with --sign-key."
    try:
        content = Path(path).read_bytes()
        try:
            key = load_pem_private_key(content, pin.encode() if pin is not None else None)
        except TypeError:  # a passphrase was given for a key that has none
            key = load_pem_private_key(content, None) if pin is not None else _locked(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint=hint) from error
    except ValueError as error:
        wrong = "its passphrase is wrong" if pin is not None and b"ENCRYPTED" in content else "is no private key in PEM"
        raise ConfigError(f"{path}: {wrong}", hint=hint) from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path}: is neither an RSA nor an EC key, and the kernel takes no other", hint=hint)
    return key


def _locked(path: str) -> PKCS7PrivateKeyTypes:
    raise ConfigError(f"{path}: the key has a passphrase", hint=f"Put it into the environment as {PIN_VARIABLE}.")
