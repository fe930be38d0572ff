"""What was deleted is not told again under the Idempotency-Key that it was asked for with: nothing of it is kept."""

import asyncio

import httpx
import orjson
import pytest
from sqlalchemy import select, update

from llm_backend.domain.retention import Retention
from llm_backend.errors import Json
from llm_backend.storage.tables import account, conversation, idempotency_key, item, response
from tests.faulty import completion
from tests.handlers.responding import Asked
from tests.handlers.storing import body
from tests.proof.survivors import LONG_AGO

KEYED = {"idempotency-key": "k-1"}
ASKED: Json = {"model": "m", "input": "Hi"}
ONE_KIND = pytest.mark.parametrize("asked", ["chat"], indirect=True)
STREAMS = pytest.mark.parametrize("stream", [False, True])


async def ask(asked: Asked, path: str, sent: Json) -> httpx.Response:
    return await asked.client.post(path, json=sent, headers=KEYED)


async def results(asked: Asked) -> list[bytes | None]:
    async with asked.running.database.reading() as session:
        return list((await session.execute(select(idempotency_key.c.result))).scalars())


async def check_untold(asked: Asked, path: str, sent: Json) -> None:
    """Fails where the request of before is told again, run again or charged again, or its answer is kept."""
    requests, records = len(asked.upstream.requests), len(await asked.running.records())

    again = await ask(asked, path, sent)

    error = again.json()["error"]
    assert (again.status_code, error["code"]) == (404, "idempotency_result_deleted")
    assert (error["param"], again.headers["x-should-retry"]) == ("Idempotency-Key", "false")
    assert (len(asked.upstream.requests), len(await asked.running.records())) == (requests, records)
    assert await results(asked) == [None]


async def made(asked: Asked, sent: Json) -> str:
    """The id of a response that is kept, whole or streamed; and which is told again, as long as it is."""
    asked.will_say(stream=sent.get("stream", False))
    first = await ask(asked, "/responses", sent)
    await asked.running.quiet()
    again = await ask(asked, "/responses", sent)
    assert (first.status_code, again.text, again.headers["idempotent-replayed"]) == (200, first.text, "true")
    async with asked.running.database.reading() as session:
        return str((await session.execute(select(response.c.public_id))).scalar_one())


@STREAMS
async def test_a_response_that_was_deleted(asked: Asked, *, stream: bool) -> None:
    sent = ASKED | {"stream": stream}
    name = await made(asked, sent)

    assert (await asked.client.delete(f"/responses/{name}")).status_code == 200

    await check_untold(asked, "/responses", sent)


@STREAMS
async def test_a_response_in_the_background_that_was_deleted(asked: Asked, *, stream: bool) -> None:
    sent = ASKED | {"background": True, "stream": stream}
    asked.will_say(stream=True)
    await ask(asked, "/responses", sent)
    await asked.running.quiet()
    async with asked.running.database.reading() as session:
        name = (await session.execute(select(response.c.public_id))).scalar_one()

    assert (await asked.client.delete(f"/responses/{name}")).status_code == 200

    await check_untold(asked, "/responses", sent)


@pytest.mark.parametrize("store", [False, True])
async def test_a_response_whose_conversation_was_deleted(asked: Asked, *, store: bool) -> None:
    talk = (await asked.client.post("/conversations", json={})).json()["id"]
    sent = ASKED | {"conversation": talk, "store": store}
    asked.will_say()
    assert (await ask(asked, "/responses", sent)).status_code == 200

    assert (await asked.client.delete(f"/conversations/{talk}")).status_code == 200

    await check_untold(asked, "/responses", sent)


async def test_a_response_that_was_deleted_while_it_was_made(asked: Asked) -> None:
    go_on, sent = asyncio.Event(), ASKED | {"stream": True}
    asked.will_wait(go_on)
    async with asked.client.stream("POST", "/responses", json=sent, headers=KEYED) as answer:
        lines = answer.aiter_lines()
        told = [await anext(lines) for _ in range(2)]
        name = orjson.loads(told[1].removeprefix("data: "))["response"]["id"]
        assert (await asked.client.delete(f"/responses/{name}")).status_code == 200
        go_on.set()
        assert [line async for line in lines]
    await asked.running.quiet()

    await check_untold(asked, "/responses", sent)


async def test_a_response_that_is_kept_no_longer(asked: Asked) -> None:
    await made(asked, ASKED)
    async with asked.running.database.begin() as session:
        await session.execute(update(account).values(retention_days=1))
        await session.execute(update(response).values(created_at=LONG_AGO))

    await Retention(asked.running.database).tidy()

    await check_untold(asked, "/responses", ASKED)


@ONE_KIND
@STREAMS
async def test_a_completion_that_was_deleted(asked: Asked, *, stream: bool) -> None:
    sent = body(stream=stream)
    asked.upstream.streams("Hi") if stream else asked.upstream.answers(completion("Hi"))
    first = await ask(asked, "/chat/completions", sent)
    await asked.running.quiet()
    [kept] = (await asked.client.get("/chat/completions")).json()["data"]
    assert (await ask(asked, "/chat/completions", sent)).text == first.text

    assert (await asked.client.delete(f"/chat/completions/{kept['id']}")).status_code == 200

    await check_untold(asked, "/chat/completions", sent)


