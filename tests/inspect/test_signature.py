"""A module's signature is read as modinfo reads it, and told apart from one that another key made."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from builder.signing import load_signing_key, sign_stored
from builder.store import Stored, put
from kdriver.core.artifact import Artifact, DriverKind, DriverVersion
from kdriver.core.errors import IntegrityError
from kdriver.inspect.signature import made_by, read_signature
from tests.fakes.module_file import module_file
from tests.fakes.signing_keys import KeyPair, make_key

RECORD = Artifact(
    kernel="debian/x86_64/1.2.3/1",
    release="1.2.3",
    kind=DriverKind.KMOD,
    name="kdriver",
    sha256="",
    size_bytes=0,
    driver=DriverVersion("0.1.0", "1", "1", "1", "1"),
    compiler="gcc",
    flags=(),
    inputs=(),
    content_key="key",
    seconds=1,
    built_at="2026-11-28T10:00:00Z",
)


def signed(tmp_path: Path, pair: KeyPair) -> Path:
    content = module_file()
    file = tmp_path / "plain.ko"
    file.write_bytes(content)
    stored = put(tmp_path / "store", file, replace(RECORD, sha256=hashlib.sha256(content).hexdigest()))
    assert isinstance(stored, Stored)
    return sign_stored(stored, load_signing_key(str(pair.key), pair.certificate), tmp_path / "store", ()).path


@pytest.mark.parametrize("curve", [False, True], ids=["RSA", "EC"])
def test_signer_and_digest_are_as_modinfo_says(curve: bool, tmp_path: Path) -> None:
    pair = make_key(tmp_path, curve=curve)
    path = signed(tmp_path, pair)
    found = read_signature(path.read_bytes())
    assert found is not None
    said = subprocess.run(["/sbin/modinfo", str(path)], capture_output=True, text=True, check=True).stdout
    words = dict(line.split(":", 1) for line in said.splitlines() if line.startswith(("signer:", "sig_hashalgo:")))
    assert words["signer"].strip() == found.signer == "kdriver test signer"
    assert words["sig_hashalgo"].strip() == found.hash == "sha256"
    assert int(found.serial, 16) == pair.serial
    assert found.signed == module_file()
    assert made_by(found, x509.load_pem_x509_certificate(pair.certificate.read_bytes()))


def test_signature_of_another_key_or_over_other_bytes_is_told(tmp_path: Path) -> None:
    pair, other = make_key(tmp_path), make_key(tmp_path, "other")
    found = read_signature(signed(tmp_path, pair).read_bytes())
    assert found is not None
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    assert not made_by(found, x509.load_pem_x509_certificate(other.certificate.read_bytes()))
    assert not made_by(replace(found, signed=found.signed + b"x"), certificate)


def test_module_without_a_signature_has_none() -> None:
    assert read_signature(module_file()) is None


@pytest.mark.parametrize("cut", [20, 40, 200], ids=str)
def test_damaged_signature_is_told(cut: int, tmp_path: Path) -> None:
    content = signed(tmp_path, make_key(tmp_path)).read_bytes()
    plain = len(module_file())
    with pytest.raises(IntegrityError, match="signature cannot be read"):
        read_signature(content[:plain] + bytes(cut) + content[plain + cut :])
