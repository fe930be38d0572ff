"""The official Python SDK, newest 3.x: what it is used for on an ordinary day."""

import asyncio
import json
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import (
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolUnionParam,
)
from pydantic import BaseModel

from tests.serving import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEATHER: ChatCompletionToolUnionParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


def says(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


async def test_models_are_listed_with_the_ids_that_chatbot_ui_knows(client: AsyncOpenAI) -> None:
    ids = [model.id async for model in client.models.list()]

    assert ids[:3] == ["echo", "echo-reasoning", "echo-embedding"]
    assert set(ids) >= {"gpt-3.5-turbo", "gpt-35-turbo", "gpt-4", "gpt-4-32k"}


async def test_a_model_is_retrieved_by_its_id(client: AsyncOpenAI) -> None:
    model = await client.models.retrieve("echo")

    assert (model.id, model.object, model.owned_by) == ("echo", "model", "llm-backend")


async def test_a_chat_is_answered_whole_and_recorded(client: AsyncOpenAI, platform: Running) -> None:
    answer = await client.chat.completions.create(model="echo", messages=says("Grüße from 世界"))

    assert answer.choices[0].message.content == "Grüße from 世界"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.total_tokens == 6
    (record,) = await platform.records()
    assert (record.status, record.basis, record.total_tokens) == ("completed", "reported", 6)
    assert record.request_id == answer._request_id


def ask_in_a_thread(running: Running) -> tuple[str | None, str]:
    with OpenAI(base_url=running.base_url, api_key=running.key) as sdk:
        whole = sdk.chat.completions.create(model="echo", messages=says("Hello there"))
        stream = sdk.chat.completions.create(model="echo", messages=says("Hello again"), stream=True)
        words = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    return whole.choices[0].message.content, words


async def test_the_synchronous_client_is_answered_too(platform: Running) -> None:
    assert await asyncio.to_thread(ask_in_a_thread, platform) == ("Hello there", "Hello again")
    assert [record.stream for record in await platform.records()] == [False, True]


async def test_a_stream_comes_in_chunks_and_ends_with_one_finish_reason(client: AsyncOpenAI, platform: Running) -> None:
    stream = await client.chat.completions.create(model="echo", messages=says("one two three"), stream=True)
    chunks = [chunk async for chunk in stream]

    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content] == [
        "one",
        " two",
        " three",
    ]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    (record,) = await platform.records()
    assert (record.stream, record.basis, record.completion_tokens) == (True, "reported", 3)


async def test_usage_comes_once_and_last_where_it_was_asked_for(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="echo", messages=says("one two"), stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = [chunk async for chunk in stream]

    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert last.choices == []
    assert last.usage
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (2, 2)


async def test_the_stream_helper_tells_its_events_and_gathers_the_answer(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="echo", messages=says("one two three")) as stream:
        events = [event async for event in stream]
        answer = await stream.get_final_completion()

    said = [event.delta for event in events if event.type == "content.delta" and event.delta]
    assert said == ["one", " two", " three"]
    assert [event.content for event in events if event.type == "content.done"] == ["one two three"]
    assert answer.choices[0].message.content == "one two three"


class Capital(BaseModel):
    country: str
    city: str
    inhabitants: int


async def test_an_answer_is_parsed_into_a_pydantic_model(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.parse(model="echo", messages=says("Paris"), response_format=Capital)

    assert answer.choices[0].message.parsed == Capital(country="Paris", city="Paris", inhabitants=0)


async def test_the_stream_helper_parses_too(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="echo", messages=says("Rome"), response_format=Capital) as stream:
        answer = await stream.get_final_completion()

    assert answer.choices[0].message.parsed == Capital(country="Rome", city="Rome", inhabitants=0)


async def test_an_answer_follows_a_json_schema_that_was_written_by_hand(client: AsyncOpenAI) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"word": {"type": "string"}},
        "required": ["word"],
        "additionalProperties": False,
    }
    answer = await client.chat.completions.create(
        model="echo",
        messages=says("owl"),
        response_format={"type": "json_schema", "json_schema": {"name": "w", "schema": schema, "strict": True}},
    )

    assert json.loads(answer.choices[0].message.content or "") == {"word": "owl"}


