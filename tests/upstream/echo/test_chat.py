"""What the echo model says in a conversation."""

import pytest

from tests.upstream.echo.asking import CLOCK, WEATHER, Asker, Json


async def test_it_says_the_words_of_the_last_user_message(ask: Asker) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "First"},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "big\nworld"}]},
    ]

    answer = await ask.post("/chat/completions", {"model": "echo", "messages": messages})

    assert answer.message["content"] == "Hello big\nworld"
    assert answer.json["choices"][0]["finish_reason"] == "stop"
    assert answer.json["usage"]["prompt_tokens"] == 7
    assert answer.json["usage"]["completion_tokens"] == 3
    assert answer.json["usage"]["total_tokens"] == 10


async def test_the_same_request_gives_the_same_bytes_from_any_echo(ask: Asker) -> None:
    first = await ask.chat("[[tool get_weather]] Hello", tools=[WEATHER], stream=True)

    second = await Asker().chat("[[tool get_weather]] Hello", tools=[WEATHER], stream=True)

    assert second == first


async def test_a_stream_says_one_word_per_chunk_and_ends_with_done(ask: Asker) -> None:
    answer = await ask.chat("Hello wörld", stream=True)

    *chunks, done = answer.events
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hello"},
        {"content": " wörld"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    assert all("usage" not in chunk for chunk in chunks)
    assert done == "[DONE]"
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_usage_comes_last_in_a_stream_that_asked_for_it(ask: Asker) -> None:
    answer = await ask.chat("Hello world", stream=True, stream_options={"include_usage": True})

    *chunks, usage, done = answer.events
    assert all(chunk["usage"] is None for chunk in chunks)
    assert usage["choices"] == []
    assert (usage["usage"]["prompt_tokens"], usage["usage"]["completion_tokens"]) == (2, 2)
    assert done == "[DONE]"


async def test_several_choices_take_turns_and_add_up(ask: Asker) -> None:
    whole = await ask.chat("a b", n=3)
    stream = await ask.chat("a b", n=3, stream=True)

    assert [choice["index"] for choice in whole.json["choices"]] == [0, 1, 2]
    assert whole.json["usage"]["completion_tokens"] == 6
    assert [event["choices"][0]["index"] for event in stream.events[:-1]] == [0, 1, 2] * 4


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_of_tokens_cuts_the_answer(ask: Asker, limit: str) -> None:
    answer = await ask.chat("a b c d", **{limit: 2})

    assert answer.message["content"] == "a b"
    assert answer.json["choices"][0]["finish_reason"] == "length"
    assert answer.json["usage"]["completion_tokens"] == 2


async def test_a_limit_that_is_just_met_cuts_nothing(ask: Asker) -> None:
    answer = await ask.chat("a b", max_tokens=2)

    assert answer.json["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("stop", ["c", ["x", "c", "d"]])
async def test_a_stop_sequence_ends_the_answer_before_itself(ask: Asker, stop: Json) -> None:
    answer = await ask.chat("a b c d", stop=stop)

    assert answer.message["content"] == "a b"
    assert answer.json["choices"][0]["finish_reason"] == "stop"


async def test_a_stop_sequence_that_does_not_occur_changes_nothing(ask: Asker) -> None:
    answer = await ask.chat("a b", stop=["x", ""])

    assert answer.message["content"] == "a b"


async def test_log_probabilities_come_with_alternatives(ask: Asker) -> None:
    answer = await ask.chat("Hello wörld", logprobs=True, top_logprobs=3)

    first, second = answer.json["choices"][0]["logprobs"]["content"]
    assert first["token"] == "Hello"
    assert second["bytes"] == list(" wörld".encode())
    assert [entry["token"] for entry in first["top_logprobs"]] == ["Hello", "Hello~1", "Hello~2"]
    assert -1 <= first["logprob"] <= 0


async def test_the_reasoning_model_thinks_before_it_speaks(ask: Asker) -> None:
    whole = await ask.chat("a b", model="echo-reasoning")
    stream = await ask.chat("a b", model="echo-reasoning", stream=True)

    assert whole.message["reasoning_content"] == "The user said 2 words."
    assert whole.json["usage"]["completion_tokens"] == 7
    assert whole.json["usage"]["completion_tokens_details"]["reasoning_tokens"] == 5
    thought = [event["choices"][0]["delta"].get("reasoning_content", "") for event in stream.events[:-1]]
    assert "".join(thought) == "The user said 2 words."
    assert stream.said == "a b"


async def test_a_limit_may_be_spent_on_reasoning_alone(ask: Asker) -> None:
    answer = await ask.chat("a b", model="echo-reasoning", max_completion_tokens=3)

    assert answer.message["reasoning_content"] == "The user said"
    assert answer.message["content"] == ""
    assert answer.json["choices"][0]["finish_reason"] == "length"


async def test_a_json_object_is_answered_where_one_is_asked_for(ask: Asker) -> None:
    answer = await ask.chat("Hello world", response_format={"type": "json_object"})

    assert answer.message["content"] == '{"echo": "Hello world"}'


async def test_an_answer_may_be_of_a_json_schema(ask: Asker) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}

    answer = await ask.chat("Hello world", response_format=wanted, stream=True)

    assert answer.said == '{"answer": "Hello world"}'


async def test_it_refuses_where_it_is_told_to(ask: Asker) -> None:
    whole = await ask.chat("[[refuse]] Hello")
    stream = await ask.chat("[[refuse]] Hello", stream=True)
    cut = await ask.chat("[[refuse]] Hello", max_tokens=1)

    assert whole.message["refusal"] == "I cannot help with that."
    assert whole.message["content"] is None
    said = [event["choices"][0]["delta"].get("refusal") or "" for event in stream.events[:-1]]
    assert "".join(said) == "I cannot help with that."
    assert cut.message["refusal"] == "I"


async def test_a_conversation_of_tools_alone_is_answered_with_what_they_say(ask: Asker) -> None:
    messages = [{"role": "tool", "tool_call_id": "call_1", "content": "18"}]

    answer = await ask.post("/chat/completions", {"model": "echo", "messages": messages})

    assert answer.message["content"] == "18"


BROKEN = [
    (b"{", None, "invalid_json"),
    (b"[]", None, "invalid_json"),
    ({"messages": []}, "model", "missing_required_parameter"),
    ({"model": "echo"}, "messages", "missing_required_parameter"),
    ({"model": "echo", "messages": []}, "messages", "invalid_value"),
    ({"model": "echo", "messages": ["Hello"]}, "messages[0]", "invalid_value"),
    ({"model": "nobody", "messages": []}, "model", "model_not_found"),
]
WRONG: list[tuple[dict[str, Json], str]] = [
    ({"n": 0}, "n"),
    ({"n": True}, "n"),
    ({"max_tokens": "7"}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"stop": 7}, "stop"),
    ({"tools": ["x"]}, "tools[0]"),
    ({"tools": [{"type": "function"}]}, "tools[0]"),
    ({"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
    ({"tools": [CLOCK], "tool_choice": {"type": "function", "function": "other"}}, "tool_choice"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.name"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": 7}}}, "response_format"),
]


@pytest.mark.parametrize(("request_", "param", "code"), BROKEN)
async def test_a_broken_request_is_refused_as_openai_does(
    ask: Asker, request_: Json, param: str | None, code: str
) -> None:
    answer = await ask.post("/chat/completions", request_)

    assert answer.status == (404 if code == "model_not_found" else 400)
    assert (answer.error["param"], answer.error["code"]) == (param, code)
    assert answer.error["type"] == "invalid_request_error"


@pytest.mark.parametrize(("wrong", "param"), WRONG)
async def test_a_wrong_setting_is_refused_by_name(ask: Asker, wrong: dict[str, Json], param: str) -> None:
    answer = await ask.chat("Hello", **wrong)

    assert answer.status == 400
    assert answer.error["param"] == param
