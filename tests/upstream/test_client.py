import asyncio
from collections.abc import Callable

import pytest

from llm_backend.errors import UpstreamFailed, UpstreamInvalid, UpstreamUnreachable
from llm_backend.upstream.wire import Outbound
from tests.upstream.asking import CALL, STREAM_HEAD, connected, failure, in_use
from tests.upstream.raw import answer, finish, hang, raw_upstream, reset

OPEN_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"nonsense\r\n")
    await hang(reader, writer)


async def test_an_answer_arrives_with_status_headers_and_body() -> None:
    async with (
        raw_upstream(answer(b'{"a":1}', "Content-Type: application/json", "X-Twice: 1", "x-twice: 2")) as upstream,
        connected(upstream) as transport,
    ):
        reply = await transport.send(CALL)

        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-twice"] == "1, 2"
        assert await reply.read() == b'{"a":1}'


async def test_only_our_key_and_the_headers_let_through_go_up() -> None:
    call = Outbound("POST", "/x", b"{}", headers={"openai-beta": "b", "authorization": "Bearer theirs"})
    async with raw_upstream(answer(b"{}")) as upstream, connected(upstream) as transport:
        await transport.send(call)

    head = upstream.heads[0].lower()
    assert head.startswith("post /v1/x http/1.1\r\n")
    assert "authorization: bearer secret-key\r\n" in head
    assert "theirs" not in head
    assert "openai-beta: b\r\n" in head
    assert "accept-encoding: identity\r\n" in head
    assert "content-type: application/json\r\n" in head
    assert "cookie" not in head


async def test_without_a_key_no_authorization_goes_up() -> None:
    async with raw_upstream(answer(b"{}")) as upstream, connected(upstream, key=None) as transport:
        await transport.send(Outbound("GET", "/models"))

    assert "authorization" not in upstream.heads[0].lower()


async def test_cookies_are_neither_kept_nor_sent() -> None:
    async with (
        raw_upstream(answer(b"{}", "set-cookie: a=b; Path=/", "content-type: application/json")) as upstream,
        connected(upstream) as transport,
    ):
        await (await transport.send(CALL)).read()
        await (await transport.send(CALL)).read()

    assert len(upstream.heads) == 2
    assert "cookie" not in upstream.heads[1].lower()


async def test_a_redirect_is_an_answer_like_any_other() -> None:
    async with (
        raw_upstream(answer(b"", "location: http://169.254.169.254/", status="302 Found")) as upstream,
        connected(upstream) as transport,
    ):
        reply = await transport.send(CALL)

        assert reply.status == 302
        assert await reply.read() == b""
        assert len(upstream.heads) == 1


async def test_a_compressed_body_is_handed_over_as_it_came() -> None:
    async with (
        raw_upstream(answer(b"\x1f\x8b-not-really", "content-encoding: gzip")) as upstream,
        connected(upstream) as transport,
    ):
        reply = await transport.send(CALL)

        assert reply.headers["content-encoding"] == "gzip"
        assert await reply.read() == b"\x1f\x8b-not-really"


async def test_a_reset_after_the_request_was_taken_is_of_unknown_outcome() -> None:
    async with raw_upstream(then=reset) as upstream, connected(upstream) as transport:
        error = await failure(transport)

    assert isinstance(error, UpstreamUnreachable)
    assert (error.retriable, error.outcome_unknown, error.should_retry) == (False, True, False)


async def test_a_reset_while_the_body_is_sent_is_of_unknown_outcome() -> None:
    body = b"x" * (16 * 1024 * 1024)
    async with raw_upstream(first=reset) as upstream, connected(upstream) as transport:
        error = await failure(transport, Outbound("POST", "/x", body))

    assert isinstance(error, UpstreamUnreachable)
    assert (error.retriable, error.outcome_unknown) == (False, True)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"a" * 1000) for n in range(100)) + b"\r\n",
        b"HTTP/1.1 200 " + b"a" * 70_000,
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ],
    ids=["endless header", "too many headers", "endless status line", "another protocol"],
)
async def test_what_is_no_bounded_http_is_no_answer(sent: bytes) -> None:
    async with raw_upstream(sent, then=hang) as upstream, connected(upstream) as transport:
        error = await failure(transport)

        assert in_use(transport) == 0
    assert isinstance(error, UpstreamInvalid)
    assert error.outcome_unknown


@pytest.mark.parametrize(
    ("sent", "end", "kind"),
    [
        (STREAM_HEAD + b"5\r\nhello\r\n", finish, UpstreamInvalid),
        (STREAM_HEAD + b"5\r\nhello\r\n", reset, UpstreamUnreachable),
        (answer(b"hello", length=10), finish, UpstreamInvalid),
        (answer(b"hello", length=10), reset, UpstreamUnreachable),
        (OPEN_HEAD + b"hello", reset, UpstreamUnreachable),
        (STREAM_HEAD + b"5\r\nhello\r\n", babble, UpstreamInvalid),
    ],
    ids=["chunked fin", "chunked rst", "length fin", "length rst", "until close rst", "broken chunk"],
)
async def test_a_body_that_breaks_off_says_how(sent: bytes, end: Callable[..., object], kind: type) -> None:
    async def wait_then_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await seen.wait()
        await end(reader, writer)  # type: ignore[misc]  # parametrized coroutine functions

    seen = asyncio.Event()
    async with raw_upstream(sent, then=wait_then_end) as upstream, connected(upstream) as transport:
        reply = await transport.send(CALL)
        got = b""
        with pytest.raises(UpstreamFailed) as caught:  # noqa: PT012 (the body must be read for the end to come)
            async for chunk in reply.chunks():
                got += chunk
                seen.set()
        await reply.close()

        assert in_use(transport) == 0
    assert type(caught.value) is kind
    assert caught.value.outcome_unknown
    assert got in {b"hello", b""}


async def test_a_body_until_the_close_of_the_connection_ends_well() -> None:
    async with raw_upstream(OPEN_HEAD + b"hello", then=finish) as upstream, connected(upstream) as transport:
        assert await (await transport.send(CALL)).read() == b"hello"


async def test_a_body_of_more_than_sixteen_megabytes_is_refused() -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            await writer.drain()

    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n"
    async with raw_upstream(head, then=flood) as upstream, connected(upstream) as transport:
        reply = await transport.send(CALL)
        with pytest.raises(UpstreamInvalid):
            await reply.read()
        await reply.close()

        assert in_use(transport) == 0
