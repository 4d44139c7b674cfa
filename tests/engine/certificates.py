"""Certificates that sign themselves, in files as an operator gives them."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from auralink.engine.service.tls import TlsFiles


@dataclass(frozen=True)
class Pair:
    """A certificate that signs itself, and its key."""

    certificate: bytes
    key: bytes


def make_pair(name: str = "localhost", *, days: float = 1.0) -> Pair:
    """
    Args:
        days: until it ends; negative: it has ended.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def write(folder: Path, pair: Pair, clients: bytes | None = None) -> TlsFiles:
    files = TlsFiles(
        certificate=folder / "tls.crt",
        key=folder / "tls.key",
        clients=folder / "clients.crt" if clients else None,
    )
    files.certificate.write_bytes(pair.certificate)
    files.key.write_bytes(pair.key)
    if files.clients is not None and clients is not None:
        files.clients.write_bytes(clients)
    return files
