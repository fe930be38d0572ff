"""Streamed tool calls in every habit that upstreams have, read by the official SDK."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from llm_backend.streaming.chunks import ChatChunks

Pieces = list[dict[str, Any]]


@dataclass(frozen=True)
class Asked:
    """One call as the model meant it."""

    name: str
    parts: tuple[str, ...]


def accumulated(deltas: list[Any], reason: str = "stop") -> Any:
    """Give the SDK's message after these deltas, mended, and its finish_reason."""
    numbers = count(1)
    stream = ChatChunks(wants_usage=False, model="m", created=1, new_id=lambda: f"new{next(numbers)}")
    state = ChatCompletionStreamState[None]()
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    for chunk in chunks:
        for payload in stream.admit(json.dumps(chunk).encode()).payloads:
            list(state.handle_chunk(ChatCompletionChunk.model_validate(json.loads(payload))))
    return state.get_final_completion().choices[0]


def calls_in(deltas: list[Any]) -> list[tuple[str, str, str]]:
    """Give (id, name, arguments) of each call that the SDK ends up with."""
    calls = accumulated(deltas).message.tool_calls or []
    return [(call.id, call.function.name, call.function.arguments) for call in calls]


def piece(arguments: str | None = "", **more: Any) -> Any:
    function = {"arguments": arguments}
    if "name" in more:
        function["name"] = more.pop("name")
    return {"tool_calls": [{**more, "function": function}]}


INDEXES = ["right", "missing", "null", "from one", "always zero", "text"]
IDENTITIES = ["once", "repeated", "null later", "empty later", "never", "late"]
NAMES = ["once", "null later", "repeated", "empty later"]


def habitual(asked: list[Asked], index: str, identity: str, name: str) -> Iterator[Any]:
    """Give the deltas in which an upstream with these habits sends the calls."""
    for position, call in enumerate(asked):
        for number, part in enumerate(call.parts):
            entry: dict[str, Any] = {"function": {"arguments": part}}
            if number == 0 or name == "repeated":
                entry["function"]["name"] = call.name
            elif name != "once":
                entry["function"]["name"] = None if name == "null later" else ""
            written = {
                "right": position,
                "null": None,
                "from one": position + 1,
                "always zero": 0,
                "text": str(position),
            }
            if index in written:
                entry["index"] = written[index]
            if identity == "repeated" or number == (None if identity == "never" else int(identity == "late")):
                entry["id"] = f"call_{position}"
            elif identity in ("null later", "empty later"):
                entry["id"] = None if identity == "null later" else ""
            yield {"tool_calls": [entry]}


def asked_calls() -> st.SearchStrategy[list[Asked]]:
    arguments = st.dictionaries(st.sampled_from("abc"), st.integers() | st.text(max_size=4), max_size=3).map(json.dumps)

    @st.composite
    def one(draw: st.DrawFn) -> Asked:
        written = draw(arguments)
        places = sorted(draw(st.sets(st.integers(1, len(written) - 1), max_size=4)))
        edges = [0, *places, len(written)]
        parts = tuple(written[start:end] for start, end in pairwise(edges))
        return Asked(draw(st.sampled_from(["get_weather", "get_time"])), parts)

    return st.lists(one(), min_size=1, max_size=4)


@given(asked_calls(), st.sampled_from(INDEXES), st.sampled_from(IDENTITIES), st.sampled_from(NAMES))
def test_the_sdk_adds_up_every_habit_to_what_was_asked(
    asked: list[Asked], index: str, identity: str, name: str
) -> None:
    choice = accumulated(list(habitual(asked, index, identity, name)))

    calls = choice.message.tool_calls
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        (call.name, "".join(call.parts)) for call in asked
    ]
    assert len({call.id for call in calls}) == len(asked)
    if identity not in ("never", "late"):
        assert [call.id for call in calls] == [f"call_{position}" for position in range(len(asked))]
    assert all(call.type == "function" for call in calls)
    assert choice.finish_reason == "tool_calls"
    assert choice.message.role == "assistant"


@given(asked_calls(), st.sampled_from(["right", "from one", "text"]), st.randoms(use_true_random=False))
def test_calls_that_come_interleaved_are_kept_apart(asked: list[Asked], index: str, random: Any) -> None:
    queues = [list(habitual([call], "missing", "never", "once")) for call in asked]
    opening = [queue.pop(0) for queue in queues]
    order = [position for position, queue in enumerate(queues) for _ in queue]
    random.shuffle(order)
    turns = [*enumerate(opening), *((position, queues[position].pop(0)) for position in order)]
    for position, delta in turns:
        written = {"right": position, "from one": position + 1, "text": str(position)}
        delta["tool_calls"][0]["index"] = written[index]

    calls = calls_in([delta for _, delta in turns])

    assert [(name, arguments) for _, name, arguments in calls] == [(call.name, "".join(call.parts)) for call in asked]


def test_whole_calls_in_one_chunk_without_index_or_id_are_kept_apart() -> None:
    entries = [{"function": {"name": "f", "arguments": {"a": number}}} for number in (1, 2)]

    calls = calls_in([{"tool_calls": entries}])

    assert calls == [("call_new2", "f", '{"a":1}'), ("call_new3", "f", '{"a":2}')]


