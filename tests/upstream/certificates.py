"""A certificate authority that lives as long as a test."""

import ipaddress
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_ISSUER = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A test's authority")])


class Certificates:
    """Signs for 127.0.0.1, or wrongly on request."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._authority = self._signed(_ISSUER, self._key, self._key, "127.0.0.1", is_authority=True)

    def client(self) -> ssl.SSLContext:
        """Trusts this authority and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=_pem(self._authority).decode())
        return context

    def server(self, fault: str) -> ssl.SSLContext:
        """Build a server's side whose certificate is `self-signed`, `expired`, for the `wrong host`, or has `none`."""
        key = ec.generate_private_key(ec.SECP256R1())
        host = "127.0.0.9" if fault == "wrong host" else "127.0.0.1"
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        signer = key if fault == "self-signed" else self._key
        certificate = self._signed(subject, key, signer, host, is_expired=fault == "expired")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            chain = Path(folder, "chain.pem")
            chain.write_bytes(_pem(certificate) + _private(key))
            context.load_cert_chain(chain)
        return context

    @staticmethod
    def _signed(
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        signer: ec.EllipticCurvePrivateKey,
        host: str,
        *,
        is_authority: bool = False,
        is_expired: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        until = now - timedelta(days=1) if is_expired else now + timedelta(days=1)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(_ISSUER)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
            .sign(signer, hashes.SHA256())
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    form, style = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(form, style, serialization.NoEncryption())
