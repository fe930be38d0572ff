"""Streams of chat completions that are lost and resumed: nothing is missing, nothing comes twice, nobody pays twice."""

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import orjson
import pytest

from tests.databases import ON_POSTGRESQL
from tests.faulty import Cut, FaultyUpstream, chunk, usage
from tests.handlers.coming_back import RESUMABLE, body, events, reading, rest, rows, said, streamed
from tests.handlers.relaying import client
from tests.serving import Running, serving
from tests.told import Item

__all__ = ["client"]

WORDS = ("Hel", "lo, ", "all ", "of ", "you")
CUTS = range(len(WORDS) + 1)


def paused(gates: list[asyncio.Event]) -> list[Item | str]:
    """The words, each but the first behind a gate."""
    items: list[Item | str] = [WORDS[0]]
    for gate, word in zip(gates, WORDS[1:], strict=True):
        items += [gate, word]
    return items


async def test_each_event_has_an_id_and_every_rest_is_what_followed(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    upstream.streams(*map(chunk, WORDS), chunk(finish="stop"), usage(3, 5))
    told = await streamed(client, stream_options={"include_usage": True})

    rests = [await rest(client, each.id) for each in told]

    assert [each.number for each in told] == list(range(len(told)))
    assert (said(told), told[-1].data) == ("".join(WORDS), "[DONE]")
    assert {orjson.loads(each.data)["id"] for each in told[:-1]} == {told[0].stream_id}
    assert rests == [told[each.number + 1 :] for each in told]
    assert await rest(client, told[0].stream_id) == told
    assert len(upstream.requests) == 1
    [record] = await relaying.records()
    [kept] = await rows(relaying)
    assert (kept.status, kept.is_stored, kept.attempt_id) == ("completed", False, record.attempt_id)


async def test_but_for_ids_it_is_the_stream_that_any_client_gets(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    upstream.streams(*map(chunk, WORDS))
    plain = (await client.post("/chat/completions", json=body())).text

    told = await streamed(client)

    own = f'"id":"{told[0].stream_id}"'
    theirs = f'"id":"{chunk("")["id"]}"'
    assert "".join(f"data: {each.data}\n\n" for each in told).replace(own, theirs) == plain
    assert "x-resumable" not in upstream.requests[1].headers


@pytest.mark.parametrize("cut", CUTS[1:])
async def test_a_stream_that_is_lost_while_it_is_made_is_read_on_twice(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running, cut: int
) -> None:
    gates = [asyncio.Event() for _ in WORDS[1:]]
    upstream.streams(*paused(gates))
    for gate in gates[: cut - 1]:
        gate.set()
    async with reading(client) as first:
        begun = await first.events(cut)

    async with reading(client, begun[-1].id) as second:
        for gate in gates[cut - 1 : cut]:
            gate.set()
        more = await second.events(1)
    for gate in gates:
        gate.set()
    ended = await rest(client, more[-1].id)

    whole = [*begun, *more, *ended]
    assert [each.number for each in whole] == list(range(len(whole)))
    assert (said(whole), whole[-1].data) == ("".join(WORDS), "[DONE]")
    assert await rest(client, first.stream_id) == whole
    assert len(upstream.requests) == len(await relaying.records()) == 1


async def test_what_two_read_at_once_is_the_same_for_both(client: httpx.AsyncClient, upstream: FaultyUpstream) -> None:
    gate = asyncio.Event()
    upstream.streams("Hel", gate, "lo")
    async with reading(client) as first:
        (begun,) = await first.events(1)
        resumed = asyncio.create_task(rest(client, begun.id))
        gate.set()
        followed = (await first.events(4))[1:]

    assert await resumed == followed


@ON_POSTGRESQL
async def test_another_replica_tells_the_rest_while_it_is_made(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    upstream.streams("Hel", gate, "lo")
    home = tmp_path / "replica"
    home.mkdir()
    url = relaying.database.url
    async with (
        serving(url, home, name="another", OPENAI_BASE_URL=upstream.base_url) as replica,
        httpx.AsyncClient(base_url=replica.base_url, headers=relaying.headers) as elsewhere,
    ):
        async with reading(client) as first:
            begun = await first.events(1)
        async with reading(elsewhere, first.stream_id) as second:
            # At once: what has begun is known everywhere.
            assert await second.events(1) == begun
        gate.set()
        ended = await rest(elsewhere, begun[0].id)

    assert (said([*begun, *ended]), ended[-1].data) == ("Hello", "[DONE]")
    assert len(upstream.requests) == len(await relaying.records()) == 1


async def test_whoever_leaves_a_resumable_stream_has_it_made_to_its_end(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    gate = asyncio.Event()
    upstream.streams("Hel", gate, "lo", chunk(finish="stop"), usage(3, 2))
    async with reading(client) as first:
        await first.events(1)

    gate.set()

    [record] = await relaying.records()
    assert (record.status, record.basis, record.completion_tokens) == ("completed", "reported", 2)
    assert said(await rest(client, first.stream_id)) == "Hello"


async def test_whoever_leaves_before_it_can_know_of_the_stream_has_it_cut(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    upstream.hangs()
    asked = asyncio.create_task(client.post("/chat/completions", json=body(), headers=RESUMABLE))
    await upstream.received()

    asked.cancel()

    [record] = await relaying.records()
    assert record.error_code == "client_disconnected"
    assert await rows(relaying) == []


@pytest.mark.parametrize("ends_well", [False, True])
async def test_a_stream_is_known_before_its_first_event_where_that_takes_long(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running, *, ends_well: bool
) -> None:
    exchanges, gate = relaying.services.exchanges, asyncio.Event()
    exchanges.limits = replace(exchanges.limits, keep_alive_seconds=0.01)
    upstream.streams(gate, *(("Hello",) if ends_well else (Cut,)))
    async with reading(client) as first:
        pass
    second = asyncio.create_task(rest(client, first.stream_id))

    gate.set()

    told = await second
    assert await rest(client, first.stream_id) == told
    assert told[0].number == 0
    if ends_well:
        assert (said(told), told[-1].data) == ("Hello", "[DONE]")
    else:
        assert len(told) == 1
        assert orjson.loads(told[0].data)["error"]["type"] == "server_error"
    assert len(await relaying.records()) == 1


async def test_events_read_from_a_browser(relaying: Running, upstream: FaultyUpstream, tmp_path: Path) -> None:
    upstream.streams("Hello")
    headers = relaying.headers | RESUMABLE | {"origin": "https://ui.example"}
    async with httpx.AsyncClient(base_url=relaying.base_url, headers=headers) as page:
        answer = await page.post("/chat/completions", json=body())

    assert "x-stream-id" in answer.headers["access-control-expose-headers"].split(", ")
    assert answer.headers["x-stream-id"] == events(answer.text)[0].stream_id
