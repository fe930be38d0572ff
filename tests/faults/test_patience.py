"""Rows 28, 36 and 38: who is slow, and how long that is borne."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llm_backend.edge.serving import ConnectionLimits, Parser
from tests.databases import ON_SQLITE
from tests.faults.asking import HELLO, Answered, asked
from tests.faults.leaving import Client
from tests.faults.stage import told
from tests.faulty import FaultyUpstream, Pause, Repeated, chunk, completion, event, head
from tests.serving import Running, serving

STREAMED = HELLO | {"stream": True}


@asynccontextmanager
async def relaying(
    url: str, folder: Path, upstream: FaultyUpstream, toml: str, parser: Parser = "httptools"
) -> AsyncIterator[Running]:
    limits = ConnectionLimits(stall_seconds=0.3)
    base_url = upstream.base_url
    async with serving(url, folder, toml=toml, limits=limits, OPENAI_BASE_URL=base_url, parser=parser) as running:
        yield running


def rss_mib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 // 2**20


@ON_SQLITE
async def test_readers_that_take_nothing_are_left_and_cost_little_memory(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 36
    many = 8
    upstream.streams("Hello", Repeated(event(chunk("x" * 16000)), 20_000))
    limits = "[limits]\nstream_queue_bytes = 65536\nstall_seconds = 0.3\n"
    async with relaying(database_url, tmp_path, upstream, limits) as running:
        before = rss_mib()

        clients = [await Client.asking(running, STREAMED, receive_buffer=4096) for _ in range(many)]
        await upstream.received(many)
        await asyncio.gather(*(received.gone.wait() for received in upstream.requests))

        records = await running.records()
        assert [told(record) for record in records] == [("incomplete", "estimated", "client_disconnected")] * many
        assert rss_mib() - before < 200
        for client in clients:
            # Whoever reads on finds the end of the connection, not of the answer.
            assert b"[DONE]" not in await _rest(client)
            client.writer.close()


@ON_SQLITE
@pytest.mark.parametrize("parser", ["httptools", "h11"])
async def test_whoever_does_not_read_a_whole_answer_loses_the_connection(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, parser: Parser
) -> None:
    # Row 36
    upstream.answers(completion("x" * 8_000_000))
    async with relaying(database_url, tmp_path, upstream, "", parser) as running:
        client = await Client.asking(running, HELLO, receive_buffer=4096)
        await upstream.received()
        (record,) = await running.records()
        while running.server.server_state.connections:  # noqa: ASYNC110 (uvicorn has no event to tell that)
            await asyncio.sleep(0.01)

        assert told(record) == ("completed", "reported", None)
        client.writer.close()


async def _rest(client: Client) -> bytes:
    tail = b""
    try:
        while piece := await client.reader.read(65536):
            tail = tail[-100:] + piece
    except ConnectionResetError:
        return tail
    return tail


@ON_SQLITE
async def test_a_first_event_larger_than_the_queue_is_read_at_once(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 36: text and ending part into two, of which the second waits for a reader of the first.
    upstream.streams(chunk("x" * 5000, finish="stop"))
    limits = "[limits]\nstream_queue_bytes = 1024\nstall_seconds = 1\n"
    async with relaying(database_url, tmp_path, upstream, limits) as running:
        answer = await asked(running, stream=True)

        assert (answer.said, answer.is_done) == ("x" * 5000, True)


@ON_SQLITE
async def test_a_silent_stream_says_that_it_lives_and_a_late_refusal_is_its_last_event(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 38
    goes_on, refuses = asyncio.Event(), asyncio.Event()
    upstream.streams("Hel", goes_on, "lo")
    refusal = b'{"error": {"message": "No.", "type": "invalid_request_error", "param": null, "code": "told"}}'
    upstream.raw(refuses, head(400, content_type="application/json", content_length=str(len(refusal))), refusal)
    async with relaying(database_url, tmp_path, upstream, "[limits]\nkeep_alive_seconds = 0.05\n") as running:
        for until, code in ((goes_on, None), (refuses, "told")):
            client = await Client.asking(running, STREAMED)
            await client.reader.readuntil(b": keep-alive\n\n")
            await client.reader.readuntil(b": keep-alive\n\n")
            until.set()
            last = (await client.events(3 if code is None else 1))[-1]
            assert (last if code is None else code.encode()) in last
            client.writer.close()

        first, second = await running.records()
    assert first.completion_tokens == 2
    assert told(second) == ("failed", "void", "told")


@ON_SQLITE
async def test_a_refusal_after_the_status_went_out_does_not_end_in_done(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 38
    upstream.raw(Pause(0.2), head(503, content_type="application/json", content_length="2"), b"{}")
    async with relaying(database_url, tmp_path, upstream, "[limits]\nkeep_alive_seconds = 0.05\n") as running:
        answer = await asked(running, stream=True)

        assert answer.status == 200
        assert b": keep-alive\n\n" in answer.body
        assert (answer.is_done, len(answer.events), answer.error["code"]) == (False, 1, "upstream_error")
        records = await running.records()
        assert [told(record) for record in records] == [("failed", "void", "upstream_error")] * len(upstream.requests)


@ON_SQLITE
async def test_a_trickle_within_the_idle_limit_is_ended_by_the_total(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 28
    trickle = tuple(piece for _ in range(200) for piece in (event(chunk("x")), Pause(0.05)))
    totals = "[timeouts]\ntotal_seconds = 0.5\nstream_total_seconds = 0.5\n"
    async with relaying(database_url, tmp_path, upstream, totals) as running:
        upstream.streams(*trickle)
        streamed = await asked(running, stream=True)
        upstream.forget()
        upstream.raw(head(200, content_type="application/json"), *trickle)
        whole = await asked(running)

        assert (streamed.status, streamed.is_done, streamed.error["code"]) == (200, False, "upstream_timeout")
        assert "x" in streamed.said
        assert (whole.status, whole.error["code"]) == (504, "upstream_timeout")
        records = await running.records()
    assert [record.status for record in records] == ["incomplete", "failed"]
    assert [record.error_code for record in records] == ["upstream_timeout"] * 2


@ON_SQLITE
async def test_more_requests_than_the_process_takes_are_refused_at_once(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 67
    goes_on = asyncio.Event()
    upstream.streams("Hel", goes_on, "lo")
    async with relaying(database_url, tmp_path, upstream, "[limits]\nmax_concurrent_requests = 2\n") as running:
        clients = [await Client.asking(running, STREAMED) for _ in range(2)]
        await upstream.received(2)

        refused: list[Answered] = [await asked(running, stream=stream) for stream in (False, True)]

        assert [answer.status for answer in refused] == [503] * 2
        assert {answer.error["code"] for answer in refused} == {"overloaded"}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        goes_on.set()
        for client in clients:
            assert (await client.events(4))[-1] == b"data: [DONE]"
            client.writer.close()
        assert len(upstream.requests) == len(await running.records()) == 2
