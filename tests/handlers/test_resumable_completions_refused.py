"""What no rest of a stream is told for, and who may not ask for one that can be resumed."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import update

from llm_backend.domain.clock import SystemClock
from llm_backend.storage import responses
from llm_backend.storage.responses import RESPONSE
from llm_backend.storage.tables import account, response
from tests.faulty import DONE, FaultyUpstream, completion
from tests.handlers.coming_back import RESUMABLE, body, refused, rows, streamed
from tests.handlers.relaying import client, other
from tests.serving import Running

__all__ = ["client", "other"]


async def test_streams_of_others_and_streams_that_never_were_are_not_found(
    client: httpx.AsyncClient, other: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    upstream.streams("Hello")
    told = await streamed(client)

    foreign = await refused(other, {"last-event-id": told[0].id})
    unknown = await refused(client, {"last-event-id": "chatcmpl-0:0"})

    assert foreign == unknown == (404, "last-event-id")


async def test_a_response_is_no_stream_of_a_chat(client: httpx.AsyncClient, relaying: Running) -> None:
    now = SystemClock().now()
    async with relaying.database.begin() as session:
        values = {"account_id": relaying.account_id, "public_id": "chatcmpl-1", "kind": RESPONSE, "is_stored": True}
        values |= {"status": "completed", "model": "m", "body": b"{}", "metadata": {}}
        values |= {"created_at": now, "ended_at": now, "events_until": now + timedelta(days=1)}
        await responses.add(session, values)

    assert await refused(client, {"last-event-id": "chatcmpl-1:0"}) == (404, "last-event-id")


@pytest.mark.parametrize("is_there", [False, True])
async def test_a_stream_that_is_kept_no_longer_is_not_found(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running, *, is_there: bool
) -> None:
    upstream.streams("Hello")
    told = await streamed(client)
    async with relaying.database.begin() as session:
        await session.execute(update(response).values(events_until=response.c.created_at if is_there else None))

    assert await refused(client, {"last-event-id": told[0].id}) == (404, "last-event-id")


@pytest.mark.parametrize(
    "last", ["", "0", "chatcmpl-1:", "chatcmpl-1:-1", "chatcmpl-1:x", "resp_1:0", "chatcmpl-1:0:0"]
)
async def test_what_is_no_id_of_an_event_is_refused(client: httpx.AsyncClient, last: str) -> None:
    assert await refused(client, {"last-event-id": last}) == (400, "last-event-id")


async def test_the_header_is_true_or_false_and_says_nothing_of_what_comes_whole(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    upstream.answers(completion("Hi"))

    wrong = await refused(client, {"x-resumable": "1"})
    whole = await client.post("/chat/completions", json=body(stream=False), headers=RESUMABLE)
    upstream.forget()
    upstream.streams("Hi")
    plain = await client.post("/chat/completions", json=body(), headers={"x-resumable": "False"})

    assert wrong == (400, "x-resumable")
    assert whole.json() == completion("Hi")
    assert "id: " not in plain.text
    assert plain.text.endswith(DONE.decode())
    assert await rows(relaying) == []


async def test_an_idempotency_key_and_a_resumable_stream_exclude_each_other(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    key = {"idempotency-key": "once"}

    begun = await refused(client, key | RESUMABLE)
    resumed = await refused(client, key | {"last-event-id": "chatcmpl-1:0"})
    upstream.answers(completion("Hi"))
    whole = await client.post("/chat/completions", json=body(stream=False), headers=key | RESUMABLE)

    assert begun == resumed == (400, "Idempotency-Key")
    assert whole.status_code == 200


async def test_whose_account_keeps_nothing_has_no_resumable_streams(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    async with relaying.database.begin() as session:
        await session.execute(update(account).values(stores=False))

    assert await refused(client, RESUMABLE) == (400, "x-resumable")
    assert upstream.requests == []