async def test_a_tool_is_called_and_its_result_spoken(client: AsyncOpenAI, platform: Running) -> None:
    messages = says("[[tool get_weather city=Paris]] How is the weather?")
    first = await client.chat.completions.create(model="echo", messages=messages, tools=[WEATHER])
    asked = first.choices[0].message
    (call,) = asked.tool_calls or []
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    messages += [
        {"role": "assistant", "tool_calls": [call.model_dump()]},  # type: ignore[list-item]  # as users write it
        {"role": "tool", "tool_call_id": call.id, "content": "Sunny in Paris"},
    ]
    last = await client.chat.completions.create(model="echo", messages=messages, tools=[WEATHER])

    assert first.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    assert last.choices[0].message.content == "Sunny in Paris"
    assert len(await platform.records()) == 2


async def test_parallel_tool_calls_are_gathered_from_a_stream(client: AsyncOpenAI) -> None:
    prompt = "[[tool get_weather city=Paris]] [[tool get_weather city=Rome]] Both?"
    async with client.chat.completions.stream(model="echo", messages=says(prompt), tools=[WEATHER]) as stream:
        events = [event async for event in stream]
        answer = await stream.get_final_completion()

    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.parsed_arguments for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert len({call.id for call in calls}) == 2
    done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert [event.index for event in done] == [0, 1]


async def test_a_conversation_with_tools_runs_to_its_end(client: AsyncOpenAI, platform: Running) -> None:
    messages: list[Any] = says("[[tool get_weather city=Oslo]] [[tool get_weather city=Bern]] Where is it warm?")
    turns = 0
    while True:
        turns += 1
        stream = client.chat.completions.stream(model="echo", messages=messages, tools=[WEATHER])
        async with stream as events:
            choice = (await events.get_final_completion()).choices[0]
        if choice.finish_reason != "tool_calls":
            break
        messages.append(choice.message.to_dict())
        for call in choice.message.tool_calls or ():
            city = json.loads(call.function.arguments)["city"]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"Warm in {city}."})

    assert (turns, choice.finish_reason) == (2, "stop")
    assert choice.message.content == "Warm in Oslo. Warm in Bern."
    assert [record.status for record in await platform.records()] == ["completed"] * 2


async def test_several_choices_are_told_apart(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="echo", messages=says("a b"), n=3, stream=True)
    words = {0: "", 1: "", 2: ""}
    async for chunk in stream:
        for choice in chunk.choices:
            words[choice.index] += choice.delta.content or ""
    whole = await client.chat.completions.create(model="echo", messages=says("a b"), n=3)

    assert words == dict.fromkeys(range(3), "a b")
    assert [choice.message.content for choice in whole.choices] == ["a b"] * 3


async def test_logprobs_come_whole_and_streamed_and_are_the_same(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(
        model="echo", messages=says("a b"), logprobs=True, top_logprobs=2, temperature=0
    )
    stream = await client.chat.completions.create(
        model="echo", messages=says("a b"), logprobs=True, top_logprobs=2, temperature=0, stream=True
    )
    streamed = [
        token
        async for chunk in stream
        for token in (chunk.choices[0].logprobs and chunk.choices[0].logprobs.content) or ()
    ]

    assert whole.choices[0].logprobs
    assert [token.token for token in streamed] == ["a", " b"]
    assert whole.choices[0].logprobs.content == streamed
    assert all(len(token.top_logprobs) == 2 for token in streamed)


async def test_a_reasoning_model_tells_its_thoughts_and_counts_them(client: AsyncOpenAI, platform: Running) -> None:
    answer = await client.chat.completions.create(
        model="echo-reasoning", messages=says("four"), reasoning_effort="high", max_completion_tokens=50
    )

    assert answer.choices[0].message.content == "four"
    assert answer.choices[0].message.model_extra
    assert len(answer.choices[0].message.model_extra["reasoning_content"].split()) == 5
    assert answer.usage
    assert answer.usage.completion_tokens_details
    assert answer.usage.completion_tokens_details.reasoning_tokens == 5
    (record,) = await platform.records()
    assert (record.completion_tokens, record.reasoning_tokens) == (6, 5)


async def test_a_refusal_is_told_as_one(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="echo", messages=says("[[refuse]] Never"))

    assert answer.choices[0].message.content is None
    assert answer.choices[0].message.refusal


async def test_an_alias_answers_under_its_own_name(client: AsyncOpenAI, platform: Running) -> None:
    whole = await client.chat.completions.create(model="gpt-4", messages=says("Hi"))
    stream = await client.chat.completions.create(model="gpt-4", messages=says("Hi"), stream=True)

    assert whole.model == "gpt-4"
    assert {chunk.model async for chunk in stream} == {"gpt-4"}
    assert {(record.model, record.upstream_model) for record in await platform.records()} == {("gpt-4", "echo")}
