"""How many tokens a request for a response would have: free of charge, whatever the upstream can do."""

from pathlib import Path

import httpx
import pytest

from llm_backend.domain.prompts import text_bytes
from tests.databases import ON_SQLITE
from tests.faulty import FaultyUpstream, completion
from tests.handlers.answering import KINDS, answering, asker, native, native_client, refused, told
from tests.handlers.relaying import client, other
from tests.serving import Running, serving

__all__ = ["answering", "asker", "client", "native", "native_client", "other"]

COUNT = "/input_tokens"
ADD = {"type": "function", "name": "add", "description": "Adds two numbers", "parameters": {"type": "object"}}


async def test_more_words_are_more_tokens_and_none_are_charged(asker: httpx.AsyncClient, answering: Running) -> None:
    few = await told(asker, COUNT, model="echo", input="one two three four")
    more = await told(asker, COUNT, model="echo", input="one two three four " * 10, tools=[ADD])

    assert few["object"] == "response.input_tokens"
    assert 0 < few["input_tokens"] < more["input_tokens"]
    assert await answering.records() == []


@pytest.mark.parametrize("by", ["previous_response_id", "conversation"])
async def test_what_was_said_before_is_counted_too(asker: httpx.AsyncClient, answering: Running, by: str) -> None:
    talk = (await asker.post("/conversations", json={"items": []})).json()["id"]
    words = "a long story of many words " * 20
    first = await told(asker, "", model="echo", input=words, **({"conversation": talk} if by == "conversation" else {}))
    alone = await told(asker, COUNT, model="echo", input="And then?")

    after = await told(
        asker, COUNT, model="echo", input="And then?", **{by: first["id"] if by == "previous_response_id" else talk}
    )

    assert after["input_tokens"] > alone["input_tokens"] + 50
    assert len(await answering.records()) == 1


async def test_another_beta_of_it_is_the_same(asker: httpx.AsyncClient) -> None:
    usual = await told(asker, COUNT, model="echo", input="Hello")

    beta = await asker.post("/responses/input_tokens?beta=true", json={"model": "echo", "input": "Hello"})

    assert beta.json() == usual


async def test_an_upstream_that_counts_is_asked_with_all_that_was_said_and_nothing_else(
    native_client: httpx.AsyncClient, native: Running, upstream: FaultyUpstream
) -> None:
    items = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    talk = (await native_client.post("/conversations", json={"items": items})).json()["id"]
    upstream.answers({"object": "response.input_tokens", "input_tokens": 37, "else": 1})

    counted = await told(native_client, COUNT, model="m", input="Go on", conversation=talk, tools=[ADD])

    assert counted == {"object": "response.input_tokens", "input_tokens": 37}
    [asked] = upstream.requests
    assert asked.path == "/v1/responses/input_tokens"
    assert asked.json.keys() == {"model", "input", "tools"}
    said = [(item["role"], item["content"][0]["text"]) for item in asked.json["input"]]
    assert said == [("user", "Hello"), ("assistant", "Hi"), ("user", "Go on")]
    assert await native.records() == []


async def test_a_beta_is_asked_for_as_such(native_client: httpx.AsyncClient, upstream: FaultyUpstream) -> None:
    upstream.answers({"object": "response.input_tokens", "input_tokens": 37})
    headers = {"openai-beta": "responses_multi_agent=v1"}

    await native_client.post("/responses/input_tokens?beta=true", json={"model": "m", "input": "Hi"}, headers=headers)

    [asked] = upstream.requests
    assert (asked.path, asked.headers["openai-beta"]) == (
        "/v1/responses/input_tokens?beta=true",
        "responses_multi_agent=v1",
    )


@pytest.mark.parametrize("wrong", [{"object": "response.input_tokens"}, {"input_tokens": -1}, ["no object"]])
async def test_an_upstream_that_counts_nothing_has_failed(
    native_client: httpx.AsyncClient, upstream: FaultyUpstream, wrong: object
) -> None:
    upstream.answers(wrong)

    assert (await refused(native_client, COUNT, model="m", input="Hello"))[0] == 502


async def test_where_there_are_chats_only_the_texts_of_the_chat_are_estimated_and_nobody_is_asked(
    client: httpx.AsyncClient, relaying: Running, upstream: FaultyUpstream
) -> None:
    chat = {"messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hello " * 100}]}

    counted = await told(client, COUNT, model="m", instructions="Be brief", input="Hello " * 100)

    assert counted["input_tokens"] == -(-text_bytes(chat) // 4)
    assert upstream.requests == []
    assert await relaying.records() == []


async def test_the_estimate_is_by_what_the_model_said_before_of_its_tokens(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    first = await told(client, COUNT, model="m", input="Hello " * 100)
    upstream.answers(completion("Hi", prompt=300, tokens=1))
    await told(client, "", model="m", input="Hello " * 100)

    assert (await told(client, COUNT, model="m", input="Hello " * 100))["input_tokens"] > first["input_tokens"]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"input": "Hello"}, "missing_required_parameter", "model"),
        ({"model": "m"}, "missing_required_parameter", "input"),
        ({"model": "m", "input": "Hello", "tools": [{"type": "web_search"}]}, "unsupported_value", "tools[0].type"),
        (
            {"model": "m", "input": [{"type": "compaction", "encrypted_content": "gAAA"}]},
            "unsupported_value",
            "input[0].encrypted_content",
        ),
    ],
)
async def test_what_no_chat_can_be_asked_is_not_counted(
    client: httpx.AsyncClient, body: dict[str, object], code: str, param: str
) -> None:
    assert await refused(client, COUNT, **body) == (400, code, param)


async def test_what_another_account_said_cannot_be_counted(
    client: httpx.AsyncClient, other: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    upstream.answers(completion("Hi"))
    first = await told(client, "", model="m", input="Hello")

    found = await refused(other, COUNT, model="m", input="And then?", previous_response_id=first["id"])

    assert found == (404, "previous_response_not_found", "previous_response_id")


@ON_SQLITE
@pytest.mark.parametrize("kind", KINDS)
async def test_counting_takes_of_the_rate_limits(database_url: str, tmp_path: Path, kind: str) -> None:
    toml = "[limits]\nkey_requests_per_minute = 1\n"
    async with (
        serving(database_url, tmp_path, toml=toml, UPSTREAM_RESPONSES=kind) as running,
        httpx.AsyncClient(base_url=running.base_url, headers=running.headers) as client,
    ):
        first = await client.post("/responses/input_tokens", json={"model": "echo", "input": "Hello"})
        second = await client.post("/responses/input_tokens", json={"model": "echo", "input": "Hello"})

    assert (first.status_code, first.headers["x-ratelimit-remaining-requests"]) == (200, "0")
    assert (second.status_code, second.json()["error"]["code"]) == (429, "rate_limit_exceeded")
