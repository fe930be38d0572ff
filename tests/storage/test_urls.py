import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import make_url

from llm_backend.storage.urls import driver_arguments, file_of


def context_of(options: str) -> ssl.SSLContext:
    plain, arguments = driver_arguments(make_url(f"postgresql+asyncpg://h/d?{options}"))
    assert not plain.query
    context = arguments["ssl"]
    assert isinstance(context, ssl.SSLContext)
    return context


def test_require_encrypts_and_trusts_anyone_as_libpq_does() -> None:
    context = context_of("sslmode=require")

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_verify_ca_checks_the_authority_and_verify_full_the_name_too() -> None:
    authority, full = context_of("sslmode=verify-ca"), context_of("sslmode=verify-full&sslrootcert=system")

    assert (authority.verify_mode, authority.check_hostname) == (ssl.CERT_REQUIRED, False)
    assert (full.verify_mode, full.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_an_authority_that_is_given_is_the_only_one_and_checked_even_by_require(tmp_path: Path) -> None:
    identity = self_signed(tmp_path)

    context = context_of(f"sslmode=require&sslrootcert={identity}")

    assert context.verify_mode == ssl.CERT_REQUIRED
    assert [one["subject"] for one in context.get_ca_certs()] == [((("commonName", "test"),),)]


def test_a_certificate_of_our_own_is_loaded_with_its_key(tmp_path: Path) -> None:
    identity = self_signed(tmp_path)

    context_of(f"sslmode=verify-full&sslcert={identity}&sslkey={identity}")

    with pytest.raises(FileNotFoundError):
        context_of(f"sslmode=verify-full&sslcert={identity}.missing")


def self_signed(folder: Path) -> Path:
    """A file with a certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    draft = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    draft = draft.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    draft = draft.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = draft.sign(key, SHA256()).public_bytes(Encoding.PEM)
    file = folder / "identity.pem"
    file.write_bytes(certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


@pytest.mark.parametrize(("mode", "argument"), [("disable", False), ("allow", "allow"), ("prefer", "prefer")])
def test_modes_that_ask_for_no_certificate_go_to_the_driver(mode: str, argument: object) -> None:
    _, arguments = driver_arguments(make_url(f"postgresql+asyncpg://h/d?sslmode={mode}"))

    assert arguments == {"ssl": argument}


def test_without_sslmode_the_driver_decides() -> None:
    assert driver_arguments(make_url("postgresql+asyncpg://h/d"))[1] == {}


def test_a_file_is_known_where_there_is_one(tmp_path: Path) -> None:
    assert file_of(f"sqlite:///{tmp_path}/x.db") == tmp_path / "x.db"
    assert file_of("sqlite:///x.db") == Path.cwd() / "x.db"
    assert file_of("postgresql://h/d") is None
