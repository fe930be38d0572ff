"""The upstream that others are tested with keeps its word."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.faulty import (
    Cut,
    FaultyUpstream,
    Hang,
    Pause,
    Repeated,
    Reset,
    Torn,
    chunk,
    closed_port,
    completion,
    event,
    head,
    usage,
)
from tests.upstream.certificates import Certificates


@pytest.fixture
async def upstream() -> AsyncIterator[FaultyUpstream]:
    async with FaultyUpstream() as running:
        yield running


@pytest.fixture
async def client(upstream: FaultyUpstream) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=f"{upstream.base_url}/") as session:
        yield session


async def test_a_whole_answer_comes_as_told_and_the_request_is_logged(
    upstream: FaultyUpstream, client: aiohttp.ClientSession
) -> None:
    upstream.answers(completion("Hello"), headers={"x-told": "yes"})

    async with client.post("chat/completions", json={"model": "m"}) as answer:
        body = await answer.json()

    assert body["choices"][0]["message"]["content"] == "Hello"
    assert answer.headers["x-told"] == "yes"
    assert upstream.requests[0].method == "POST"
    assert upstream.requests[0].path == "/v1/chat/completions"
    assert upstream.requests[0].json == {"model": "m"}


async def test_scripts_are_played_in_order_and_the_last_one_stays(
    upstream: FaultyUpstream, client: aiohttp.ClientSession
) -> None:
    upstream.answers({}, status=503)
    upstream.answers({}, status=200)

    statuses = [(await client.get("models")).status for _ in range(3)]

    assert statuses == [503, 200, 200]
    assert upstream.connections == 1


async def test_a_stream_without_an_end_is_finished_in_good_order(
    upstream: FaultyUpstream, client: aiohttp.ClientSession
) -> None:
    upstream.streams("Hel", chunk("lo", finish="length"), usage(3, 2))

    async with client.get("x") as answer:
        body = await answer.read()

    expected = [chunk("Hel"), chunk("lo", finish="length"), usage(3, 2)]
    assert body == b"".join(map(event, expected)) + b"data: [DONE]\n\n"


async def test_a_cut_stream_ends_cleanly_and_a_torn_one_does_not(
    upstream: FaultyUpstream, client: aiohttp.ClientSession
) -> None:
    upstream.streams("Hel", Cut)
    upstream.streams("Hel", Torn)

    async with client.get("x") as answer:
        assert await answer.read() == event(chunk("Hel"))
    async with client.get("x") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_reset_arrives_as_a_reset_after_what_was_sent(upstream: FaultyUpstream) -> None:
    upstream.raw(head(200), b"begun", Reset)
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)

    writer.write(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")

    assert (await reader.readuntil(b"begun")).startswith(b"HTTP/1.1 200")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_reset_while_the_body_is_sent_leaves_no_request_in_the_log(upstream: FaultyUpstream) -> None:
    upstream.resets_after(100)
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)

    writer.write(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n" + b"x" * 2000)

    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert upstream.requests == []
    assert upstream.connections == 1


async def test_it_knows_when_the_client_of_a_hanging_stream_has_gone(
    upstream: FaultyUpstream, client: aiohttp.ClientSession
) -> None:
    upstream.streams("Hel", Hang)
    answer = await client.get("x")
    await answer.content.readuntil(b"\n\n")
    request = await upstream.received()
    assert not request.gone.is_set()

    answer.close()

    await request.gone.wait()


async def test_an_event_of_the_test_holds_the_answer_back(
    upstream: FaultyUpstream, client: aiohttp.ClientSession
) -> None:
    opened = asyncio.Event()
    upstream.streams("Hel", opened, "lo")
    answer = await client.get("x")
    await answer.content.readuntil(b"\n\n")
    request = await upstream.received()
    assert not request.answered.is_set()

    opened.set()

    assert (await answer.read()).startswith(event(chunk("lo")))
    await request.answered.wait()


async def test_a_huge_body_is_made_while_it_is_read_and_stops_with_the_client(
    upstream: FaultyUpstream, client: aiohttp.ClientSession
) -> None:
    upstream.raw(head(200, content_length=str(2**30)), Repeated(b"x" * 65536, 16384))
    answer = await client.get("x")
    assert await answer.content.readexactly(2**20) == b"x" * 2**20

    answer.close()

    await (await upstream.received()).gone.wait()


async def test_headers_without_an_end_keep_coming(upstream: FaultyUpstream, client: aiohttp.ClientSession) -> None:
    upstream.endless_header()

    with pytest.raises(aiohttp.ClientError):
        await client.get("x")

    await (await upstream.received()).gone.wait()


async def test_a_closed_port_refuses() -> None:
    with closed_port() as port, pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_it_speaks_tls_where_it_is_given_a_certificate() -> None:
    certificates = Certificates()
    async with (
        FaultyUpstream(tls=certificates.server("none")) as upstream,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=certificates.client())) as session,
    ):
        upstream.answers({"by": "TLS"})

        async with session.get(f"{upstream.base_url}/models") as answer:
            assert await answer.json() == {"by": "TLS"}


async def test_a_test_that_tells_no_answer_is_told_so(upstream: FaultyUpstream, client: aiohttp.ClientSession) -> None:
    async with client.get("models") as answer:
        assert answer.status == 500
        assert "told this upstream no answer" in await answer.text()


async def test_the_bytes_and_the_pauses_are_those_of_the_script(upstream: FaultyUpstream) -> None:
    upstream.raw(b"HTTP/1.1 2", Pause(0.001), b"00 OK\r\n\r\nhal")
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)

    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")

    assert await reader.read() == b"HTTP/1.1 200 OK\r\n\r\nhal"
    writer.close()
