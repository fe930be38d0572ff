"""An account for which nothing is stored: whatever it says, in whichever way, is in no column of the database."""

import httpx
import pytest

from llm_backend.errors import Json
from tests.handlers.responding import Asked

WORDS = "a canary of 7391 words"
SAID = {"type": "message", "role": "user", "content": WORDS}


def refusal(answer: httpx.Response) -> tuple[int, str, Json]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


def unsupported(param: str | None) -> tuple[int, str, Json]:
    return 400, "unsupported_value", param


@pytest.mark.parametrize(
    ("body", "param"), [({"items": [SAID]}, "items"), ({"metadata": {"topic": WORDS}}, None), ({}, None)]
)
async def test_no_conversation_is_made(asked: Asked, body: Json, param: str | None) -> None:
    await asked.stores_nothing()

    answer = await asked.client.post("/conversations", json=body)

    assert refusal(answer) == unsupported(param)
    assert (await asked.rows(), await asked.where(WORDS)) == ([0, 0, 0, 0], [])


async def test_nothing_more_is_said_in_a_conversation_that_there_is(asked: Asked) -> None:
    talk = (await asked.client.post("/conversations", json={"items": [{**SAID, "content": "before"}]})).json()["id"]
    await asked.stores_nothing()

    given = await asked.client.post(f"/conversations/{talk}/items", json={"items": [SAID]})
    named = await asked.client.post(f"/conversations/{talk}", json={"metadata": {"topic": WORDS}})
    answers = [
        await asked.client.post("/responses", json={"model": "m", "input": WORDS, "conversation": talk} | more)
        for more in ({}, {"stream": True}, {"store": False})
    ]

    assert (refusal(given), refusal(named)) == (unsupported("items"), unsupported("metadata"))
    assert [refusal(answer) for answer in answers] == [unsupported("conversation")] * 3
    assert (asked.upstream.requests, await asked.where(WORDS)) == ([], [])
    [left] = (await asked.client.get(f"/conversations/{talk}/items")).json()["data"]
    assert left["content"][0]["text"] == "before"
    assert (await asked.client.delete(f"/conversations/{talk}")).status_code == 200


async def test_what_it_asks_and_is_answered_is_nowhere(asked: Asked) -> None:
    await asked.stores_nothing()
    body = {"model": "m", "input": WORDS}

    for stream in (False, True):
        asked.upstream.forget()
        asked.will_say(stream=stream)
        assert (await asked.client.post("/responses", json=body | {"stream": stream})).status_code == 200

    assert await asked.rows() == [0, 0, 0, 0]
    assert [await asked.where(words) for words in (WORDS, "Hello")] == [[], []]


async def test_no_chat_is_made_and_none_is_asked(asked: Asked) -> None:
    chats = str(asked.client.base_url).replace("/v1/", "/api/chats")
    chat = (await asked.client.post(chats, json={"name": "before"})).json()["id"]
    await asked.stores_nothing()

    made = await asked.client.post(chats, json={"name": WORDS})
    said = await asked.client.post(f"{chats}/{chat}/messages", json={"content": WORDS})

    told = {"error": "Nothing is stored for this account."}
    assert [(answer.status_code, answer.json()) for answer in (made, said)] == [(400, told)] * 2
    assert (asked.upstream.requests, await asked.where(WORDS)) == ([], [])
