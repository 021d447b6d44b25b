"""An authority, a server and a client with a certificate of it, as Red Hat's content delivery network has them."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.file_server import FileServer


@dataclass(frozen=True)
class Certificates:
    """Files of an authority, and of a client that it vouches for."""

    authority: Path
    client: Path
    client_key: Path
    server: Path
    server_key: Path


def make_certificates(folder: Path) -> Certificates:
    """All of them, good for an hour."""
    authority_key, authority = _signed("authority", None, None)
    paths = {}
    for name in ("client", "server"):
        key, certificate = _signed(name, authority_key, authority)
        paths[name] = folder / f"{name}.pem"
        paths[name].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[f"{name}_key"] = folder / f"{name}-key.pem"
        paths[f"{name}_key"].write_bytes(_pem(key))
    (folder / "ca.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    return Certificates(folder / "ca.pem", paths["client"], paths["client_key"], paths["server"], paths["server_key"])


def serve_to_clients_with_a_certificate(server: FileServer, certificates: Certificates) -> str:
    """Make a server that was not started yet speak TLS, to those that the authority vouches for; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    context.load_verify_locations(certificates.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
    return server.url.replace("http://", "https://")


def _signed(
    name: str, issuer_key: ec.EllipticCurvePrivateKey | None, issuer: x509.Certificate | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(issuer_key or key, hashes.SHA256())
    )
    return key, made


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
