"""Faults of meaning: right JSON that says something wrong."""

import pytest

from tests.upstream.echo.asking import Asker, Json, read, streamed, whole

DONE = "[DONE]"
USAGE: Json = {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("usage-zero", (0, 0, 0)),
        ("usage-negative", (-5, -5, -5)),
        ("usage-huge", (10**12, 10**12, 10**12)),
        ("usage-float", (3, 3.5, 6.5)),
        ("usage-string", ("7", "7", "7")),
        ("usage-small", (3, 1, 4)),
    ],
)
async def test_usage_lies_alike_in_both_kinds_of_answer(ask: Asker, name: str, counts: tuple[Json, ...]) -> None:
    answers = [(await whole(ask, name)).json, (await streamed(ask, name, **USAGE)).events[-2]]

    for answer in answers:
        usage = answer["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == counts


async def test_usage_may_be_missing_null_or_everywhere(ask: Asker) -> None:
    missing = await streamed(ask, "no-usage", **USAGE)
    null = await streamed(ask, "usage-null", **USAGE)
    everywhere = await streamed(ask, "usage-everywhere", **USAGE)
    bare = await whole(ask, "no-usage")

    assert all("usage" not in event for event in missing.events)
    assert missing.events[-2]["choices"]
    assert null.events[-2]["usage"] is None
    assert [event["usage"]["completion_tokens"] for event in everywhere.events[:-1]] == [0, 1, 2, 3, 3, 3]
    assert "usage" not in bare.json


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("no-choices", lambda event: "choices" not in event),
        ("null-choices", lambda event: event["choices"] is None),
        ("string-index", lambda event: event["choices"][0]["index"] == "0"),
        ("string-delta", lambda event: event["choices"][0]["delta"] == "echo"),
        ("list", lambda event: event == []),
        ("string", lambda event: event == "echo"),
        ("number", lambda event: event == 1),
    ],
)
async def test_the_events_that_carry_words_have_a_wrong_shape(ask: Asker, kind: str, wrong: Json) -> None:
    answer = await streamed(ask, f"wrong-shape kind={kind}")

    assert [wrong(event) for event in answer.events[1:4]] == [True] * 3
    assert (await whole(ask, f"wrong-shape kind={kind}")).status == 200


async def test_a_runaway_says_more_than_its_limit_and_reports_it(ask: Asker) -> None:
    stream = await streamed(ask, "runaway words=20", max_tokens=2, **USAGE)
    answer = await whole(ask, "runaway words=20", max_tokens=2)

    assert len(stream.said.split()) == 2
    assert stream.said.count("a") == 21
    assert stream.events[-2]["usage"]["completion_tokens"] == 22
    assert len(answer.message["content"].split()) == 22
    assert answer.json["usage"]["completion_tokens"] == 22
    assert [call.completion_tokens for call in ask.echo.calls] == [22, 22]


async def test_a_runaway_completion_runs_on_too(ask: Asker) -> None:
    prompt = "[[fault runaway words=20]] a b"

    stream = await ask.post("/completions", {"model": "echo", "prompt": prompt, "stream": True})
    answer = await ask.post("/completions", {"model": "echo", "prompt": prompt})

    assert len(stream.events) == 24
    assert answer.json["choices"][0]["text"].count("echo") == 20


TOOLS = {"tools": [{"type": "function", "function": {"name": name}} for name in ("f", "g")]}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("tool-no-index", [(None, True), (None, False), (None, True), (None, False)]),
        ("tool-one-based", [(1, True), (1, False), (2, True), (2, False)]),
    ],
)
async def test_indexes_of_tool_calls_are_missing_or_start_at_one(ask: Asker, name: str, keys: list[Json]) -> None:
    answer = await streamed(ask, name, "[[tool f]] [[tool g]]", **TOOLS)

    deltas = [event["choices"][0]["delta"] for event in answer.events[:-1]]
    parts = [part for delta in deltas for part in delta.get("tool_calls", [])]
    assert [(part.get("index"), "id" in part) for part in parts] == keys


async def test_ids_of_tool_calls_are_null_in_both_kinds_of_answer(ask: Asker) -> None:
    stream = await streamed(ask, "tool-null-ids", "[[tool f]]", **TOOLS)
    answer = await whole(ask, "tool-null-ids", "[[tool f]]", **TOOLS)
    indexed = await whole(ask, "tool-one-based", "[[tool f]]", **TOOLS)

    assert stream.events[1]["choices"][0]["delta"]["tool_calls"][0]["id"] is None
    assert answer.message["tool_calls"][0]["id"] is None
    assert indexed.message["tool_calls"][0]["id"].startswith("call_")


async def test_content_is_null_in_every_delta_without_words(ask: Asker) -> None:
    answer = await streamed(ask, "null-content")

    contents = [event["choices"][0]["delta"]["content"] for event in answer.events[:-1]]
    assert contents == [None, "a", " b", " c", None]


async def test_the_last_word_comes_with_the_finish_reason(ask: Asker) -> None:
    answer = await streamed(ask, "text-in-finish", **USAGE)

    *_, last, usage, done = answer.events
    assert last["choices"][0]["delta"] == {"content": " c"}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"]
    assert done == DONE
    assert ask.last.completion_tokens == 3


async def test_azures_prompt_filter_comes_first_without_choices(ask: Asker) -> None:
    answer = await streamed(ask, "empty-choices")

    assert answer.events[0]["choices"] == []
    assert answer.events[0]["prompt_filter_results"]
    assert answer.said == "a b c"
    assert (await whole(ask, "empty-choices")).message["content"] == "a b c"


async def test_a_finish_reason_may_never_come(ask: Asker) -> None:
    answer = await streamed(ask, "no-finish")

    assert all(event["choices"][0]["finish_reason"] is None for event in answer.events[:-1])


async def test_a_fault_of_chat_leaves_embeddings_alone_or_strikes_them_alike(ask: Asker) -> None:
    request = {"model": "echo", "input": "[[fault usage-zero]] Hello"}
    lying = await ask.post("/embeddings", request)
    cut = await read(await ask.open("/embeddings", {"model": "echo-fault-fin", "input": "Hello"}))

    assert lying.json["usage"]["prompt_tokens"] == 0
    assert cut.body.startswith(b'{"object"')
    assert not cut.body.endswith(b"}")
