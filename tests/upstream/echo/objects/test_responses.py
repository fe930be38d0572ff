"""Responses: the words of a chat as items and typed events, kept and gone on with."""

from typing import Any

import openai
import pytest

from tests.upstream.echo.asking import Asker, Json

WEATHER: Json = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


async def test_a_response_says_the_words_and_tells_their_cost(strict: openai.AsyncOpenAI) -> None:
    answer = await strict.responses.create(model="echo", input="Hello big world", instructions="Be kind")

    assert (answer.output_text, answer.status) == ("Hello big world", "completed")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (5, 3, 8)
    assert await strict.responses.retrieve(answer.id) == answer


async def test_the_events_come_in_order_numbered_and_end_with_the_whole(strict: openai.AsyncOpenAI) -> None:
    stream = await strict.responses.create(model="echo-reasoning", input="Hello world", stream=True)

    events = [event async for event in stream]

    names = [event.type.removeprefix("response.") for event in events]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert names[:4] == ["created", "in_progress", "output_item.added", "reasoning_summary_part.added"]
    assert names[-8:] == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.usage is not None
    assert last.response.usage.output_tokens_details.reasoning_tokens == 5
    assert await strict.responses.retrieve(last.response.id) == last.response


async def test_the_sdks_helper_gathers_calls_whose_results_are_answered(strict: openai.AsyncOpenAI) -> None:
    async with strict.responses.stream(
        model="echo", input="[[tool get_weather city=Paris]] Hello", tools=[WEATHER]
    ) as stream:
        first = await stream.get_final_response()
    (call,) = first.output
    assert call.type == "function_call"

    second = await strict.responses.create(
        model="echo",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}],
    )

    assert (call.name, call.arguments) == ("get_weather", '{"city": "Paris"}')
    assert second.output_text == "sunny"


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "function", "name": "get_weather"}, True),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]}, True),
        ({"type": "file_search"}, False),
        ("required", True),
        ("auto", False),
    ],
)
async def test_tools_are_chosen_as_in_a_chat(strict: openai.AsyncOpenAI, choice: Json, *, called: bool) -> None:
    answer = await strict.responses.create(model="echo", input="Hello", tools=[WEATHER], tool_choice=choice)

    assert [item.type for item in answer.output] == (["function_call"] if called else ["message"])


async def test_a_custom_tool_is_told_by_events_of_its_own(strict: openai.AsyncOpenAI) -> None:
    tools: Json = [{"type": "custom", "name": "write"}]

    stream = await strict.responses.create(model="echo", input="[[tool write]] a b", tools=tools, stream=True)

    events = [event async for event in stream]
    deltas = [event.delta for event in events if event.type == "response.custom_tool_call_input.delta"]
    assert deltas == ["a", " b"]


async def test_a_response_goes_on_with_another_and_costs_all_that_was_said(strict: openai.AsyncOpenAI) -> None:
    first = await strict.responses.create(model="echo", input="one two")

    second = await strict.responses.create(model="echo", input="three", previous_response_id=first.id)

    assert second.previous_response_id == first.id
    assert second.usage is not None
    assert second.usage.input_tokens == 5
    items: list[Any] = [item async for item in strict.responses.input_items.list(second.id)]
    assert [item.content[0].text for item in items] == ["three"]


async def test_a_response_that_is_cut_is_incomplete_and_one_that_refuses_says_so(strict: openai.AsyncOpenAI) -> None:
    cut = await strict.responses.create(model="echo", input="one two three", max_output_tokens=2)
    stream = await strict.responses.create(model="echo", input="one two", max_output_tokens=1, stream=True)
    refused: Any = await strict.responses.create(model="echo", input="[[refuse]] Hello")

    assert (cut.status, cut.output_text) == ("incomplete", "one two")
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"
    assert [event.type async for event in stream][-1] == "response.incomplete"
    assert refused.output[0].content[0].type == "refusal"


async def test_a_schema_is_kept_to(strict: openai.AsyncOpenAI) -> None:
    schema: Json = {"type": "object", "properties": {"said": {"type": "string"}}, "required": ["said"]}
    text: Json = {"format": {"type": "json_schema", "name": "said", "schema": schema}}

    answer = await strict.responses.create(model="echo", input="Hello", text=text)

    assert answer.output_text == '{"said": "Hello"}'


