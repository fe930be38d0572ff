"""Pieces of a stream go from where they are judged into the connection, as long as the client takes them."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_backend.domain.piped import PipedAnswer
from llm_backend.edge.serving import Parser
from llm_backend.edge.writing import Writing
from tests.databases import ON_SQLITE
from tests.faults.asking import HELLO, events_in
from tests.faults.leaving import Client, request
from tests.faults.stage import Stage
from tests.faulty import FaultyUpstream, Hang, chunk, event
from tests.serving import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAMED = HELLO | {"stream": True}
WORDS = ("one ", "two ", "three ", "four ")


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The blocks that go the short way."""
    blocks: list[bytes] = []
    take: Callable[[Writing, bytes], bool] = Writing.take

    def noting(writing: Writing, block: bytes) -> bool:
        is_taken = take(writing, block)
        blocks.extend([block] * is_taken)
        return is_taken

    monkeypatch.setattr(Writing, "take", noting)
    return blocks


def stepping(upstream: FaultyUpstream) -> list[asyncio.Event]:
    """Have the upstream stream WORDS, each but the first when its event is set; the last event is for the end."""
    steps = [asyncio.Event() for _ in WORDS]
    upstream.streams(*(item for pair in zip(WORDS, steps, strict=True) for item in pair))
    return steps


async def stepped(client: Client, steps: list[asyncio.Event]) -> bytes:
    """All that the client gets, each piece asked for when the one before has come."""
    got = b""
    for step in steps:
        got += await client.reader.readuntil(b"}\n\n")
        step.set()
    return got + await client.reader.readuntil(b"data: [DONE]\n\n")


def unchunked(body: bytes) -> bytes:
    """What a body's chunks hold, its last one still to come."""
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        content += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return content


async def test_all_but_the_ends_of_a_stream_go_the_short_way(stage: Stage, taken: list[bytes]) -> None:
    steps = stepping(stage.upstream)
    client = await Client.asking(stage.running, STREAMED)
    await client.head()

    events = events_in(unchunked(await stepped(client, steps)))

    assert await client.reader.readuntil(b"0\r\n\r\n") == b"\r\n0\r\n\r\n"
    await asyncio.gather(*stage.running.server.server_state.tasks)
    assert [each["choices"][0]["delta"].get("content") for each in events[:-1]] == [*WORDS, None]
    assert [events_in(block)[0] for block in taken] == events[1:-1]
    client.writer.close()


async def test_the_log_counts_what_went_either_way(stage: Stage, taken: list[bytes]) -> None:
    steps = stepping(stage.upstream)
    client = await Client.asking(stage.running, STREAMED)
    await client.head()

    body = unchunked(await stepped(client, steps))

    await asyncio.gather(*stage.running.server.server_state.tasks)
    assert taken
    assert [line["bytes"] for line in stage.log if line["event"] == "request"] == [len(body)]
    client.writer.close()


async def test_a_client_without_chunks_gets_the_same(stage: Stage, taken: list[bytes]) -> None:
    steps = stepping(stage.upstream)
    client = await Client.of(stage.running)
    client.writer.write(request(stage.running, STREAMED).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))
    assert b"chunked" not in await client.head()

    events = events_in(await stepped(client, steps))

    assert "".join(each["choices"][0]["delta"].get("content", "") for each in events[:-1]) == "".join(WORDS)
    assert taken == []
    assert await client.reader.read() == b""
    client.writer.close()


async def test_a_second_stream_on_the_same_connection_goes_the_short_way_too(stage: Stage, taken: list[bytes]) -> None:
    both = [stepping(stage.upstream) for _ in range(2)]
    client = await Client.of(stage.running)
    for steps in both:
        client.writer.write(request(stage.running, STREAMED))
        await client.head()
        events = events_in(unchunked(await stepped(client, steps)))
        await client.reader.readuntil(b"0\r\n\r\n")
        assert [events_in(block)[0] for block in taken] == events[1:-1]
        taken.clear()
    client.writer.close()


async def test_events_that_come_together_go_out_together(stage: Stage, taken: list[bytes]) -> None:
    goes_on = asyncio.Event()
    unlike = [event({**chunk("word "), "created": number}) for number in range(10)]
    stage.upstream.streams("Hello ", goes_on, b"".join(unlike), Hang)
    client = await Client.asking(stage.running, STREAMED)
    await client.events(1)

    goes_on.set()

    await client.events(10)
    assert [len(events_in(block)) for block in taken] == [10]
    client.leaves()


async def test_what_came_before_a_bad_event_is_sent_first(stage: Stage) -> None:
    goes_on = asyncio.Event()
    stage.upstream.streams("Hello ", goes_on, event({**chunk("there"), "created": 1}) + b"data: {\n\n", Hang)
    client = await Client.asking(stage.running, STREAMED)
    await client.events(1)

    goes_on.set()

    said, error = await client.events(2)
    assert b'"there"' in said
    assert b'"error"' in error
    assert [record.status for record in await stage.records()] == ["incomplete"]
    client.leaves()


@ON_SQLITE
@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("parser", ["httptools", "h11"])
async def test_a_slow_client_gets_each_event_once_and_in_order(
    database_url: str, tmp_path: Path, taken: list[bytes], parser: Parser
) -> None:
    many = 3000
    read = asyncio.Event()
    big = b"".join(event(chunk(f"{number} {'x' * 3000}")) for number in range(many))
    async with FaultyUpstream() as upstream:
        upstream.streams("Hello", read, big)
        async with serving(database_url, tmp_path, OPENAI_BASE_URL=upstream.base_url, parser=parser) as running:
            client = await Client.asking(running, STREAMED, receive_buffer=4096)
            await client.head()
            await client.reader.readuntil(b"\n\n")
            read.set()
            (exchange,) = running.services.exchanges._running
            assert isinstance(exchange, PipedAnswer)
            while not exchange._pipe._size:  # noqa: ASYNC110 (it has no event to tell that)
                await asyncio.sleep(0.001)

            rest = await _until_done(client)

            assert [int(number) for number in re.findall(rb'"(\d+) x{3000}"', rest)] == list(range(many))
            assert rest.index(b'"finish_reason":"stop"') > rest.rindex(b"xxx")
            assert bool(taken) is (parser == "httptools")
            client.writer.close()


async def _until_done(client: Client) -> bytes:
    got = bytearray()
    while not got.endswith(b"\r\n0\r\n\r\n"):
        got += await client.reader.read(65536)
    return bytes(got)
