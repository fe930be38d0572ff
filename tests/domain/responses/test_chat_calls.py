"""The calls of chats: told one after the other, each to its end, in whatever order their pieces come."""

import pytest

from llm_backend.domain.responses.chat_output import ChatOutput
from llm_backend.errors import Json, UpstreamInvalid
from tests.domain.responses.answering import chat_request, delta, heard, mended, new_ids, streamed, whole
from tests.domain.responses.strict import check_events, check_one_by_one

FIELDS = {"function": "arguments", "custom": "input"}


def called(index: int, text: str, kind: str = "function") -> bytes:
    """A chunk that begins a call."""
    body = {"name": f"tool_{index}", FIELDS[kind]: text}
    return delta(tool_calls=[{"index": index, "id": f"call_{index}", "type": kind, kind: body}])


def further(index: int, text: str, kind: str = "function") -> bytes:
    return delta(tool_calls=[{"index": index, kind: {FIELDS[kind]: text}}])


def told(events: list[Json]) -> list[str]:
    """Of which item each event is, and what it tells."""
    return [f"{event['type'].split('.', 1)[1]}#{event['output_index']}" for event in events]


async def test_parallel_calls_are_told_in_the_order_that_openai_has() -> None:
    text = "[[tool get_weather city=Paris]] [[tool get_time city=Rome]] now"

    _, events = heard(*await streamed("/chat/completions", chat_request(text)))

    assert [each for each in told(events) if "delta" not in each] == [
        "output_item.added#0",
        "function_call_arguments.done#0",
        "output_item.done#0",
        "output_item.added#1",
        "function_call_arguments.done#1",
        "output_item.done#1",
    ]


def test_a_call_is_told_whole_the_moment_the_next_begins() -> None:
    output = ChatOutput(new_ids())
    first, rest, second = mended(called(0, '{"a"'), further(0, ":1}"), called(1, "{"))
    output.take(first)
    output.take(rest)

    events = output.take(second)

    assert told(events) == [
        "function_call_arguments.done#0",
        "output_item.done#0",
        "output_item.added#1",
        "function_call_arguments.delta#1",
    ]


def test_calls_that_are_all_named_first_are_told_as_they_are_filled() -> None:
    output = ChatOutput(new_ids())
    *before, last = mended(called(0, ""), called(1, ""), further(0, '{"a":1}'), further(1, "{"))
    for chunk in before:
        output.take(chunk)

    events = output.take(last)

    assert told(events) == [
        "function_call_arguments.done#0",
        "output_item.done#0",
        "output_item.added#1",
        "function_call_arguments.delta#1",
    ]


def test_a_message_ends_before_the_first_call_begins() -> None:
    _, events = heard(delta(content="Well"), called(0, "{}"), delta("tool_calls"))

    assert told(events)[2:] == [
        "output_text.delta#0",
        "output_text.done#0",
        "content_part.done#0",
        "output_item.done#0",
        "output_item.added#1",
        "function_call_arguments.delta#1",
        "function_call_arguments.done#1",
        "output_item.done#1",
    ]


def test_pieces_of_calls_that_interleave_are_all_told_in_turn() -> None:
    output, events = heard(
        called(0, ""),
        called(1, "x", "custom"),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"a"'}}, {"index": 1, "custom": {"input": "y"}}]),
        delta(content="Well"),
        further(0, ":1}"),
        delta(content=", well"),
        delta(reasoning="Hm"),
        further(1, "z", "custom"),
        delta("tool_calls"),
    )

    check_events(events)
    check_one_by_one(events)
    one, two, message, thought = output.items
    assert (one["call_id"], one["name"], one["arguments"]) == ("call_0", "tool_0", '{"a":1}')
    assert (two["call_id"], two["name"], two["input"]) == ("call_1", "tool_1", "xyz")
    assert message["content"][0]["text"] == "Well, well"
    assert thought["content"][0]["text"] == "Hm"
    assert {item["status"] for item in output.items} == {"completed"}


def test_a_text_behind_an_open_call_has_no_place_yet() -> None:
    output = ChatOutput(new_ids())
    for chunk in mended(called(0, "{"), delta(content="Well"), delta(content=", well")):
        output.take(chunk)

    assert output.text_place() is None
    assert told(output.close(is_cut=False))[-3:] == ["output_text.done#1", "content_part.done#1", "output_item.done#1"]


def test_of_calls_that_are_cut_those_are_complete_that_were_whole() -> None:
    output, events = heard(called(0, "{}"), called(1, "{"), called(2, "{}"), is_cut=True)

    check_events(events)
    check_one_by_one(events)
    assert [item["status"] for item in output.items] == ["completed", "incomplete", "incomplete"]


def test_nothing_but_space_comes_for_a_call_that_was_whole() -> None:
    output = ChatOutput(new_ids())
    *before, space, more = mended(called(0, "{}"), called(1, "{}"), further(0, " \n"), further(0, "{}"))
    for chunk in before:
        output.take(chunk)

    assert output.take(space) == []
    with pytest.raises(UpstreamInvalid):
        output.take(more)


def test_a_function_that_is_given_nothing_is_given_an_empty_object() -> None:
    output, events = heard(called(0, ""), called(1, "", "custom"), delta("tool_calls"))

    check_events(events)
    assert [item.get("arguments", item.get("input")) for item in output.items] == ["{}", ""]
    assert told(events)[1:3] == ["function_call_arguments.delta#0", "function_call_arguments.done#0"]
    at_once = whole({"tool_calls": [{"id": "call_0", "type": "function", "function": {"name": "f"}}]})
    assert at_once.items[0]["arguments"] == "{}"


def test_a_call_that_was_cut_before_it_was_given_anything_was_given_nothing() -> None:
    output, _ = heard(called(0, ""), is_cut=True)

    assert (output.items[0]["status"], output.items[0]["arguments"]) == ("incomplete", "")


def test_a_name_that_comes_late_is_waited_for() -> None:
    nameless: Json = {"index": 0, "id": "call_0", "type": "function", "function": {"arguments": "{}"}}
    output, events = heard(
        delta(tool_calls=[nameless]), called(1, "{}"), delta(tool_calls=[{"index": 0, "function": {"name": "f"}}])
    )

    check_events(events)
    assert [item["name"] for item in output.items] == ["f", "tool_1"]
    ended = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert [event["name"] for event in ended] == ["f", "tool_1"]
