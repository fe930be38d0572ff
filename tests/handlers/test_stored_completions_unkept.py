"""When a chat completion is kept, once and by whom, and when none is."""

import asyncio
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update

from llm_backend.errors import Json
from llm_backend.storage.tables import account, response
from tests.databases import ON_SQLITE
from tests.faulty import Cut, FaultyUpstream, chunk, completion, error
from tests.handlers.relaying import client, other
from tests.handlers.storing import body, chunks_of, listed, made, read, refused, rows
from tests.serving import Running, serving

__all__ = ["client", "other"]


@ON_SQLITE
async def test_what_another_account_keeps_is_not_there(
    client: httpx.AsyncClient, other: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    kept, absent = await made(client, upstream), "chatcmpl-absent"

    answers = {
        named: [
            await other.get(f"/chat/completions/{named}"),
            await other.get(f"/chat/completions/{named}/messages"),
            await other.post(f"/chat/completions/{named}", json={"metadata": {}}),
            await other.delete(f"/chat/completions/{named}"),
        ]
        for named in (kept, absent)
    }

    assert {answer.status_code for answer in answers[kept]} == {404}
    assert [answer.json() for answer in answers[kept]] == [answer.json() for answer in answers[absent]]
    assert {answer.json()["error"]["param"] for answer in answers[kept]} == {"completion_id"}
    assert await refused(other, "", after=kept) == (404, "after")
    assert await read(other, "") == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert await listed(client) == [kept]


@ON_SQLITE
@pytest.mark.parametrize("store", [{}, {"store": False}, {"store": None}])
async def test_nothing_is_kept_that_is_not_asked_for(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running, store: Json
) -> None:
    upstream.answers(completion("Hi"))
    asked = {name: value for name, value in body(metadata={"a": "b"}).items() if name != "store"} | store

    answer = await client.post("/chat/completions", json=asked)

    assert answer.json() == completion("Hi")
    assert upstream.requests[0].json == {name: value for name, value in asked.items() if name != "metadata"}
    assert await rows(relaying) == [0, 0, 0]


@ON_SQLITE
async def test_an_account_that_stores_nothing_is_told_so(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    upstream.answers(completion("Hi"))
    async with relaying.database.begin() as session:
        await session.execute(update(account).where(account.c.id == relaying.account_id).values(stores=False))

    answer = await client.post("/chat/completions", json=body())
    without = await client.post("/chat/completions", json=body(store=False))

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "store")
    assert (without.status_code, len(upstream.requests)) == (200, 1)
    assert await rows(relaying) == [0, 0, 0]


@ON_SQLITE
async def test_metadata_that_could_not_be_kept_is_refused(client: httpx.AsyncClient, upstream: FaultyUpstream) -> None:
    answer = await client.post("/chat/completions", json=body(metadata={"a": "b\0"}))

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "metadata.a")
    assert upstream.requests == []


@ON_SQLITE
async def test_an_answer_that_breaks_off_is_charged_and_not_kept(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    upstream.streams("Hel", Cut)

    answer = await client.post("/chat/completions", json=body(stream=True))

    assert "error" in answer.text
    assert [record.status for record in await relaying.records()] == ["incomplete"]
    assert await rows(relaying) == [0, 0, 0]


@ON_SQLITE
async def test_a_client_that_leaves_once_all_was_said_finds_it_kept(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    never = asyncio.Event()
    upstream.streams("Hello", chunk(finish="length"), never)

    async with client.stream("POST", "/chat/completions", json=body(stream=True)) as answer:
        async for line in answer.aiter_lines():
            if "length" in line:
                break
    await relaying.quiet()

    [kept] = (await read(client, ""))["data"]
    assert kept["choices"][0]["finish_reason"] == "length"
    async with relaying.database.reading() as session:
        assert (await session.execute(select(response.c.status))).scalar_one() == "incomplete"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_told_again_under_its_idempotency_key_and_kept_once(
    client: httpx.AsyncClient, upstream: FaultyUpstream, *, stream: bool
) -> None:
    upstream.streams("Hi") if stream else upstream.answers(completion("Hi"))
    headers = {"idempotency-key": "once"}

    first = await client.post("/chat/completions", json=body(stream=stream), headers=headers)
    again = await client.post("/chat/completions", json=body(stream=stream), headers=headers)

    assert again.headers["idempotent-replayed"] == "true"
    assert again.content == first.content
    [kept] = await listed(client)
    assert kept in first.text
    assert len(upstream.requests) == 1


@ON_SQLITE
async def test_of_two_upstreams_that_are_asked_only_the_one_that_answers_is_kept(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    async with FaultyUpstream() as second:
        urls = {"first": upstream.base_url, "second": second.base_url}
        toml = "".join(f'[upstreams.{name}]\nurl = "{url}"\n' for name, url in urls.items())
        toml += '[models.m]\nupstream = "first"\nfallback = ["n"]\n[models.n]\nupstream = "second"\n'
        upstream.streams({"system_fingerprint": "first", "choices": []}, error())
        second.streams("Hi")
        async with (
            serving(database_url, tmp_path, toml=toml) as running,
            httpx.AsyncClient(base_url=running.base_url, headers=running.headers) as client,
        ):
            answer = await client.post("/chat/completions", json=body(stream=True))
            [kept] = (await read(client, ""))["data"]

    assert {each["id"] for each in chunks_of(answer)} == {kept["id"]}
    assert (kept["choices"][0]["message"]["content"], "system_fingerprint" in kept) == ("Hi", False)
    assert len(upstream.requests) == len(second.requests) == 1


@ON_SQLITE
async def test_a_request_of_many_messages_is_kept_whole(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    messages = [{"role": "user", "content": f"{number}"} for number in range(1_200)]

    kept = await made(client, upstream, messages=messages)

    last = await read(client, f"/{kept}/messages", order="desc", limit=1)
    assert last["data"][0]["content"] == "1199"
    assert await rows(relaying) == [1, 1, 1_201]
