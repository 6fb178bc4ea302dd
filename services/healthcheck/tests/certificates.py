"""Real certificates: an authority, and what it signs."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from vigie_healthcheck.probes.trust import Trust


class Authority:
    """Signs certificates for 127.0.0.1 or a name; `trust()` trusts it."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.certificate = _signed(self._name, self._name, self._key.public_key(), self._key, 365, ca=True)

    def trust(self) -> Trust:
        """Of a prober that trusts this authority alone."""

        def make() -> ssl.SSLContext:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=_pem(self.certificate).decode())
            return context

        return Trust(make)

    def server(
        self,
        directory: Path,
        *,
        days: float = 30,
        name: str = "",
        self_signed: bool = False,
        alpn: str = "",
        between: float = 0,
    ) -> ssl.SSLContext:
        """The TLS of a server whose certificate ends in so many days. `between`: the days of an authority between this
        one and the server, which the server shows too; 0: there is none."""
        path = directory / "server.pem"
        path.write_bytes(self.pem(days=days, name=name, self_signed=self_signed, between=between))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if alpn:
            context.set_alpn_protocols([alpn])
        return context

    def pem(self, *, days: float = 30, name: str = "", self_signed: bool = False, between: float = 0) -> bytes:
        """Certificate, that of an authority in between if there is one, and private key, in this order."""
        if between:
            other = Authority()
            other._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority in between")])
            shown = _signed(other._name, self._name, other._key.public_key(), self._key, between, ca=True)
            own = other.pem(days=days, name=name)
            return own.replace(b"-----BEGIN PRIVATE", _pem(shown) + b"-----BEGIN PRIVATE", 1)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        issuer, signer = (subject, key) if self_signed else (self._name, self._key)
        certificate = _signed(subject, issuer, key.public_key(), signer, days, name=name)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _pem(certificate) + private


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    days: float,
    *,
    name: str = "",
    ca: bool = False,
) -> x509.Certificate:
    now = datetime.now(UTC)
    alternative = x509.DNSName(name) if name else x509.IPAddress(ip_address("127.0.0.1"))
    return (
        x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
