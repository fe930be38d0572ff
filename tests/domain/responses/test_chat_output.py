"""Chats as items: in order, each whole, told by events that every client can follow."""

import pytest

from llm_backend.domain.responses.chat_output import ChatOutput
from llm_backend.errors import Json, UpstreamInvalid
from tests.domain.responses.answering import (
    TEXTS,
    asked,
    chat_request,
    delta,
    heard,
    mended,
    nameless,
    new_ids,
    streamed,
    whole,
)
from tests.domain.responses.strict import check_events, check_items

CITED: Json = {
    "type": "url_citation",
    "url_citation": {"start_index": 0, "end_index": 2, "title": "A page", "url": "https://example.com"},
}
LIKELY: Json = {"token": "Hé", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "Ha", "logprob": -2.0}]}


def kinds(events: list[Json]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


@pytest.mark.parametrize("model", ["echo", "echo-reasoning"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_what_streams_comes_to_the_items_of_the_whole(text: str, model: str) -> None:
    request = chat_request(text, model=model, logprobs=True, top_logprobs=2)
    at_once = ChatOutput(new_ids())

    output, events = heard(*await streamed("/chat/completions", request))

    at_once.whole(await asked("/chat/completions", request))
    check_events(events)
    check_items(output.items)
    assert nameless(output.items) == nameless(at_once.items)
    assert output.incomplete_reason == at_once.incomplete_reason
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == output.items


async def test_reasoning_comes_first_and_is_done_before_the_message_begins() -> None:
    output, events = heard(*await streamed("/chat/completions", chat_request("Hello", model="echo-reasoning")))

    reasoning, message = output.items
    assert reasoning["content"] == [{"type": "reasoning_text", "text": "The user said 1 words."}]
    assert (reasoning["status"], reasoning["summary"], message["content"][0]["text"]) == ("completed", [], "Hello")
    assert [kind for kind in kinds(events) if not kind.endswith("delta")] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]


def test_the_events_of_a_text_are_as_openai_writes_them() -> None:
    _, events = heard(delta(role="assistant", content=""), delta(content="Hi"), delta("stop"))

    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "annotations": [], "text": "", "logprobs": []}
    item = {"id": "msg_1", "type": "message", "status": "in_progress", "content": [], "role": "assistant"}
    part = {**empty, "text": "Hi"}
    assert events == [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": empty},
        {"type": "response.output_text.delta", **place, "delta": "Hi", "logprobs": []},
        {"type": "response.output_text.done", **place, "text": "Hi", "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**item, "status": "completed", "content": [part]},
        },
    ]


def test_a_message_may_go_on_with_a_refusal_in_a_part_of_its_own() -> None:
    output, events = heard(delta(content="Well"), delta(refusal="No"), delta(refusal=" way"), delta("stop"))

    check_events(events)
    (message,) = output.items
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]
    assert message["content"][1]["refusal"] == "No way"


def test_reasoning_told_under_both_of_its_names_is_told_once() -> None:
    output, events = heard(delta(reasoning="Hm", reasoning_content="Hm"), delta(reasoning="."), delta("stop"))

    check_events(events)
    assert output.items[0]["content"] == [{"type": "reasoning_text", "text": "Hm."}]


def test_thoughts_between_texts_are_items_between_messages() -> None:
    output, events = heard(delta(content="a"), delta(reasoning="b"), delta(content="c"), delta("stop"))

    check_events(events)
    assert [item["type"] for item in output.items] == ["message", "reasoning", "message"]
    assert {item["status"] for item in output.items} == {"completed"}


def test_a_name_that_comes_in_two_pieces_is_one() -> None:
    output, events = heard(
        delta(tool_calls=[{"index": 0, "id": "call_a", "function": {"name": "get_"}}]),
        delta(tool_calls=[{"index": 0, "function": {"name": "time", "arguments": "{}"}}]),
        delta("tool_calls"),
    )

    check_events(events)
    assert output.items[0]["name"] == "get_time"


def test_a_call_without_an_id_gets_one() -> None:
    output = whole({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}, "none"]})

    (call,) = output.items
    assert (call["id"], call["call_id"], call["arguments"]) == ("fc_2", "call_1", '{"a":1}')


def test_the_one_call_of_old_servers_is_a_call() -> None:
    output, events = heard(
        delta(function_call={"name": "f", "arguments": ""}),
        delta(function_call={"arguments": "{"}),
        delta(function_call={"name": "f", "arguments": "}"}),
        delta("function_call"),
    )

    check_events(events)
    at_once = whole({"function_call": {"name": "f", "arguments": "{}"}})
    assert nameless(output.items) == nameless(at_once.items)
    assert output.items[0]["arguments"] == "{}"


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter"), ("stop", None), ("odd", None)],
)
def test_the_last_item_of_an_answer_that_ended_early_is_incomplete(finish_reason: str, reason: str | None) -> None:
    output, events = heard(delta(reasoning="Hm"), delta(content="a"), delta(finish_reason))

    check_events(events)
    assert output.incomplete_reason == reason
    ending = "completed" if reason is None else "incomplete"
    assert [item["status"] for item in output.items] == ["completed", ending]


