"""The whole, on a real socket: from a request to its record."""

import asyncio
from dataclasses import dataclass

import aiohttp
import orjson
from structlog.testing import capture_logs

from llm_backend.errors import Json
from tests.faulty import Cut, FaultyUpstream, Hang, chunk, completion, head
from tests.serving import Running

HELLO: Json = {"model": "echo", "messages": [{"role": "user", "content": "Hello there"}]}


@dataclass(frozen=True)
class Answered:
    status: int
    content_type: str
    body: bytes


async def asked(running: Running, body: Json) -> Answered:
    """The answer to a chat completion, as a plain client sees it."""
    url = f"{running.base_url}/chat/completions"
    async with aiohttp.ClientSession(headers=running.headers) as client, client.post(url, json=body) as answer:
        return Answered(answer.status, answer.headers["content-type"], await answer.read())


async def test_a_chat_completion_is_answered_and_recorded(running: Running) -> None:
    answer = await asked(running, HELLO)

    said = orjson.loads(answer.body)
    assert answer.content_type == "application/json"

    assert said["choices"][0]["message"]["content"] == "Hello there"
    (record,) = await running.records()
    assert (record.status, record.basis, record.prompt_tokens, record.completion_tokens) == (
        "completed",
        "reported",
        2,
        2,
    )


async def test_a_stream_comes_word_by_word_without_the_usage_nobody_asked_for(running: Running) -> None:
    answer = await asked(running, HELLO | {"stream": True})

    events = answer.body.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [orjson.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert all(chunk["choices"] for chunk in chunks)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Hello there"
    (record,) = await running.records()
    assert (record.basis, record.completion_tokens) == ("reported", 2)


async def test_a_stream_cut_upstream_ends_in_an_error_and_is_recorded_as_estimated(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.streams(chunk("Hel"), chunk("lo"), Cut)

    answer = await asked(relaying, HELLO | {"stream": True})

    *_, last, end = answer.body.decode().split("\n\n")
    assert orjson.loads(last.removeprefix("data: "))["error"]["code"] == "upstream_invalid_response"
    assert end == ""
    (record,) = await relaying.records()
    assert (record.status, record.basis, record.completion_tokens) == ("incomplete", "estimated", 2)


async def test_one_stream_after_another_takes_one_connection_upstream(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.streams(chunk("Hello"))

    for _ in range(3):
        await asked(relaying, HELLO | {"stream": True})
        await relaying.quiet()

    assert upstream.connections == 1


async def test_half_a_surrogate_in_an_answer_becomes_a_lost_character(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    told = orjson.dumps(completion("half")).replace(b"half", b"half \\ud83d")
    upstream.raw(head(200, content_type="application/json", content_length=str(len(told))), told)

    answer = await asked(relaying, HELLO)

    assert orjson.loads(answer.body)["choices"][0]["message"]["content"] == "half \ufffd"


async def test_a_stream_that_its_client_left_is_logged_as_it_is_recorded(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.streams(chunk("Hel"), Hang)
    url = f"{relaying.base_url}/chat/completions"

    with capture_logs() as lines:
        async with aiohttp.ClientSession(headers=relaying.headers) as client:
            answer = await client.post(url, json=HELLO | {"stream": True})
            await answer.content.readline()
            answer.close()
        (record,) = await relaying.records()
        while not (said := [line for line in lines if line["event"] == "request"]):  # noqa: ASYNC110 (a log tells nobody)
            await asyncio.sleep(0.005)

    assert (said[0]["complete"], said[0]["departed"], said[0]["basis"]) == (False, True, "estimated")
    assert said[0]["completion_tokens"] == record.completion_tokens