def test_a_brace_inside_of_arguments_does_not_end_a_call() -> None:
    deltas = [piece('{"a":"}', name="f"), piece('"}', name="f"), piece("{}", name="f")]

    assert [(name, arguments) for _, name, arguments in calls_in(deltas)] == [("f", '{"a":"}"}'), ("f", "{}")]


def test_an_index_that_comes_late_counts_from_the_first_call() -> None:
    deltas = [piece("{", id="c", name="f"), piece("{", id="d", name="g"), piece("}", index=0), piece("}", index=1)]

    assert calls_in(deltas) == [("c", "f", "{}"), ("d", "g", "{}")]


def test_an_id_that_came_late_is_known_from_then_on() -> None:
    deltas = [piece("{", index=0, name="f"), piece(index=0, id="c"), piece("{}", index=1, name="g"), piece("}", id="c")]

    assert [(name, arguments) for _, name, arguments in calls_in(deltas)] == [("f", "{}"), ("g", "{}")]


def test_two_names_without_index_are_two_calls_even_before_their_arguments() -> None:
    deltas = [piece(name="f"), piece(name="g"), piece("{}")]

    assert [(name, arguments) for _, name, arguments in calls_in(deltas)] == [("f", ""), ("g", "{}")]


def test_a_name_cut_in_two_is_put_together() -> None:
    deltas = [piece(None, index=0, id="c", name="get_"), piece(index=0, name="weather"), piece("{}", index=0)]

    assert calls_in(deltas) == [("c", "get_weather", "{}")]


def test_a_name_that_comes_after_its_arguments_is_taken() -> None:
    deltas = [piece("{", index=0, id="c", name=None), piece("}", index=0, name="f")]

    assert calls_in(deltas) == [("c", "f", "{}")]


def test_a_name_that_changes_under_one_id_is_dropped() -> None:
    deltas = [piece("{", index=0, id="c", name="f"), piece("}", index=0, id="c", name="g")]

    assert calls_in(deltas) == [("c", "f", "{}")]


def test_another_id_under_the_same_index_is_another_call() -> None:
    deltas = [piece("{}", index=0, id="c", name="f"), piece("[]", index=0, id="d", name="f")]

    assert calls_in(deltas) == [("c", "f", "{}"), ("d", "f", "[]")]


def test_another_id_and_name_after_a_call_without_id_is_another_call() -> None:
    deltas = [piece("{}", index=0, name="f"), piece("[]", index=0, id="d", name="g")]

    assert calls_in(deltas) == [("call_new2", "f", "{}"), ("d", "g", "[]")]


@pytest.mark.parametrize("nothing", [{}, {"function": None}, {"function": {}}, {"function": {"arguments": None}}])
def test_a_later_piece_that_says_nothing_does_no_harm(nothing: Any) -> None:
    nothing_more = {"tool_calls": [{"index": 0, "type": None, **nothing}]}
    deltas = [piece("{}", index=0, id="c", name="f"), nothing_more, piece(" ", index=0)]

    assert calls_in(deltas) == [("c", "f", "{} ")]


def test_a_first_piece_that_says_nothing_is_completed() -> None:
    assert calls_in([{"tool_calls": [{}]}, piece("{}", name="f")]) == [("call_new2", "f", "{}")]


@pytest.mark.parametrize("calls", [7, {}, [], [None, 3], None])
def test_tool_calls_that_are_none_are_no_calls(calls: Any) -> None:
    choice = accumulated([{"content": "a", "tool_calls": calls}])

    assert not choice.message.tool_calls
    assert choice.finish_reason == "stop"


def test_custom_tool_calls_keep_their_kind() -> None:
    numbers = count(1)
    stream = ChatChunks(wants_usage=False, model="m", created=1, new_id=lambda: str(next(numbers)))
    pieces: Pieces = [
        {"type": "custom", "custom": {"name": "run"}},
        {"id": None, "custom": {"name": "run", "input": "ls"}},
        {"type": None},
    ]

    mended = [
        json.loads(payload)["choices"][0]["delta"]["tool_calls"][0]
        for each in pieces
        for payload in stream.admit(json.dumps({"choices": [{"delta": {"tool_calls": [each]}}]}).encode()).payloads
    ]

    assert mended == [
        {"type": "custom", "custom": {"name": "run", "input": ""}, "id": "call_2", "index": 0},
        {"custom": {"input": "ls"}, "index": 0},
        {"custom": {"input": ""}, "index": 0},
    ]


@pytest.mark.parametrize("reason", ["length", "content_filter", "tool_calls"])
def test_another_finish_reason_than_stop_stays(reason: str) -> None:
    stream = ChatChunks(wants_usage=False, model="m", created=1, new_id=lambda: "1")
    ending = {"choices": [{"delta": piece("{}", id="c", name="f"), "finish_reason": reason}]}

    payloads = stream.admit(json.dumps(ending).encode()).payloads

    assert [json.loads(payload)["choices"][0]["finish_reason"] for payload in payloads] == [None, reason]
