import ssl

import pytest

from llm_backend.errors import UpstreamUnreachable
from llm_backend.upstream.client import HttpTransport
from tests.upstream.asking import CALL, failure
from tests.upstream.certificates import Certificates
from tests.upstream.raw import answer, raw_upstream


@pytest.mark.parametrize("fault", ["self-signed", "expired", "wrong host"])
async def test_a_bad_certificate_is_never_accepted(fault: str) -> None:
    certificates = Certificates()
    async with raw_upstream(answer(b"{}"), tls=certificates.server(fault)) as upstream:
        transport = HttpTransport(upstream.url, "k", tls=certificates.client())
        error = await failure(transport)
        await transport.close()

    assert isinstance(error, UpstreamUnreachable)
    assert (error.retriable, error.outcome_unknown) == (False, False)
    assert upstream.heads == []


async def test_a_good_certificate_of_a_trusted_authority_is_accepted() -> None:
    certificates = Certificates()
    async with raw_upstream(answer(b"{}"), tls=certificates.server("none")) as upstream:
        transport = HttpTransport(upstream.url, "k", tls=certificates.client())
        body = await (await transport.send(CALL)).read()
        await transport.close()

    assert body == b"{}"


def test_verification_cannot_be_turned_off() -> None:
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE

    with pytest.raises(ValueError, match="always verified"):
        HttpTransport("https://127.0.0.1/v1", "k", tls=blind)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/v1",
        "127.0.0.1:8000",
        "https://",
        "https://me:secret@host/v1",
        "https://host/v1?key=secret",
        "https://host/v1#x",
        "http://example.com/v1",
        "http://10.0.0.1/v1",
    ],
)
def test_an_unfit_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|machine") as caught:
        HttpTransport(url, None)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost:1/v1", "http://[::1]:1/v1", "http://127.0.0.2:1/v1"])
def test_plain_http_is_for_this_machine(url: str) -> None:
    assert HttpTransport(url, None)._base == url


@pytest.mark.parametrize("url", ["https://host/v1", "https://host/v1/", " https://host/v1// "])
def test_the_last_slash_of_an_address_does_not_matter(url: str) -> None:
    assert HttpTransport(url, None)._base == "https://host/v1"


def test_plain_http_elsewhere_needs_a_word() -> None:
    transport = HttpTransport("http://vllm.internal:8000/v1", None, allow_http=True)

    assert transport._base == "http://vllm.internal:8000/v1"


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="printable") as caught:
        HttpTransport("https://host/v1", "sec\nret")

    assert "ret" not in str(caught.value).replace("printable", "")


def test_the_line_end_of_a_key_file_is_no_part_of_the_key() -> None:
    assert HttpTransport("https://host/v1", "key\n")._ours["authorization"] == "Bearer key"
