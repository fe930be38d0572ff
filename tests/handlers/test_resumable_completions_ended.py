"""How streams of chat completions that can be resumed end, and what is kept of them then."""

import asyncio
from datetime import timedelta

import httpx
import orjson
import pytest

from llm_backend.domain.clock import SystemClock
from llm_backend.domain.completions import resumable
from llm_backend.domain.responses import recording
from llm_backend.storage import response_events, responses
from llm_backend.storage.response_events import Events
from llm_backend.storage.responses import COMPLETION
from llm_backend.streaming.sse import frame
from tests.faulty import Cut, FaultyUpstream, chunk, error, usage
from tests.handlers.coming_back import RESUMABLE, body, reading, refused, rest, rows, said, streamed
from tests.handlers.relaying import client
from tests.serving import Running

__all__ = ["client"]

WORDS = ("Hel", "lo, ", "all ", "of ", "you")


@pytest.mark.parametrize("stores", [False, True])
async def test_what_breaks_off_ends_in_its_error_for_whoever_comes_back(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running, *, stores: bool
) -> None:
    upstream.streams("Hel", "lo", Cut)

    told = await streamed(client, store=stores)

    assert said(told[:-1]) == "Hello"
    assert orjson.loads(told[-1].data)["error"]["type"] == "server_error"
    assert await rest(client, told[0].id) == told[1:]
    [record] = await relaying.records()
    [kept] = await rows(relaying)
    assert (record.status, kept.status, kept.is_stored) == ("incomplete", "incomplete", False)


async def test_an_upstream_that_fails_at_once_leaves_nothing_to_come_back_for(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    upstream.answers(error("No."), status=400)

    answer = await client.post("/chat/completions", json=body(), headers=RESUMABLE)

    assert (answer.status_code, "x-stream-id" in answer.headers) == (400, False)
    assert await rows(relaying) == []


async def test_a_stored_completion_is_found_once_it_is_whole_and_resumed_until_it_is_deleted(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    gate = asyncio.Event()
    upstream.streams("Hel", gate, "lo")
    async with reading(client, store=True, metadata={"topic": "greeting"}) as first:
        await first.events(1)
    path = f"/chat/completions/{first.stream_id}"
    early = await client.get(path)
    gate.set()
    told = await rest(client, first.stream_id)

    whole = (await client.get(path)).json()
    [kept] = await rows(relaying)
    deleted = await client.delete(path)

    assert (early.status_code, early.json()["error"]["param"]) == (404, "completion_id")
    assert (said(told), told[-1].data) == ("Hello", "[DONE]")
    assert (whole["choices"][0]["message"]["content"], whole["metadata"]) == ("Hello", {"topic": "greeting"})
    assert {"metadata", "store"}.isdisjoint(upstream.requests[0].json)
    assert (kept.is_stored, kept.owner, kept.lease_until) == (True, None, None)
    assert deleted.status_code == 200
    assert await refused(client, {"last-event-id": told[0].id}) == (404, "last-event-id")


@pytest.mark.parametrize("stores", [False, True])
async def test_a_stream_of_too_many_bytes_goes_on_and_cannot_be_resumed(
    client: httpx.AsyncClient,
    upstream: FaultyUpstream,
    relaying: Running,
    monkeypatch: pytest.MonkeyPatch,
    *,
    stores: bool,
) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", 300)
    upstream.streams(*WORDS)

    told = await streamed(client, store=stores)

    assert (said(told), told[-1].data) == ("".join(WORDS), "[DONE]")
    assert await refused(client, {"last-event-id": told[0].id}) == (404, "last-event-id")
    assert [each.is_stored for each in await rows(relaying)] == [True] * stores


async def test_a_stream_whose_process_died_ends_in_an_error_whatever_was_told(
    client: httpx.AsyncClient, relaying: Running
) -> None:
    frames = [resumable.numbered("chatcmpl-1", number, frame(b"{}")) for number in range(2)]
    now = SystemClock().now()
    left = {"account_id": relaying.account_id, "public_id": "chatcmpl-1", "kind": COMPLETION, "is_stored": False}
    left |= {"status": "in_progress", "model": "m", "body": b"{}", "metadata": {}, "owner": "dead"}
    left |= {"created_at": now, "lease_until": now - timedelta(minutes=1), "events_until": now + timedelta(days=1)}
    async with relaying.database.begin() as session:
        number = await responses.add(session, left)
        await response_events.add(session, relaying.account_id, number, Events(0, 1, b"".join(frames)))

    [known, last] = await rest(client, "chatcmpl-1:0")

    # Who had been told more than was kept is told how it ended, too.
    assert await rest(client, "chatcmpl-1:7") == [last]
    assert await rest(client, last.id) == []
    assert (known.number, known.data) == (1, "{}")
    assert (last.number, orjson.loads(last.data)["error"]["message"]) == (2, resumable.DIED)
    [kept] = await rows(relaying)
    assert (kept.status, kept.owner, kept.is_stored) == ("failed", None, False)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_a_stream_that_another_process_has_ended_is_charged_and_ends_as_that_says(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running, *, is_deleted: bool
) -> None:
    gate = asyncio.Event()
    upstream.streams("Hel", gate, "lo", chunk(finish="stop"), usage(3, 2))
    async with reading(client, store=True) as first:
        begun = await first.events(1)
        async with reading(client, first.stream_id) as second:
            # Now it is kept.
            await second.events(1)
        await _ended_elsewhere(relaying, first.stream_id, is_deleted=is_deleted)
        gate.set()
        told = await first.events(4)

    [record] = await relaying.records()
    assert (said(told), told[-1].data) == ("Hello", "[DONE]")
    assert (record.status, record.basis, record.completion_tokens) == ("completed", "reported", 2)
    if is_deleted:
        assert await rows(relaying) == []
    else:
        [kept] = await rows(relaying)
        assert (kept.status, kept.is_stored) == ("failed", False)
        assert [each.number for each in await rest(client, begun[0].id)] == [1]


async def _ended_elsewhere(running: Running, stream_id: str, *, is_deleted: bool) -> None:
    account_id = running.account_id
    async with running.database.begin() as session:
        found = await responses.find(session, account_id, stream_id)
        assert found is not None
        if is_deleted:
            await responses.remove(session, account_id, found.id)
            return
        last = Events(1, 1, resumable.died(stream_id, 1))
        await response_events.add(session, account_id, found.id, last)
        ended = {"status": "failed", "ended_at": SystemClock().now(), "owner": None, "lease_until": None}
        await responses.change(session, account_id, stream_id, ended)
