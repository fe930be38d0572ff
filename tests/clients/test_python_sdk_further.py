"""The official Python SDK, newest 3.x: completions, embeddings, many streams at once, and what lies below the types."""

import asyncio
from math import isclose

import pytest
from openai import AsyncOpenAI

from tests.clients.test_python_sdk import says
from tests.serving import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_older_completions_are_answered_whole(client: AsyncOpenAI, platform: Running) -> None:
    answer = await client.completions.create(model="echo", prompt=["one two", "three"], logprobs=1)

    assert [choice.text for choice in answer.choices] == ["one two", "three"]
    assert answer.object == "text_completion"
    assert answer.choices[0].logprobs
    (record,) = await platform.records()
    assert (record.operation, record.prompt_tokens, record.completion_tokens) == ("createCompletion", 3, 3)


async def test_the_older_completions_are_streamed(client: AsyncOpenAI, platform: Running) -> None:
    stream = await client.completions.create(model="echo", prompt="one two three", stream=True)
    chunks = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].text for chunk in chunks) == "one two three"
    assert chunks[-1].choices[0].finish_reason == "stop"
    (record,) = await platform.records()
    assert (record.stream, record.basis, record.completion_tokens) == (True, "reported", 3)


async def test_embeddings_come_as_base64_which_the_sdk_asks_for_and_are_the_floats(client: AsyncOpenAI) -> None:
    texts = ["a green tree", "a green tree", "a green bush", "thirteen clocks"]
    packed = await client.embeddings.create(model="echo-embedding", input=texts)
    plain = await client.embeddings.create(model="echo-embedding", input=texts, encoding_format="float")

    same, again, near, far = (each.embedding for each in packed.data)
    assert same == again
    assert all(isclose(a, b, abs_tol=1e-6) for a, b in zip(same, plain.data[0].embedding, strict=True))
    assert isclose(_product(same, same), 1, abs_tol=1e-5)
    assert _product(same, near) > _product(same, far)
    assert packed.usage.prompt_tokens == 11


async def test_embeddings_may_be_as_short_as_one_likes(client: AsyncOpenAI, platform: Running) -> None:
    answer = await client.embeddings.create(model="echo", input="a tree", dimensions=8)

    assert len(answer.data[0].embedding) == 8
    (record,) = await platform.records()
    assert (record.operation, record.prompt_tokens, record.completion_tokens) == ("createEmbedding", 2, 0)


async def test_thirty_streams_at_once_are_not_mixed_up(client: AsyncOpenAI, platform: Running) -> None:
    async def said(number: int) -> str:
        text = " ".join([f"word{number}"] * 20)
        stream = await client.chat.completions.create(model="echo", messages=says(text), stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    answers = await asyncio.gather(*map(said, range(30)))

    assert answers == [" ".join([f"word{number}"] * 20) for number in range(30)]
    records = await platform.records()
    assert [(record.status, record.basis) for record in records] == [("completed", "reported")] * 30
    assert len({record.request_id for record in records}) == 30


async def test_raw_headers_are_those_of_openai(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="echo", messages=says("Hi"))

    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["openai-version"] == "2020-10-01"
    assert int(raw.headers["openai-processing-ms"]) >= 0
    assert raw.request_id == raw.headers["x-request-id"]
    assert raw.parse().choices[0].message.content == "Hi"


async def test_the_raw_headers_of_a_stream_keep_proxies_from_holding_it_back(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="echo", messages=says("Hi"), stream=True)
    async with raw.parse() as stream:
        said = [chunk.choices[0].delta.content async for chunk in stream]

    assert raw.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (raw.headers["cache-control"], raw.headers["x-accel-buffering"]) == ("no-store", "no")
    assert raw.request_id
    assert "Hi" in said


async def test_a_streaming_response_is_read_line_by_line(client: AsyncOpenAI) -> None:
    asked = client.chat.completions.with_streaming_response.create(model="echo", messages=says("Grüße"), stream=True)
    async with asked as response:
        lines = [line async for line in response.iter_lines()]

    events = [line for line in lines if line]
    assert all(line.startswith("data: ") and line.isascii() for line in events)
    assert events[-1] == "data: [DONE]"


async def test_the_clients_own_request_id_is_kept_and_recorded(client: AsyncOpenAI, platform: Running) -> None:
    answer = await client.chat.completions.create(
        model="echo", messages=says("Hi"), extra_headers={"x-request-id": "req_of_the_client"}
    )

    assert answer._request_id == "req_of_the_client"
    (record,) = await platform.records()
    assert record.request_id == "req_of_the_client"


async def test_organization_project_and_beta_headers_do_no_harm(platform: Running) -> None:
    headers = {"OpenAI-Beta": "assistants=v2"}
    async with AsyncOpenAI(
        base_url=platform.base_url,
        api_key=platform.key,
        organization="org-x",
        project="proj_x",
        default_headers=headers,
    ) as sdk:
        answer = await sdk.chat.completions.create(model="echo", messages=says("Hi"))

    assert answer.choices[0].message.content == "Hi"


async def test_a_base_url_without_its_version_is_understood(platform: Running) -> None:
    async with AsyncOpenAI(base_url=platform.root, api_key=platform.key) as sdk:
        answer = await sdk.chat.completions.create(model="echo", messages=says("Hi"))

    assert answer.choices[0].message.content == "Hi"


def _product(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