@ONE_KIND
async def test_items_whose_conversation_was_deleted(asked: Asked) -> None:
    talk = (await asked.client.post("/conversations", json={})).json()["id"]
    path, sent = f"/conversations/{talk}/items", {"items": [{"role": "user", "content": "Hello"}]}
    assert (await ask(asked, path, sent)).text == (await ask(asked, path, sent)).text

    assert (await asked.client.delete(f"/conversations/{talk}")).status_code == 200

    await check_untold(asked, path, sent)


@ONE_KIND
async def test_items_whose_conversation_is_kept_no_longer(asked: Asked) -> None:
    talk = (await asked.client.post("/conversations", json={})).json()["id"]
    path, sent = f"/conversations/{talk}/items", {"items": [{"role": "user", "content": "Hello"}]}
    assert (await ask(asked, path, sent)).status_code == 200
    async with asked.running.database.begin() as session:
        await session.execute(update(account).values(retention_days=1))
        for table in (conversation, item):
            await session.execute(update(table).values(created_at=LONG_AGO))

    await Retention(asked.running.database).tidy()

    await check_untold(asked, path, sent)


@ONE_KIND
async def test_a_chat_that_was_deleted(asked: Asked) -> None:
    asked.upstream.answers(completion("Hi"))
    async with httpx.AsyncClient(base_url=asked.running.root, headers=asked.running.headers) as student:
        chat = (await student.post("/api/chats", json={"name": "homework"})).json()["id"]
        path, sent = f"/api/chats/{chat}/messages", {"content": "Hello"}
        first = await student.post(path, json=sent, headers=KEYED)
        assert (await student.post(path, json=sent, headers=KEYED)).text == first.text

        assert (await asked.client.delete(f"/conversations/{chat}")).status_code == 200

        again = await student.post(path, json=sent, headers=KEYED)
    assert (first.status_code, again.status_code) == (201, 404)
    assert await results(asked) == [None]


@ONE_KIND
async def test_what_was_said_in_a_conversation_that_has_lost_it(asked: Asked) -> None:
    talk = (await asked.client.post("/conversations", json={})).json()["id"]
    sent = ASKED | {"conversation": talk}
    asked.will_say()
    said = (await ask(asked, "/responses", sent)).json()["output"][0]["id"]

    assert (await asked.client.delete(f"/conversations/{talk}/items/{said}")).status_code == 200

    await check_untold(asked, "/responses", sent)


@ONE_KIND
async def test_a_completion_that_was_shown_and_deleted(asked: Asked) -> None:
    asked.upstream.answers(completion("Hi"))
    name = (await asked.client.post("/chat/completions", json=body())).json()["id"]
    path, sent = f"/chat/completions/{name}", {"metadata": {"topic": "trees"}}
    assert "trees" in (await ask(asked, path, sent)).text

    assert (await asked.client.delete(path)).status_code == 200

    await check_untold(asked, path, sent)


@ONE_KIND
async def test_a_response_that_was_cancelled_too_late_and_deleted(asked: Asked) -> None:
    asked.will_say(stream=True)
    name = (await asked.client.post("/responses", json=ASKED | {"background": True})).json()["id"]
    await asked.running.quiet()
    assert "Hello" in (await ask(asked, f"/responses/{name}/cancel", None)).text

    assert (await asked.client.delete(f"/responses/{name}")).status_code == 200

    await check_untold(asked, f"/responses/{name}/cancel", None)


@ONE_KIND
async def test_metadata_of_a_conversation_that_was_deleted(asked: Asked) -> None:
    talk = (await asked.client.post("/conversations", json={})).json()["id"]
    sent = {"metadata": {"topic": "trees"}}
    assert "trees" in (await ask(asked, f"/conversations/{talk}", sent)).text

    assert (await asked.client.delete(f"/conversations/{talk}")).status_code == 200

    await check_untold(asked, f"/conversations/{talk}", sent)


@ONE_KIND
async def test_what_was_made_short_of_a_response_that_was_deleted(asked: Asked) -> None:
    name = (await asked.made({"input": "a secret"}))["id"]
    sent = {"model": "m", "previous_response_id": name}
    asked.will_say()
    assert "a secret" in (await ask(asked, "/responses/compact", sent)).text

    assert (await asked.client.delete(f"/responses/{name}")).status_code == 200

    await check_untold(asked, "/responses/compact", sent)


@ONE_KIND
async def test_a_response_and_its_conversation_are_deleted_at_once(asked: Asked) -> None:
    for _ in range(10):
        talk = (await asked.client.post("/conversations", json={})).json()["id"]
        sent = ASKED | {"conversation": talk}
        asked.will_say()
        name = (await asked.client.post("/responses", json=sent, headers={"idempotency-key": talk})).json()["id"]

        gone = await asyncio.gather(
            asked.client.delete(f"/responses/{name}"), asked.client.delete(f"/conversations/{talk}")
        )

        assert {each.status_code for each in gone} <= {200, 404}
        assert gone[1].status_code == 200
