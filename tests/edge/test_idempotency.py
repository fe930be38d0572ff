"""One request per key: whatever a client sends again, the upstream is asked once and the account charged once."""

import asyncio
from functools import partial

import httpx
import pytest
from openai import APIError, AsyncOpenAI, ConflictError, UnprocessableEntityError
from sqlalchemy import update

from llm_backend.domain.results import RESULT_LIMIT
from llm_backend.storage import database as storage
from llm_backend.storage.database import Limits
from llm_backend.storage.tables import idempotency_key
from tests.databases import ON_SQLITE
from tests.edge.keyed import KEY, REPLAYED, another_account, at_last, keyed
from tests.faults.asking import HELLO, Answered, saying
from tests.faulty import Cut, FaultyUpstream, chunk, completion, error, usage
from tests.handlers.administering import administering
from tests.handlers.chatting import chatting
from tests.serving import Running


async def test_the_same_request_with_the_same_key_is_answered_from_what_was_kept(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    # Row 40
    upstream.answers(completion("Hello"))
    first = await keyed(relaying, "k-1")

    again = await keyed(relaying, "k-1")

    assert (again.status, again.body) == (first.status, first.body) == (200, first.body)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert (first.headers.get(REPLAYED), again.headers[REPLAYED]) == (None, "true")
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert len(upstream.requests) == len(await relaying.records()) == 1


@pytest.fixture
def _long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty wait for ten connections and one row, on a slow machine for longer than a client should."""
    monkeypatch.setattr(storage, "Limits", partial(Limits, statement_seconds=60, lock_seconds=60, pool_wait_seconds=60))


@pytest.mark.usefixtures("_long_waits")
async def test_of_fifty_at_once_with_one_key_one_reaches_the_upstream_and_is_charged(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    # Row 41
    go_on = asyncio.Event()
    upstream.streams("Hello", go_on, chunk(finish="stop"), usage(3, 1))
    asking = {asyncio.create_task(keyed(relaying, "k-1", stream=True)) for _ in range(50)}
    refused: list[Answered] = []
    while len(asking) > 1:
        done, asking = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        refused += [task.result() for task in done]
    go_on.set()

    first = await asking.pop()

    assert first.is_done
    assert {(answer.status, answer.headers["retry-after"]) for answer in refused} == {(409, "1")}
    assert {(answer.error["type"], answer.error["code"]) for answer in refused} == {
        ("conflict_error", "idempotency_in_progress")
    }
    assert (await keyed(relaying, "k-1", stream=True)).body == first.body
    assert len(upstream.requests) == len(await relaying.records()) == 1


@ON_SQLITE
@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"model": "another"}, {"stream": True}])
async def test_another_request_under_a_key_that_was_used_is_refused(
    running: Running, change: dict[str, object]
) -> None:
    # Row 42
    await keyed(running, "k-1")

    other = await keyed(running, "k-1", HELLO | change)

    assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")
    assert other.error["param"] == "Idempotency-Key"
    assert len(await running.records()) == 1


@ON_SQLITE
async def test_the_same_body_at_another_path_is_another_request(running: Running) -> None:
    # Row 42
    async with httpx.AsyncClient(base_url=running.base_url, headers={**running.headers, KEY: "k-1"}) as client:
        body = {"model": "echo", "input": "Hi", "prompt": "Hi"}
        first = await client.post("/embeddings", json=body)
        spelled_otherwise = await client.post("/embeddings", json=dict(reversed(body.items())))
        other = await client.post("/completions", json=body)

    assert (first.status_code, spelled_otherwise.headers[REPLAYED]) == (200, "true")
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")


async def test_a_stream_is_told_again_event_by_event(relaying: Running, upstream: FaultyUpstream) -> None:
    # Row 43
    upstream.streams("Hel", "lo", " there", chunk(finish="stop"), usage(3, 3))
    body = saying("Hi", stream_options={"include_usage": True})
    first = await keyed(relaying, "k-1", body, stream=True)

    again = await keyed(relaying, "k-1", body, stream=True)

    assert again.events == first.events
    assert (again.said, again.is_done) == ("Hello there", True)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert (again.headers["cache-control"], again.headers[REPLAYED]) == ("no-store", "true")
    assert len(upstream.requests) == len(await relaying.records()) == 1


async def test_a_stream_that_broke_off_and_was_charged_is_neither_told_nor_run_again(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    # Row 43
    upstream.streams("Hel", Cut)
    first = await keyed(relaying, "k-1", stream=True)

    again = await keyed(relaying, "k-1", stream=True)

    assert first.events[-1]["error"]
    assert (again.status, again.error["code"]) == (409, "previous_attempt_incomplete")
    assert again.headers["x-should-retry"] == "false"
    assert len(upstream.requests) == len(await relaying.records()) == 1


async def test_what_failed_and_was_not_charged_runs_again(relaying: Running, upstream: FaultyUpstream) -> None:
    # Row 43
    upstream.answers(error("Slow down"), status=429)
    upstream.streams("Hello", chunk(finish="stop"), usage(3, 1))
    refused = await keyed(relaying, "k-1", stream=True)

    again = await at_last(relaying, "k-1", stream=True)

    assert refused.status == 429
    assert again.is_done
    assert REPLAYED not in again.headers
    assert [record.basis for record in await relaying.records()] == ["void", "reported"]


async def test_what_failed_and_was_charged_is_told_again_with_its_status(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    # Row 39
    upstream.answers({"no": "choices"})
    first = await keyed(relaying, "k-1")

    again = await keyed(relaying, "k-1")

    assert (again.status, again.body) == (first.status, first.body) == (502, first.body)
    assert (again.headers[REPLAYED], again.headers["x-should-retry"]) == ("true", "false")
    assert len(upstream.requests) == len(await relaying.records()) == 1


@ON_SQLITE
async def test_a_refusal_that_will_always_be_the_same_is_told_again(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers(error("No such thing", "invalid_request_error"), status=400)
    first = await keyed(relaying, "k-1")

    again = await keyed(relaying, "k-1")

    assert (again.status, again.body, again.headers[REPLAYED]) == (400, first.body, "true")
    assert len(upstream.requests) == 1


@ON_SQLITE
async def test_nothing_is_kept_of_what_was_refused_before_it_began(running: Running) -> None:
    invalid = await keyed(running, "k-1", {"model": "echo", "messages": "none"})
    unknown = await keyed(running, "k-1", {"model": "nobody", "messages": HELLO["messages"]})

    good = await keyed(running, "k-1")

    assert (invalid.status, unknown.status, good.status) == (400, 404, 200)
    assert REPLAYED not in good.headers


@ON_SQLITE
@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "schlüssel"])
async def test_a_key_that_is_none_is_refused(running: Running, key: str) -> None:
    # Row 44
    async with httpx.AsyncClient(base_url=running.base_url, headers=running.headers) as client:
        headers = [(KEY.encode(), key.encode("latin-1"))]
        answer = await client.post("/chat/completions", json=HELLO, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_idempotency_key")
    assert not await running.records()


async def test_the_same_key_of_another_account_is_another_key(running: Running) -> None:
    # Row 44
    other = await another_account(running)
    key = "k" * 255

    answers = [await keyed(running, key), await keyed(other, key, saying("Something else"))]

    assert [answer.status for answer in answers] == [200, 200]
    assert len(await running.records()) == len(await other.records()) == 1


@ON_SQLITE
async def test_an_answer_too_large_to_keep_is_charged_once_and_not_told_again(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers(completion("x" * RESULT_LIMIT))
    first = await keyed(relaying, "k-1")

    again = await keyed(relaying, "k-1")

    assert first.status == 200
    assert (again.status, again.error["code"]) == (409, "idempotency_result_too_large")
    assert again.headers["x-should-retry"] == "false"
    assert len(upstream.requests) == len(await relaying.records()) == 1


@ON_SQLITE
async def test_a_stream_too_large_to_keep_is_charged_once_and_not_told_again(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    quarter = "x" * (RESULT_LIMIT // 4)
    upstream.streams(quarter, quarter, quarter, quarter, chunk(finish="stop"), usage(3, 4))
    first = await keyed(relaying, "k-1", stream=True)

    again = await keyed(relaying, "k-1", stream=True)

    assert first.is_done
    assert (again.status, again.error["code"]) == (409, "idempotency_result_too_large")
    assert len(upstream.requests) == len(await relaying.records()) == 1


@ON_SQLITE
async def test_a_result_that_was_tampered_with_is_neither_told_nor_run_again(running: Running) -> None:
    await keyed(running, "k-1")
    async with running.database.begin() as session:
        await session.execute(update(idempotency_key).values(result=b"\0" * 64))

    again = await keyed(running, "k-1")

    assert (again.status, again.error["code"], again.headers["x-should-retry"]) == (500, "internal_error", "false")
    assert len(await running.records()) == 1


async def test_a_question_to_a_chat_is_asked_and_kept_once(relaying: Running, upstream: FaultyUpstream) -> None:
    upstream.answers(completion("Paris"))
    async with chatting(relaying) as student:
        chat = await student.chat()
        student.client.headers[KEY] = "k-1"

        answers = [await student.ask(chat, "The capital of France?") for _ in range(2)]

        assert answers[0] == answers[1]
        assert await student.said(chat) == [("user", "The capital of France?"), ("assistant", "Paris")]
    assert len(await relaying.records()) == 1


async def test_what_the_administrator_makes_is_made_once(running: Running) -> None:
    async with administering(running) as admin:
        client = admin.client
        made = [await client.post("/api/accounts", json={"name": "bob"}, headers={KEY: "k-1"}) for _ in range(2)]
        other = await client.post("/api/accounts", json={"name": "eve"}, headers={KEY: "k-1"})
        without = await client.post("/api/accounts", json={"name": "bob"})

    assert [(answer.status_code, answer.json()) for answer in made] == [(201, made[0].json())] * 2
    assert made[1].headers[REPLAYED] == "true"
    assert (other.status_code, set(other.json())) == (422, {"error"})
    assert without.status_code == 400


async def test_the_official_client_is_answered_once_and_told_of_a_conflict(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.streams("Hello", chunk(finish="stop"), usage(3, 1))
    upstream.streams("Hel", Cut)

    async with AsyncOpenAI(base_url=relaying.base_url, api_key=relaying.key) as sdk:

        async def said(key: str, text: str = "Hi") -> str:
            messages = saying(text)["messages"]
            stream = await sdk.chat.completions.create(
                model="echo", messages=messages, stream=True, extra_headers={"Idempotency-Key": key}
            )
            return "".join([part.choices[0].delta.content or "" async for part in stream])

        told = [await said("k-1"), await said("k-1")]
        with pytest.raises(UnprocessableEntityError, match="another request"):
            await said("k-1", "Something else")
        with pytest.raises(APIError, match="ended before it was complete"):
            await said("k-2")
        with pytest.raises(ConflictError, match="charged"):
            await said("k-2")

    assert told == ["Hello", "Hello"]
    assert len(upstream.requests) == len(await relaying.records()) == 2
