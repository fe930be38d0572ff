"""The official Python SDK: dialogues of several turns, on every kind of upstream and database."""

import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response

from tests.clients.kinds import client, shared_url, variables

__all__ = ["client", "shared_url", "variables"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
SHELL: Any = {"type": "custom", "name": "shell", "description": "Runs a command.", "format": {"type": "text"}}
TOOLS: Any = [WEATHER, SHELL]
BOTH = "[[tool get_weather city=Paris]] [[tool get_weather city=Rome]] [[tool shell input=ls]] All three."


def calls_of(response: Response) -> list[Any]:
    return [item for item in response.output if item.type in {"function_call", "custom_tool_call"}]


def results_of(response: Response) -> Any:
    """What the tools say that `response` calls."""
    return [
        {"type": f"{call.type}_output", "call_id": call.call_id, "output": f"{call.name} said so"}
        for call in calls_of(response)
    ]


async def test_tools_are_called_at_once_turn_after_turn_from_what_is_kept(client: AsyncOpenAI) -> None:
    previous: str | None = None
    for _ in range(3):
        asked = await client.responses.create(model="echo", input=BOTH, tools=TOOLS, previous_response_id=previous)
        answered = await client.responses.create(
            model="echo", input=results_of(asked), tools=TOOLS, previous_response_id=asked.id
        )
        previous = answered.id

        first, second, third = calls_of(asked)
        assert [json.loads(call.arguments) for call in (first, second)] == [{"city": "Paris"}, {"city": "Rome"}]
        assert (third.type, third.name, bool(third.input)) == ("custom_tool_call", "shell", True)
        assert len({call.call_id for call in (first, second, third)}) == 3
        assert "get_weather said so" in answered.output_text
        assert "shell said so" in answered.output_text
        assert (await client.responses.retrieve(asked.id)).output == asked.output


async def test_tools_are_called_from_a_stream_and_answered_with_the_whole_dialogue(client: AsyncOpenAI) -> None:
    dialogue: list[Any] = [{"role": "user", "content": BOTH}]
    for _ in range(2):
        async with client.responses.stream(model="echo", input=dialogue, tools=TOOLS, store=False) as stream:
            asked = await stream.get_final_response()
        # As their guide has it: all that came goes back, and then what the tools said.
        dialogue += [*asked.output, *results_of(asked)]
        answered = await client.responses.create(model="echo", input=dialogue, tools=TOOLS, store=False)
        dialogue += [*answered.output, {"role": "user", "content": BOTH}]

        assert [call.name for call in calls_of(asked)] == ["get_weather", "get_weather", "shell"]
        assert "shell said so" in answered.output_text


async def test_one_call_at_a_time_and_one_tool_by_name_are_asked_for(client: AsyncOpenAI) -> None:
    one = await client.responses.create(model="echo", input=BOTH, tools=TOOLS, parallel_tool_calls=False)
    named = await client.responses.create(
        model="echo", input="Go", tools=TOOLS, tool_choice={"type": "custom", "name": "shell"}
    )
    none = await client.responses.create(model="echo", input="Go", tools=TOOLS, tool_choice="none")

    assert [call.name for call in calls_of(one)] == ["get_weather"]
    assert [call.name for call in calls_of(named)] == ["shell"]
    assert (calls_of(none), none.output_text) == ([], "Go")


async def test_a_conversation_takes_every_turn_until_it_is_deleted(client: AsyncOpenAI) -> None:
    talk = await client.conversations.create(
        items=[{"type": "message", "role": "user", "content": "zero"}], metadata={"topic": "trees"}
    )
    for said in ("one", "two two"):
        response = await client.responses.create(model="echo", input=said, conversation=talk.id)
        assert response.conversation
        assert (response.conversation.id, response.output_text) == (talk.id, said)
    stream = await client.responses.create(model="echo", input=BOTH, tools=TOOLS, conversation=talk.id, stream=True)
    events = [event async for event in stream]
    assert events[-1].type == "response.completed"
    answered = await client.responses.create(
        model="echo", input=results_of(events[-1].response), tools=TOOLS, conversation={"id": talk.id}
    )

    items: list[Any] = [item async for item in client.conversations.items.list(talk.id, order="asc", limit=4)]

    assert "shell said so" in answered.output_text
    assert [item.content[0].text for item in items if item.type == "message"][:5] == [
        *("zero", "one", "one", "two two", "two two")
    ]
    assert [item.type for item in items[5:]] == [
        "message",
        *("function_call", "function_call", "custom_tool_call"),
        *("function_call_output", "function_call_output", "custom_tool_call_output"),
        "message",
    ]
    shown = await client.conversations.items.retrieve(items[1].id, conversation_id=talk.id)
    await client.conversations.items.delete(items[0].id, conversation_id=talk.id)
    assert shown == items[1]
    assert len([item async for item in client.conversations.items.list(talk.id)]) == len(items) - 1
    assert (await client.conversations.update(talk.id, metadata={"topic": "clocks"})).metadata == {"topic": "clocks"}
    assert (await client.conversations.delete(talk.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(model="echo", input="on", conversation=talk.id)


async def test_a_conversation_gets_the_items_of_what_is_not_to_be_stored(client: AsyncOpenAI) -> None:
    talk = await client.conversations.create()

    response = await client.responses.create(model="echo", input="one", conversation=talk.id, store=False)

    items: list[Any] = [item async for item in client.conversations.items.list(talk.id, order="asc")]
    assert [item.content[0].text for item in items] == ["one", "one"]
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(response.id)


async def test_two_go_on_from_one_response_and_know_nothing_of_each_other(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="echo", input="one")
    left = await client.responses.create(model="echo", input="two two", previous_response_id=first.id)
    right = await client.responses.create(model="echo", input="three three three", previous_response_id=first.id)
    on = await client.responses.create(model="echo", input="four", previous_response_id=right.id)

    used = [response.usage.input_tokens for response in (first, left, right, on) if response.usage]
    assert used == [1, 4, 5, 9]


async def test_instructions_are_for_one_turn_alone(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="echo", input="one", instructions="Speak like a pirate, always.")
    second = await client.responses.create(model="echo", input="two", previous_response_id=first.id)

    assert first.usage
    assert second.usage
    assert (second.instructions, first.usage.input_tokens, second.usage.input_tokens) == (None, 6, 3)
    assert len((await client.responses.input_items.list(first.id)).data) == 1


async def test_thoughts_go_there_and_back_where_nothing_is_stored(client: AsyncOpenAI) -> None:
    dialogue: list[Any] = [{"role": "user", "content": "one two"}]
    for _ in range(3):
        stream = await client.responses.create(
            model="echo-reasoning",
            input=dialogue,
            store=False,
            stream=True,
            include=["reasoning.encrypted_content"],
            reasoning={"effort": "medium", "summary": "auto"},
        )
        events = [event async for event in stream]
        assert events[-1].type == "response.completed"
        answer = events[-1].response
        dialogue += [*(item.to_dict() for item in answer.output), {"role": "user", "content": "one two"}]

        thought, message = answer.output
        assert (thought.type, message.type, answer.output_text) == ("reasoning", "message", "one two")
        assert thought.to_dict() in [e.item.to_dict() for e in events if e.type == "response.output_item.done"]
        assert answer.usage
        assert answer.usage.output_tokens_details.reasoning_tokens == 5


async def test_thoughts_are_kept_and_gone_on_from(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="echo-reasoning", input="one two")
    second = await client.responses.create(model="echo-reasoning", input="three", previous_response_id=first.id)

    assert [item.type for item in first.output] == ["reasoning", "message"]
    assert (await client.responses.retrieve(first.id)) == first
    assert (second.output_text, second.previous_response_id) == ("three", first.id)


async def test_an_item_of_one_response_is_named_in_another(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="echo", input="one two")
    named: Any = [
        {"type": "item_reference", "id": first.output[0].id},
        {"role": "user", "content": "three"},
    ]

    second = await client.responses.create(model="echo", input=named)

    assert second.usage
    assert (second.output_text, second.usage.input_tokens) == ("three", 3)
