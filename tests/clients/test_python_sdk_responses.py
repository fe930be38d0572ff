"""The official Python SDK, newest 3.x: responses."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.serving import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_response_is_answered_kept_gone_on_with_and_charged(client: AsyncOpenAI, platform: Running) -> None:
    first = await client.responses.create(model="echo", input="one two")
    second = await client.responses.create(model="echo", input="three", previous_response_id=first.id)

    assert first.usage
    assert (first.output_text, second.previous_response_id) == ("one two", first.id)
    assert (await client.responses.retrieve(first.id)).output_text == "one two"
    assert len([item async for item in client.responses.input_items.list(first.id)]) == 1
    await client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(first.id)
    record = (await platform.records())[0]
    assert (record.operation, record.basis) == ("createResponse", "reported")
    assert (record.prompt_tokens, record.completion_tokens) == (first.usage.input_tokens, first.usage.output_tokens)


async def test_a_response_is_streamed_as_typed_events(client: AsyncOpenAI, platform: Running) -> None:
    stream = await client.responses.create(model="echo", input="one two", stream=True)
    events = [event async for event in stream]

    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "one two"
    (record,) = await platform.records()
    assert (record.stream, record.basis, record.completion_tokens) == (True, "reported", 2)


class Capital(BaseModel):
    country: str
    city: str


async def test_a_response_calls_tools_and_follows_a_schema(client: AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    tools: Any = [{"type": "function", "name": "get_weather", "parameters": schema, "strict": True}]
    called = await client.responses.create(model="echo", input="[[tool get_weather city=Paris]] Warm?", tools=tools)
    parsed = await client.responses.parse(model="echo", input="Paris", text_format=Capital)

    (call,) = (item for item in called.output if item.type == "function_call")
    assert json.loads(call.arguments) == {"city": "Paris"}
    assert parsed.output_parsed == Capital(country="Paris", city="Paris")


async def test_what_is_anothers_is_not_found(client: AsyncOpenAI, stranger: AsyncOpenAI) -> None:
    response, conversation = (
        await client.responses.create(model="echo", input="mine"),
        await client.conversations.create(),
    )
    asked: list[Awaitable[object]] = [
        stranger.responses.retrieve(response.id),
        stranger.responses.create(model="echo", input="on", previous_response_id=response.id),
        stranger.responses.create(model="echo", input="on", conversation=conversation.id),
    ]

    raised = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(error) for error in raised] == [openai.NotFoundError] * len(asked)
