"""Calls of tools."""

import pytest

from tests.upstream.echo.asking import CLOCK, WEATHER, Asker, Json


async def test_a_required_tool_is_called_with_arguments_of_its_schema(ask: Asker) -> None:
    answer = await ask.chat("Paris", tools=[WEATHER, CLOCK], tool_choice="required")

    (call,) = answer.message["tool_calls"]
    assert answer.message["content"] is None
    assert call["type"] == "function"
    assert call["function"] == {"name": "get_weather", "arguments": '{"city": "Paris", "unit": "C"}'}
    assert answer.json["choices"][0]["finish_reason"] == "tool_calls"
    assert answer.json["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "function": {"name": "get_time"}},
        {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_time"}}]},
        },
    ],
)
async def test_a_tool_that_was_named_is_called(ask: Asker, choice: Json) -> None:
    answer = await ask.chat("Hello", tools=[WEATHER, CLOCK], tool_choice=choice)

    assert answer.message["tool_calls"][0]["function"] == {"name": "get_time", "arguments": "{}"}


async def test_a_tool_with_arguments_may_be_asked_for_in_the_prompt(ask: Asker) -> None:
    answer = await ask.chat("[[tool get_weather city=Rome unit=F]] Now", tools=[WEATHER])

    assert answer.message["tool_calls"][0]["function"]["arguments"] == '{"city": "Rome", "unit": "F"}'


async def test_parallel_calls_stream_by_index_with_an_id_each(ask: Asker) -> None:
    answer = await ask.chat("[[tool get_weather]] [[tool get_time]] Paris", tools=[WEATHER, CLOCK], stream=True)

    deltas = [event["choices"][0]["delta"] for event in answer.events[:-1]]
    parts = [part for delta in deltas for part in delta.get("tool_calls", [])]
    named = [part for part in parts if "id" in part]
    assert [(part["index"], part["function"]["name"]) for part in named] == [(0, "get_weather"), (1, "get_time")]
    assert len({part["id"] for part in named}) == 2
    spoken = "".join(part["function"]["arguments"] for part in parts if part["index"] == 0)
    assert spoken == '{"city": "Paris", "unit": "C"}'
    assert answer.events[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_calls_come_one_at_a_time_where_parallel_ones_are_unwanted(ask: Asker) -> None:
    answer = await ask.chat("[[tool get_weather]] [[tool get_time]]", tools=[WEATHER, CLOCK], parallel_tool_calls=False)

    assert len(answer.message["tool_calls"]) == 1


async def test_a_custom_tool_gets_the_words(ask: Asker) -> None:
    tool = {"type": "custom", "custom": {"name": "run"}}
    whole = await ask.chat("ls -l", tools=[tool], tool_choice={"type": "custom", "custom": {"name": "run"}})
    stream = await ask.chat("ls -l", tools=[tool], tool_choice="required", stream=True)

    assert whole.message["tool_calls"][0]["custom"] == {"name": "run", "input": "ls -l"}
    parts = [part for event in stream.events[:-1] for part in event["choices"][0]["delta"].get("tool_calls", [])]
    assert "".join(part["custom"]["input"] for part in parts) == "ls -l"


async def test_tools_are_left_alone_where_nobody_asks_for_them(ask: Asker) -> None:
    choices = ["auto", "none", {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CLOCK]}}]

    answers = [await ask.chat("Hello", tools=[WEATHER], tool_choice=choice) for choice in choices]

    assert [answer.message["content"] for answer in answers] == ["Hello"] * 3


async def test_a_cut_tool_call_is_cut_like_words(ask: Asker) -> None:
    text = "[[tool get_weather]] [[tool get_time]] Paris"
    answers = [await ask.chat(text, tools=[WEATHER, CLOCK], max_tokens=limit) for limit in (2, 0)]

    (call,) = answers[0].message["tool_calls"]
    assert call["function"]["arguments"] == '{"city":'
    assert answers[0].json["choices"][0]["finish_reason"] == "length"
    assert "tool_calls" not in answers[1].message


async def test_after_the_tools_results_it_says_them_and_calls_no_more(ask: Asker) -> None:
    messages = [
        {"role": "user", "content": "[[tool get_weather]] Paris"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "and sunny"}]},
    ]

    answer = await ask.post("/chat/completions", {"model": "echo", "messages": messages, "tools": [WEATHER]})

    assert answer.message["content"] == "18 degrees and sunny"
    assert answer.json["choices"][0]["finish_reason"] == "stop"
