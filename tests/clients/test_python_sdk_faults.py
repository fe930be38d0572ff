"""The official Python SDK, newest 3.x, while the upstream fails or the client leaves: what is seen, what is paid."""

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionStreamOptionsParam

from tests.clients.test_python_sdk import says
from tests.databases import ON_SQLITE
from tests.faulty import Cut, FaultyUpstream, chunk, completion, error, usage
from tests.serving import Running
from tests.told import Json


@pytest.fixture
async def sdk(relaying: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=relaying.base_url, api_key=relaying.key) as client:
        yield client


@pytest.fixture
async def patient_sdk(patient: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=patient.base_url, api_key=patient.key) as client:
        yield client


@ON_SQLITE
async def test_unknown_fields_reach_the_upstream_as_they_were_sent(sdk: AsyncOpenAI, upstream: FaultyUpstream) -> None:
    upstream.answers(completion("Hi"))
    fields = {"top_k": 5, "chat_template_kwargs": {"thinking": [None, 1.5, "Grüße"]}, "min_p": 0}

    await sdk.chat.completions.create(model="any/model", messages=says("Hi"), seed=7, extra_body=fields)

    body = upstream.requests[0].json
    assert {name: body[name] for name in fields} == fields
    assert (body["model"], body["seed"], body["messages"]) == ("any/model", 7, says("Hi"))