def test_whatever_is_open_when_an_answer_is_cut_is_incomplete() -> None:
    call = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{"}}

    output, events = heard(delta(content="a"), delta(tool_calls=[{"index": 0, **call}]), is_cut=True)

    check_events(events)
    assert [item["status"] for item in output.items] == ["completed", "incomplete"]
    assert output.incomplete_reason is None


def test_items_have_their_texts_before_they_are_done() -> None:
    output = ChatOutput(new_ids())
    for chunk in mended(delta(content="a"), delta(content="b")):
        output.take(chunk)

    (message,) = output.items

    assert (message["status"], message["content"][0]["text"]) == ("in_progress", "ab")


def test_an_answer_that_says_nothing_is_an_empty_message() -> None:
    output, events = heard(delta(content=""), delta("stop"))

    check_events(events)
    assert output.items[0]["content"][0]["text"] == ""
    assert nameless(whole({"content": ""}).items) == nameless(output.items)


def test_an_answer_that_was_cut_before_it_began_is_nothing() -> None:
    output, events = heard(is_cut=True)

    assert (output.items, events) == ([], [])


def test_a_chunk_without_choices_tells_nothing() -> None:
    assert ChatOutput(new_ids()).take({"choices": []}) == []
    assert ChatOutput(new_ids()).take({"usage": {}}) == []


def test_pages_that_are_cited_are_annotations() -> None:
    odd: list[Json] = [{"type": "url_citation", "url_citation": {"url": "https://example.com/b"}}, {}, None]

    output, events = heard(delta(content="Hi"), delta(annotations=[CITED, *odd]), delta("stop"))

    check_events(events)
    (part,) = output.items[0]["content"]
    bare = {"type": "url_citation", "start_index": 0, "end_index": 0, "url": "https://example.com/b", "title": ""}
    assert part["annotations"] == [{"type": "url_citation", **CITED["url_citation"]}, bare]
    told = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation_index"] for event in told] == [0, 1]
    assert nameless(whole({"content": "Hi", "annotations": [CITED, *odd]}).items) == nameless(output.items)


def test_logprobs_are_told_with_the_text_and_kept_with_their_bytes() -> None:
    half = {"token": "?", "logprob": -1, "bytes": [195], "top_logprobs": []}
    wrong: list[Json] = [None, {"token": 1}, {"token": "x", "logprob": None}, {"token": "x", "logprob": True}]

    output, events = heard(
        delta(content="Hé", logprobs={"content": [LIKELY, *wrong]}),
        delta(content="", logprobs={"content": [half]}),
        delta("stop"),
    )

    check_events(events)
    deltas = [event["logprobs"] for event in events if event["type"] == "response.output_text.delta"]
    told = {"token": "Hé", "logprob": -0.5, "top_logprobs": [{"token": "Ha", "logprob": -2.0}]}
    assert deltas == [[told], [{"token": "?", "logprob": -1, "top_logprobs": []}]]
    kept = output.items[0]["content"][0]["logprobs"]
    assert [entry["bytes"] for entry in kept] == [[72, 195, 169], [195]]
    assert kept[0]["top_logprobs"] == [{"token": "Ha", "bytes": [72, 97], "logprob": -2.0}]


def test_logprobs_of_what_is_not_said_are_left_out() -> None:
    output, events = heard(
        delta(content="", logprobs={"content": [LIKELY]}), delta(refusal="No", logprobs={"content": [LIKELY]})
    )

    check_events(events)
    assert [part["type"] for part in output.items[0]["content"]] == ["refusal"]


def test_what_is_heard_in_bulk_is_in_the_text() -> None:
    output = ChatOutput(new_ids())
    before = output.text_place()
    for chunk in mended(delta(content="a")):
        output.take(chunk)

    place = output.text_place()
    output.hear(["b", "c"])

    assert (before, place) == (None, ("msg_1", 0, 0))
    assert output.close(is_cut=False)[0]["text"] == "abc"
    assert output.text_place() is None


def test_only_a_text_that_goes_on_has_a_place() -> None:
    output = ChatOutput(new_ids())
    for chunk in mended(delta(reasoning="a")):
        output.take(chunk)

    assert output.text_place() is None
    for silent in (output, ChatOutput(new_ids())):
        with pytest.raises(AssertionError):
            silent.hear(["a"])


@pytest.mark.parametrize("content", [{}, {"choices": "none"}, {"choices": []}, {"choices": [1]}, {"choices": [{}]}])
def test_a_whole_answer_without_a_message_is_none(content: Json) -> None:
    with pytest.raises(UpstreamInvalid):
        ChatOutput(new_ids()).whole(content)


def test_a_whole_text_may_come_in_parts_and_a_finish_reason_be_none() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": 1}, {"type": "image"}, "x"]

    output = whole({"content": parts, "refusal": 7, "annotations": 7}, finish_reason=7)  # type: ignore[arg-type]

    assert output.items[0]["content"][0]["text"] == "a"
    assert output.incomplete_reason is None
