"""Rows 24 and 31 to 39: clients that leave, each at its moment, and clients that read slowly or not at all."""

import asyncio
from dataclasses import replace

import orjson
import pytest
from openai import AsyncOpenAI

from llm_backend.domain.identity import Caller
from llm_backend.domain.streams import StreamedAnswer
from llm_backend.domain.trades import CHAT
from llm_backend.domain.work import Work
from llm_backend.errors import ClientLeft
from tests.databases import BOTH
from tests.faults.asking import HELLO, asked, events_in
from tests.faults.leaving import WAYS, Client, Leaving, request
from tests.faults.stage import Stage, told
from tests.faulty import Hang, chunk, completion, head, usage

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("module_database", BOTH, indirect=True, scope="module"),
]

STREAMED = HELLO | {"stream": True}
LEFT = ("failed", "estimated", "client_disconnected")
LEFT_WITHIN = ("incomplete", "estimated", "client_disconnected")


@pytest.fixture(scope="module")
def toml() -> str:
    """No deadline is waited for here, and fifty at once may take a slow machine longer than a short one."""
    return ""


@pytest.mark.parametrize("stream", [False, True])
async def test_whoever_leaves_before_the_upstream_is_asked_costs_nothing(stage: Stage, stream: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    # Row 31
    exchanges = stage.running.services.exchanges
    caller = Caller(stage.running.account_id, "tests", None)
    work = Work(caller, "req_1", "createChatCompletion", "/chat/completions", STREAMED if stream else HELLO, {}, stream)
    exchange = await exchanges.stream(work, CHAT) if stream else await exchanges.whole(work, CHAT)

    exchange.abandon()

    with pytest.raises(ClientLeft):
        await (exchange.begun() if isinstance(exchange, StreamedAnswer) else exchange.answer())
    assert await stage.records() == []
    assert stage.upstream.requests == []


@pytest.mark.parametrize("leave", WAYS)
async def test_whoever_leaves_within_the_request_costs_nothing(stage: Stage, leave: Leaving) -> None:
    # Row 31
    client = await Client.of(stage.running)
    client.writer.write(request(stage.running, HELLO)[:-5])
    await client.writer.drain()

    leave(client)

    await asked(stage.running)  # a later one is through: the first is over
    assert len(await stage.records()) == len(stage.upstream.requests) == 3


@pytest.mark.parametrize("body", [HELLO, STREAMED], ids=["whole", "streamed"])
@pytest.mark.parametrize("leave", [*WAYS, Client.half_closes])
async def test_whoever_leaves_before_the_first_byte_pays_for_the_prompt(
    stage: Stage, leave: Leaving, body: object
) -> None:
    # Rows 24, 32 and 35
    stage.upstream.hangs()
    client = await Client.asking(stage.running, body)
    received = await stage.upstream.received()

    leave(client)

    await received.gone.wait()
    (record,) = await stage.records()
    assert told(record) == LEFT
    assert record.prompt_tokens > 0
    assert record.completion_tokens == 0
    await asyncio.gather(*stage.running.server.server_state.tasks)
    assert [line["status"] for line in stage.log if line["event"] == "request"] == [499]
    client.writer.close()


@pytest.mark.parametrize("body", [HELLO, STREAMED], ids=["whole", "streamed"])
async def test_whoever_leaves_between_two_attempts_pays_for_neither(stage: Stage, body: object) -> None:
    stage.upstream.answers({}, status=503, headers={"retry-after": "5"})
    client = await Client.asking(stage.running, body)
    await stage.upstream.received()
    exchange = stage.exchange
    while exchange.attempt_id is not None:  # noqa: ASYNC110 (it has no event to tell that)
        await asyncio.sleep(0)

    client.leaves()

    assert await stage.told() == [("failed", "void", "upstream_error")]
    assert len(stage.upstream.requests) == 1


@pytest.mark.parametrize("leave", WAYS)
async def test_whoever_leaves_within_a_whole_answer_pays_for_the_prompt(stage: Stage, leave: Leaving) -> None:
    # Row 24
    sent = asyncio.Event()
    stage.upstream.raw(head(200, content_type="application/json", content_length="99"), b'{"id": ', sent, Hang)
    sent.set()
    client = await Client.asking(stage.running, HELLO)
    received = await stage.upstream.received()

    leave(client)

    await received.gone.wait()
    assert await stage.told() == [LEFT]


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("leave", [*WAYS, Client.half_closes])
async def test_whoever_leaves_within_a_stream_pays_for_what_had_come(stage: Stage, leave: Leaving, number: int) -> None:
    # Rows 33 and 35
    stage.upstream.streams(*(["word "] * number), Hang)
    client = await Client.asking(stage.running, STREAMED)
    await client.events(number)

    leave(client)

    await stage.upstream.requests[0].gone.wait()
    (record,) = await stage.records()
    assert told(record) == LEFT_WITHIN
    assert record.completion_tokens == -(-5 * number // 4)
    assert record.prompt_tokens > 0
    client.writer.close()


@pytest.mark.parametrize("leave", WAYS)
async def test_whoever_leaves_at_the_finish_is_recorded_with_the_reported_usage(
    stage: Stage, leave: Leaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Row 34
    has_left = asyncio.Event()
    stage.upstream.streams("Hello", chunk(finish="stop"), has_left, usage(11, 7))
    client = await Client.asking(stage.running, STREAMED)
    await client.events(2)
    exchange = stage.exchange
    assert isinstance(exchange, StreamedAnswer)
    abandon = exchange._pipe.abandon

    def abandoned() -> None:
        abandon()
        has_left.set()

    monkeypatch.setattr(exchange._pipe, "abandon", abandoned)

    leave(client)

    (record,) = await stage.records()
    assert told(record) == ("completed", "reported", None)
    assert (record.prompt_tokens, record.completion_tokens) == (11, 7)


async def test_a_usage_that_does_not_come_is_not_waited_for_long(stage: Stage) -> None:
    # Row 34
    stage.upstream.streams("Hello", chunk(finish="stop"), Hang)
    client = await Client.asking(stage.running, STREAMED)
    await client.events(2)
    exchange = stage.exchange
    assert isinstance(exchange, StreamedAnswer)
    exchange._limits = replace(exchange._limits, drain_seconds=0.0)

    client.leaves()

    await stage.upstream.requests[0].gone.wait()
    assert await stage.told() == [("completed", "estimated", "client_disconnected")]


async def test_a_request_behind_a_stream_is_answered_after_it(stage: Stage) -> None:
    # Row 37
    goes_on = asyncio.Event()
    stage.upstream.streams("Hel", goes_on, "lo", chunk(finish="stop"), usage(1, 1))
    stage.upstream.answers(completion("second"))
    client = await Client.asking(stage.running, STREAMED)
    await client.head()
    client.writer.write(request(stage.running, HELLO))
    await client.writer.drain()
    goes_on.set()

    first = await chunks(client)
    second_head = await client.head()
    second = await client.reader.readexactly(length(second_head))

    assert events_in(first)[-1] == "[DONE]"
    assert orjson.loads(second)["choices"][0]["message"]["content"] == "second"
    assert await stage.told() == [("completed", "reported", None)] * 2
    client.writer.close()


async def test_a_stream_says_that_it_is_not_to_be_buffered(stage: Stage) -> None:
    # Row 38
    stage.upstream.streams("Hello")

    answer = await asked(stage.running, stream=True)

    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in answer.headers


async def test_three_hundred_departures_leave_a_pool_that_works(stage: Stage) -> None:
    # Row 30
    stage.upstream.streams("Hello", Hang)

    async def leaves(number: int) -> None:
        client = await Client.asking(stage.running, STREAMED)
        await stage.upstream.received(50 * (number // 50) + 50)
        await client.events(number % 2)
        WAYS[number % 3 == 0](client)

    for start in range(0, 300, 50):
        await asyncio.gather(*(leaves(number) for number in range(start, start + 50)))
    await stage.running.quiet()

    session = stage.running.services.upstreams.default._transport._session  # type: ignore[attr-defined]
    assert len(session.connector._acquired) == 0
    assert len(await stage.records()) == len(stage.upstream.requests) == 300
    stage.upstream.forget()
    stage.upstream.answers(completion("Hello"))
    answers = await asyncio.gather(*(asked(stage.running) for _ in range(20)))
    assert [answer.said for answer in answers] == ["Hello"] * 20


async def test_the_sdk_asks_again_and_both_attempts_are_recorded(stage: Stage) -> None:
    # Row 39
    refusal = {"error": {"message": "Slower.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
    stage.upstream.answers(refusal, status=429)
    stage.upstream.answers(completion("Hello"))

    async with AsyncOpenAI(base_url=stage.running.base_url, api_key=stage.running.key) as client:
        answer = await client.chat.completions.create(**HELLO)

    assert answer.choices[0].message.content == "Hello"
    assert await stage.told() == [("failed", "void", "rate_limit_exceeded"), ("completed", "reported", None)]
    lines = [line for line in stage.log if line["event"] == "request"]
    assert [line.get("retry_count") for line in lines] == [0, 1]
    assert lines[0]["request_id"] != lines[1]["request_id"]


async def chunks(client: Client) -> bytes:
    """A chunked body to its end, and not a byte more."""
    body = b""
    while size := int(await client.reader.readuntil(b"\r\n"), 16):
        body += await client.reader.readexactly(size)
        await client.reader.readexactly(2)
    await client.reader.readexactly(2)
    return body


def length(answer_head: bytes) -> int:
    lines = answer_head.decode().lower().splitlines()
    (found,) = [line for line in lines if line.startswith("content-length:")]
    return int(found.partition(":")[2])