@ON_SQLITE
async def test_fields_that_would_configure_the_upstream_never_reach_it(
    sdk: AsyncOpenAI, upstream: FaultyUpstream
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.chat.completions.create(model="m", messages=says("Hi"), extra_body={"mock_response": "yes"})

    assert (raised.value.param, raised.value.code) == ("mock_response", "unknown_parameter")
    assert upstream.requests == []


@ON_SQLITE
async def test_a_rate_limit_without_a_time_is_tried_again_by_the_sdk(
    sdk: AsyncOpenAI, relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers(error("Slow down."), status=429)
    upstream.answers(completion("Hi"))

    answer = await sdk.chat.completions.create(model="m", messages=says("Hi"))

    assert answer.choices[0].message.content == "Hi"
    assert [request.headers["x-stainless-retry-count"] for request in upstream.requests] == ["0", "1"]
    first, second = await relaying.records()
    assert first.request_id != second.request_id
    assert [(each.status, each.basis) for each in (first, second)] == [("failed", "void"), ("completed", "reported")]


@ON_SQLITE
async def test_a_short_rate_limit_is_waited_for_here_and_the_sdk_never_sees_it(
    sdk: AsyncOpenAI, relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers(error("Slow down."), status=429, headers={"retry-after-ms": "1"})
    upstream.answers(completion("Hi"))

    raw = await sdk.chat.completions.with_raw_response.create(model="m", messages=says("Hi"))

    assert raw.retries_taken == 0
    assert [request.headers["x-stainless-retry-count"] for request in upstream.requests] == ["0", "0"]
    assert len({record.request_id for record in await relaying.records()}) == 1


@ON_SQLITE
async def test_a_long_rate_limit_is_told_and_the_sdk_does_not_wait_for_it(
    sdk: AsyncOpenAI, upstream: FaultyUpstream
) -> None:
    upstream.answers(error("Tomorrow."), status=429, headers={"retry-after": "121"})

    with pytest.raises(openai.RateLimitError) as raised:
        await sdk.chat.completions.create(model="m", messages=says("Hi"))

    assert raised.value.code == "rate_limit_exceeded"
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(upstream.requests) == 1


@ON_SQLITE
async def test_a_failing_upstream_is_tried_three_times_here_and_never_again_by_the_sdk(
    sdk: AsyncOpenAI, relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers(error("Broken."), status=500)

    with pytest.raises(openai.InternalServerError) as raised:
        await sdk.chat.completions.create(model="m", messages=says("Hi"))

    assert (raised.value.status_code, raised.value.code) == (502, "upstream_error")
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(upstream.requests) == 3
    assert [(record.status, record.basis) for record in await relaying.records()] == [("failed", "void")] * 3


@ON_SQLITE
async def test_an_upstream_that_says_nothing_is_asked_once_for_it_may_have_worked(
    sdk: AsyncOpenAI, relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.hangs()

    with pytest.raises(openai.InternalServerError) as raised:
        await sdk.chat.completions.create(model="m", messages=says("Hi"))

    assert (raised.value.status_code, raised.value.code) == (504, "upstream_timeout")
    assert len(upstream.requests) == 1
    (record,) = await relaying.records()
    assert (record.status, record.basis, record.completion_tokens) == ("failed", "estimated", 0)


STATUSES = {
    400: openai.BadRequestError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    413: openai.APIStatusError,
    415: openai.APIStatusError,
    422: openai.UnprocessableEntityError,
}


@ON_SQLITE
async def test_what_the_upstream_refuses_is_the_exception_it_would_have_been(
    sdk: AsyncOpenAI, upstream: FaultyUpstream
) -> None:
    refusal = {"message": "No.", "type": "invalid_request_error", "param": "tools[0]", "code": "not_like_this"}
    for status in STATUSES:
        upstream.answers({"error": refusal}, status=status)

    for status, kind in STATUSES.items():
        with pytest.raises(kind) as raised:
            await sdk.with_options(max_retries=0).chat.completions.create(model="m", messages=says("Hi"))

        assert raised.value.status_code == status
        assert (raised.value.param, raised.value.code) == ("tools[0]", "not_like_this")


@ON_SQLITE
async def test_the_servers_own_wrong_key_is_no_fault_of_the_client(sdk: AsyncOpenAI, upstream: FaultyUpstream) -> None:
    upstream.answers(error("Incorrect key sk-upstream-canary-0123456789abcdef."), status=401)

    with pytest.raises(openai.InternalServerError) as raised:
        await sdk.chat.completions.create(model="m", messages=says("Hi"), stream=True)

    assert (raised.value.status_code, raised.value.code) == (502, "upstream_auth_failed")
    assert "canary" not in raised.value.response.text
    assert len(upstream.requests) == 1


async def listened(stream: openai.AsyncStream[ChatCompletionChunk], said: list[str]) -> None:
    """Adds the words of `stream` to `said` for as long as they come."""
    async for each in stream:
        said.append(each.choices[0].delta.content or "")  # noqa: PERF401 (what came before the error is to be kept)


ENDINGS: list[tuple[bytes | Json, str]] = [
    (b"", "upstream_invalid_response"),
    (b"data: {broken\n\n", "upstream_invalid_response"),
    (error("The cards overheated."), "upstream_error"),
    (b'event: error\ndata: {"message": "Overheated."}\n\n', "upstream_error"),
]


@ON_SQLITE
async def test_a_stream_that_breaks_off_raises_after_the_words_that_came(
    sdk: AsyncOpenAI, relaying: Running, upstream: FaultyUpstream
) -> None:
    for ending, _ in ENDINGS:
        upstream.streams(chunk("Hel"), chunk("lo"), ending, Cut)

    for _, code in ENDINGS:
        said: list[str] = []

        stream = await sdk.chat.completions.create(model="m", messages=says("Hi"), stream=True)
        with pytest.raises(openai.APIError) as raised:
            await listened(stream, said)

        assert ("".join(said), raised.value.code) == ("Hello", code)
        record = (await relaying.records())[-1]
        assert (record.status, record.basis, record.error_code) == ("incomplete", "estimated", code)
    assert len(upstream.requests) == len(ENDINGS)


@ON_SQLITE
async def test_usage_is_always_asked_for_and_given_to_those_who_asked(
    sdk: AsyncOpenAI, relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.streams(usage(3, 0) | {"choices": chunk("Hi")["choices"]}, chunk(finish="stop"), usage(3, 1))
    seen: list[list[int]] = []

    asked: list[ChatCompletionStreamOptionsParam | None] = [None, {"include_usage": False}, {"include_usage": True}]
    for options in asked:
        stream = await sdk.chat.completions.create(model="m", messages=says("Hi"), stream=True, stream_options=options)
        seen.append([each.usage.total_tokens for each in [each async for each in stream] if each.usage])

    assert seen == [[], [], [4]]
    assert all(request.json["stream_options"]["include_usage"] is True for request in upstream.requests)
    assert [(record.basis, record.total_tokens) for record in await relaying.records()] == [("reported", 4)] * 3


async def test_a_client_that_closes_its_stream_cuts_the_upstream_and_pays_for_what_came(
    patient_sdk: AsyncOpenAI, patient: Running, upstream: FaultyUpstream
) -> None:
    upstream.streams("one", " two", asyncio.Event())

    stream = await patient_sdk.chat.completions.create(model="m", messages=says("Hi"), stream=True)
    words = [(await anext(stream)).choices[0].delta.content for _ in range(2)]
    await stream.close()
    await upstream.requests[0].gone.wait()

    assert words == ["one", " two"]
    (record,) = await patient.records()
    assert (record.status, record.basis, record.completion_tokens) == ("incomplete", "estimated", 2)
    assert record.error_code == "client_disconnected"


async def test_a_client_whose_patience_ends_cuts_the_upstream(
    patient_sdk: AsyncOpenAI, patient: Running, upstream: FaultyUpstream
) -> None:
    upstream.hangs()
    hasty = patient_sdk.with_options(max_retries=0, timeout=0.3)

    with pytest.raises(openai.APITimeoutError):
        await hasty.chat.completions.create(model="m", messages=says("Hi"))
    request = await upstream.received()
    await request.gone.wait()

    (record,) = await patient.records()
    assert (record.status, record.basis, record.error_code) == ("failed", "estimated", "client_disconnected")
    assert len(upstream.requests) == 1


@ON_SQLITE
async def test_comments_that_keep_a_silent_stream_alive_are_passed_over(
    patient_sdk: AsyncOpenAI, upstream: FaultyUpstream
) -> None:
    comment_seen = asyncio.Event()
    upstream.streams("one", comment_seen, " two")

    asked = patient_sdk.chat.completions.with_streaming_response.create(model="m", messages=says("Hi"), stream=True)
    async with asked as response:
        async for line in response.iter_lines():
            if line.startswith(":"):
                comment_seen.set()
    stream = await patient_sdk.chat.completions.create(model="m", messages=says("Hi"), stream=True)
    said = "".join([each.choices[0].delta.content or "" async for each in stream])

    assert said == "one two"