async def test_a_compaction_holds_what_was_said(strict: openai.AsyncOpenAI) -> None:
    first = await strict.responses.create(model="echo", input="one two")
    compaction = await strict.responses.compact(model="echo", previous_response_id=first.id, input="three")
    (item,) = [item.model_dump() for item in compaction.output]
    again: Json = [item, {"role": "user", "content": "four"}]

    counted = await strict.responses.input_tokens.count(model="echo", input=again)
    answer = await strict.responses.create(model="echo", input=again)

    assert (compaction.usage.input_tokens, counted.input_tokens) == (5, 6)
    assert answer.usage is not None
    assert answer.usage.input_tokens == 6
    with pytest.raises(openai.BadRequestError, match="cancelled"):
        await strict.responses.cancel(answer.id)


async def test_what_is_not_to_be_kept_is_not_and_what_is_deleted_is_gone(strict: openai.AsyncOpenAI) -> None:
    passing = await strict.responses.create(model="echo", input="Hello", store=False)
    kept = await strict.responses.create(model="echo", input="Hello")
    await strict.responses.delete(kept.id)

    for name in (passing.id, kept.id):
        with pytest.raises(openai.NotFoundError):
            await strict.responses.retrieve(name)


async def test_a_conversation_grows_with_its_responses(strict: openai.AsyncOpenAI) -> None:
    talk = await strict.conversations.create(items=[{"role": "developer", "content": "Be kind"}], metadata={"a": "b"})
    stream = await strict.responses.create(model="echo", input="one two", conversation=talk.id, stream=True)
    async for _ in stream:
        pass

    answer = await strict.responses.create(model="echo", input="three", conversation=talk.id)

    items: list[Any] = [item async for item in strict.conversations.items.list(talk.id, order="asc", limit=2)]
    assert [item.content[0].text for item in items] == ["Be kind", "one two", "one two", "three", "three"]
    assert answer.usage is not None
    assert answer.usage.input_tokens == 7
    assert answer.conversation is not None
    assert answer.conversation.id == talk.id


async def test_items_are_added_shown_and_deleted(strict: openai.AsyncOpenAI) -> None:
    talk = await strict.conversations.create()

    added = await strict.conversations.items.create(talk.id, items=[{"role": "user", "content": "Hello"}])
    shown = await strict.conversations.items.retrieve(added.data[0].id or "", conversation_id=talk.id)
    left = await strict.conversations.items.delete(shown.id or "", conversation_id=talk.id)
    changed = await strict.conversations.update(talk.id, metadata={"a": "b"})
    deleted = await strict.conversations.delete(talk.id)

    assert shown == added.data[0]
    assert (left.id, changed.metadata) == (talk.id, {"a": "b"})
    assert deleted.deleted
    with pytest.raises(openai.NotFoundError):
        await strict.conversations.items.list(talk.id)


@pytest.mark.parametrize(
    ("wrong", "status", "param"),
    [
        ({"input": None}, 400, "input"),
        ({"input": 1}, 400, "input"),
        ({"input": [{"type": "dance"}]}, 400, "input[0]"),
        ({"input": [{"type": "compaction", "encrypted_content": "from elsewhere"}]}, 400, "input"),
        ({"previous_response_id": "resp_1"}, 400, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, 404, "id"),
        ({"max_output_tokens": "a"}, 400, "max_output_tokens"),
    ],
)
async def test_what_cannot_be_answered_is_refused(ask: Asker, wrong: Json, status: int, param: str) -> None:
    answer = await ask.post("/responses", {"model": "echo", "input": "Hello"} | wrong)

    assert (answer.status, answer.error["param"]) == (status, param)


async def test_a_conversation_and_a_previous_response_exclude_each_other(ask: Asker) -> None:
    talk = (await ask.post("/conversations", {})).json["id"]

    answer = await ask.post(
        "/responses", {"model": "echo", "input": "a", "conversation": talk, "previous_response_id": "resp_1"}
    )

    assert answer.error["code"] == "mutually_exclusive_parameters"


async def test_faults_strike_the_usage_in_the_last_event(ask: Asker) -> None:
    request = {"model": "echo", "input": "[[fault usage-zero]] a b", "stream": True}
    await ask.post("/responses", request)
    lying = ask.last.usage
    await ask.post("/responses", request | {"input": "[[fault no-usage]] a b"})

    assert lying["total_tokens"] == 0
    assert (ask.last.usage, ask.last.completion_tokens) == (None, 2)
