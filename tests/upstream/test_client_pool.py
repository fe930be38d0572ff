import asyncio

from llm_backend.errors import UpstreamUnreachable
from llm_backend.upstream.client import HttpTransport
from llm_backend.upstream.wire import Outbound
from tests.upstream.asking import CALL, STREAM_HEAD, closed_port, connected, failure, in_pool, in_use
from tests.upstream.raw import RawUpstream, answer, finish, hang, raw_upstream


async def test_a_large_body_arrives_whole() -> None:
    body = b"x" * (5 * 1024 * 1024 + 1)
    async with raw_upstream(answer(b"{}")) as upstream, connected(upstream) as transport:
        await transport.send(Outbound("POST", "/x", body))

    assert upstream.bodies == [body]


async def test_one_connection_serves_one_request_after_another() -> None:
    async with raw_upstream(answer(b"{}")) as upstream, connected(upstream) as transport:
        for _ in range(5):
            await (await transport.send(CALL)).read()

    assert upstream.connections == 1


async def test_a_refused_connection_may_be_tried_again() -> None:
    async with connected(RawUpstream(port=closed_port())) as transport:
        error = await failure(transport)

    assert isinstance(error, UpstreamUnreachable)
    assert (error.retriable, error.outcome_unknown, error.retry_after_seconds) == (True, False, 1)
    assert "127.0.0.1" not in str(error)


async def test_a_name_that_does_not_resolve_may_be_tried_again() -> None:
    transport = HttpTransport("https://nowhere.invalid/v1", "k")
    error = await failure(transport)
    await transport.close()

    assert isinstance(error, UpstreamUnreachable)
    assert (error.retriable, error.outcome_unknown) == (True, False)


async def test_a_handshake_that_hangs_ends_at_the_connect_deadline() -> None:
    async with raw_upstream() as upstream:  # it waits for a head that never comes
        transport = HttpTransport(upstream.url.replace("http:", "https:"), "k", connect_seconds=0.1)
        error = await failure(transport)
        await transport.close()

    assert isinstance(error, UpstreamUnreachable)
    assert (error.retriable, error.outcome_unknown) == (True, False)


async def test_a_post_on_a_pooled_connection_that_closes_unanswered_is_sent_once() -> None:
    async def answer_then_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"{}"))
        await upstream.request(reader)
        writer.close()

    async with raw_upstream(then=answer_then_close) as upstream, connected(upstream) as transport:
        await (await transport.send(CALL)).read()
        error = await failure(transport)

    assert upstream.connections == 1
    assert len(upstream.heads) == 2
    assert (error.retriable, error.outcome_unknown) == (False, True)


async def test_an_idle_connection_that_the_upstream_closed_is_not_used_again() -> None:
    async with raw_upstream(answer(b"{}"), then=finish) as upstream, connected(upstream) as transport:
        for _ in range(3):
            await (await transport.send(CALL)).read()
            await upstream.left.wait()
            upstream.left.clear()
            while in_pool(transport):  # noqa: ASYNC110 (aiohttp tells nobody that a pooled connection has ended)
                await asyncio.sleep(0)

    assert upstream.connections == 3


async def test_closing_an_unread_answer_cuts_its_connection() -> None:
    async with raw_upstream(STREAM_HEAD + b"1\r\nx\r\n", then=hang) as upstream, connected(upstream) as transport:
        reply = await transport.send(CALL)
        await reply.close()
        await upstream.left.wait()

        assert in_use(transport) == 0


async def test_many_cancellations_leave_the_pool_usable() -> None:
    async def mostly_hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if upstream.bodies[-1] == b"well":
            writer.write(answer(b"{}"))
            return
        await hang(reader, writer)

    async with raw_upstream(then=mostly_hang) as upstream, connected(upstream) as transport:
        for number in range(200):
            sending = asyncio.create_task(transport.send(CALL))
            for _ in range(number % 7):
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        assert in_use(transport) == 0

        for _ in range(100):
            await (await transport.send(Outbound("POST", "/x", b"well"))).read()
        assert in_use(transport) == 0


async def test_cancelling_a_reader_and_closing_leaves_the_pool_usable() -> None:
    async with raw_upstream(STREAM_HEAD + b"1\r\nx\r\n", then=hang) as upstream, connected(upstream) as transport:
        for _ in range(50):
            reply = await transport.send(CALL)
            assert await anext(reply.chunks()) == b"x"
            reading = asyncio.ensure_future(anext(reply.chunks()))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await reply.close()

        assert in_use(transport) == 0
