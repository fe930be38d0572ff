"""Messages become items and come back as they were, whatever they hold."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.domain.completions.keeping import joined, kept_item, parted
from llm_backend.domain.completions.messages import Given, items_of, items_said, message_of, messages_of
from llm_backend.domain.items import rows
from llm_backend.domain.responses.chat_request import chat_body
from llm_backend.errors import Json
from llm_backend.storage.items import Item
from tests.clocks import SetClock

TEXTS = st.text(max_size=5)
CALL_IDS = st.sampled_from(["call_1", "call_2"])
TEXT_PARTS = st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}, optional={"cache": st.just(True)})
PARTS = TEXT_PARTS | st.sampled_from(
    [
        {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png", "detail": "auto"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "AA==", "type": "pdf"}},
    ]
)
REFUSALS = st.fixed_dictionaries({"type": st.just("refusal"), "refusal": TEXTS})
CALLS = st.one_of(
    st.fixed_dictionaries(
        {
            "id": CALL_IDS,
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": TEXTS, "arguments": TEXTS}),
        }
    ),
    st.fixed_dictionaries(
        {
            "id": CALL_IDS,
            "type": st.just("custom"),
            "custom": st.fixed_dictionaries({"name": TEXTS, "input": TEXTS}),
        }
    ),
)


def saying(role: str, parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    content = TEXTS | st.lists(parts, max_size=3)
    return st.fixed_dictionaries(
        {"role": st.just(role), "content": content}, optional={"name": st.just("Ada") | st.none()}
    )


ASSISTANTS = st.fixed_dictionaries(
    {"role": st.just("assistant")},
    optional={
        "content": TEXTS | st.none() | st.lists(TEXT_PARTS | REFUSALS, max_size=2),
        "refusal": TEXTS | st.none(),
        "name": st.just("Bob"),
        "tool_calls": st.lists(CALLS, max_size=2) | st.none(),
        "audio": st.just({"id": "audio_1"}),
        "function_call": st.just({"name": "look", "arguments": "{}"}) | st.none(),
    },
)
TOOLS = st.fixed_dictionaries(
    {"role": st.just("tool"), "tool_call_id": CALL_IDS, "content": TEXTS | st.lists(TEXT_PARTS, max_size=2)}
)
FUNCTIONS = st.fixed_dictionaries({"role": st.just("function"), "name": TEXTS, "content": TEXTS | st.none()})
MESSAGES = st.one_of(
    saying("system", TEXT_PARTS),
    saying("developer", TEXT_PARTS),
    saying("user", PARTS),
    ASSISTANTS,
    TOOLS,
    FUNCTIONS,
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def kept(found: list[Given]) -> list[Given]:
    """The same, as they come out of the database."""
    made = rows([each.item for each in found], (1, 2, 0), SetClock().now())
    for row, each in zip(made, found, strict=True):
        row["details"] = each.details or row["details"]
    return [kept_item(Item(id=at, updated_at=None, **row)) for at, row in enumerate(made)]


@given(st.lists(MESSAGES, min_size=1, max_size=5))
def test_messages_come_back_from_their_items_as_they_were_given(messages: list[Json]) -> None:
    assert messages_of(kept(items_of(messages))) == messages


@given(
    ASSISTANTS | st.dictionaries(st.sampled_from(["content", "refusal", "tool_calls", "function_call", "x"]), ANYTHING)
)
def test_an_answer_comes_back_whole_whatever_its_message_holds(message: Json) -> None:
    completion = {"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": message}, {"index": 1}]}

    body, said = parted(completion)
    again = joined(orjson.loads(orjson.dumps(body)), [each.item for each in kept([Given(each) for each in said])])

    told = again["choices"][0]["message"]
    assert {name: told[name] for name in message} == message
    assert {name: value for name, value in told.items() if value is not None and name not in message} in (
        {},
        {"role": "assistant"},
    )
    assert again | {"choices": []} == completion | {"choices": []}
    assert again["choices"][1] == {"index": 1}


@pytest.mark.parametrize("choices", [[], [None], [{"index": 0}], [{"message": "text"}]])
def test_an_answer_that_has_no_message_is_kept_as_it_is(choices: Json) -> None:
    body, said = parted({"choices": choices})

    assert said == []
    assert joined(body, said) == {"object": "chat.completion", "choices": choices}


def test_what_is_said_is_known_to_other_apis_by_its_parts() -> None:
    content = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}},
    ]

    [given] = items_of([{"role": "user", "content": content}])

    assert given.as_given is None
    assert given.item["content"] == [
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "image_url": "https://pictures.example/a.png", "detail": "auto"},
    ]


@given(st.lists(PARTS, min_size=2, max_size=3))
def test_parts_are_the_same_to_a_chat_by_whichever_api_they_came(parts: list[Json]) -> None:
    [kept_so] = items_of([{"role": "user", "content": parts}])

    [asked] = chat_body({"model": "m", "input": [kept_so.item]})["messages"]

    assert asked == message_of([kept_so.item])


def test_where_a_prompt_may_be_cached_is_known_to_other_apis() -> None:
    part = {"type": "text", "text": "Long", "prompt_cache_breakpoint": {"mode": "explicit"}}

    [given] = items_of([{"role": "user", "content": [part]}])

    assert given.as_given is None
    assert given.item["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}


def test_calls_and_what_came_of_them_are_items_of_their_own() -> None:
    calls = [
        {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
        {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": "ls"}},
    ]
    messages: list[Json] = [
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "2"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "a.txt"}]},
    ]

    found = items_of(messages)

    assert [given.item["type"] for given in found] == [
        "function_call",
        "custom_tool_call",
        "function_call_output",
        "custom_tool_call_output",
    ]
    assert [given.item["call_id"] for given in found] == ["call_1", "call_2"] * 2
    assert found[3].item["output"] == [{"type": "input_text", "text": "a.txt"}]
    assert {given.as_given for given in found} == {None}


def test_calls_of_the_older_kind_are_told_by_their_functions_names() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}}
    output = {"role": "function", "name": "look", "content": "found"}

    called, gave = items_of([call, output])

    assert (called.item["type"], called.item["call_id"], called.item["name"]) == ("function_call", "look", "look")
    assert (gave.item["call_id"], gave.item["output"]) == ("look", "found")
    assert (called.as_given, gave.as_given) == (call, output)


def test_a_message_that_refuses_is_one_item_with_a_refusal() -> None:
    message = {"role": "assistant", "content": None, "refusal": "No."}

    [item] = items_said(message)

    assert item["content"] == [{"type": "refusal", "refusal": "No."}]
    assert message_of([item]) == message


@pytest.mark.parametrize(("reason", "status"), [("stop", "completed"), ("length", "incomplete")])
def test_an_answer_that_was_cut_short_is_an_incomplete_item(reason: str, status: str) -> None:
    message = {"role": "assistant", "content": "Once upon"}

    _, [item] = parted({"choices": [{"index": 0, "message": message, "finish_reason": reason}]})

    assert item["status"] == status
