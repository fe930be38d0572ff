"""What a request may cost at most: never less than what is read, whatever it is made of."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_backend.domain.bounds import (
    CAPS,
    FOREIGN_CAPS,
    TOKENS_AROUND,
    UNKNOWN_CONTEXT,
    Sizes,
    cap_field,
    capped,
    choices,
    named_cap,
    prompt_bound,
)
from llm_backend.domain.usage_reports import MOST_TOKENS
from llm_backend.errors import Json
from llm_backend.upstream.echo import Echo

SIZES = Sizes(image_tokens=700, audio_tokens_per_minute=600, page_tokens=1000, context_tokens=8000)
IMAGE = "data:image/png;base64," + "A" * 2_000_000

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).filter(lambda text: "[[" not in text)
TOKENS = st.lists(st.integers(0, 200_000), min_size=1, max_size=8)
PARTS = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}), max_size=3)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": TEXTS | PARTS}),
    min_size=1,
    max_size=4,
)
INPUTS = TEXTS | TOKENS | st.lists(TEXTS | TOKENS, min_size=1, max_size=4)
CALLS = st.one_of(
    st.tuples(st.just("/chat/completions"), st.fixed_dictionaries({"messages": MESSAGES}, optional={"n": st.just(3)})),
    st.tuples(st.just("/completions"), st.fixed_dictionaries({"prompt": INPUTS}, optional={"suffix": TEXTS})),
    st.tuples(st.just("/embeddings"), st.fixed_dictionaries({"input": INPUTS})),
)


def said(*parts: Json) -> Json:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def reported(path: str, body: Json) -> Json:
    script, _ = Echo().answer("POST", path, orjson.dumps({"model": "echo", **body}))
    answer = b"".join(getattr(step, "data", b"") for step in script.steps)
    return orjson.loads(answer)["usage"]


@settings(deadline=None)
@given(CALLS)
def test_no_upstream_counts_more_than_the_bound(call: tuple[str, Json]) -> None:
    path, body = call

    assert reported(path, body)["prompt_tokens"] <= prompt_bound(body, SIZES)


@settings(deadline=None)
@given(MESSAGES, MESSAGES)
def test_whatever_is_added_is_counted(messages: list[Json], others: list[Json]) -> None:
    less, more = {"messages": messages}, {"messages": messages + others, "tools": [{"type": "function"}]}

    assert prompt_bound(more, SIZES) >= prompt_bound(less, SIZES) + TOKENS_AROUND * (len(others) + 1)


@settings(deadline=None)
@given(TEXTS, st.sampled_from(["messages", "prompt", "input", "suffix", "tools", "response_format", "unheard_of"]))
def test_every_byte_of_a_text_is_counted_wherever_it_stands(text: str, place: str) -> None:
    shapes: dict[str, Any] = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {text: {}}}}}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"description": text}}},
    }

    assert prompt_bound({place: shapes.get(place, text)}, SIZES) >= len(text.encode()) + TOKENS_AROUND


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"model": "a-name-that-nobody-reads", "max_tokens": 5, "messages": []}, 0),
        ({"messages": [{"role": "user", "content": "Grüße"}]}, 16 + len("user") + 7),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, 16 + len("user") + 3),
        ({"input": [[1, 2, 3], "four"]}, 16 + 3 + 16 + 4),
        ({"input": [1, 2, 3]}, 16 + 3),
        ({"prompt": "data:text/plain,which is a text all the same"}, 16 + 44),
    ],
)
def test_texts_are_counted_in_bytes_and_tokens_as_they_are(body: Json, tokens: int) -> None:
    assert prompt_bound(body, SIZES) == tokens


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "image_url", "image_url": {"url": IMAGE}}, 700),
        ({"type": "input_image", "image_url": IMAGE}, 700),
        # 2,880,000 bytes of wave are six minutes at most, 60,000 of mp3 one.
        ({"type": "input_audio", "input_audio": {"data": "A" * 3_840_000, "format": "wav"}}, 3600),
        ({"type": "input_audio", "input_audio": {"data": "A" * 80_000, "format": "mp3"}}, 600),
        ({"type": "file", "file": {"file_data": "A" * 2048}}, 3000),
        ({"type": "file", "file": {"file_data": "A" * 20_000_000}}, 8000),
        ({"type": "file", "file": {"file_id": "file-1"}}, 8000),
        ({"type": "video_url", "video_url": {"url": "https://v.example"}}, 8000),
    ],
)
def test_what_is_no_text_counts_what_the_model_counts_at_most(part: Json, tokens: int) -> None:
    around = prompt_bound(said(part), SIZES) - tokens

    assert 0 <= around < 120


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "assistant", "audio": {"id": "audio-1"}}]},
        {"messages": [], "web_search_options": {}},
        {"input": "x", "tools": [{"type": "file_search"}]},
        {"prompt": {"id": "pmpt-1"}},
        {"input": [{"type": "item_reference", "id": "msg-1"}, {"type": "item_reference", "id": "msg-2"}]},
        {"input": [{"id": "msg-1"}]},
    ],
)
def test_what_nobody_can_measure_counts_the_whole_context(body: Json) -> None:
    assert 8000 <= prompt_bound(body, SIZES) < 9000
    assert prompt_bound(body, Sizes()) >= UNKNOWN_CONTEXT


def test_an_item_that_brings_its_content_names_nothing_else() -> None:
    message = {"type": "message", "id": "msg-1", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}

    assert prompt_bound({"input": [message, {"role": "user", "id": "msg-2", "content": "x"}]}, SIZES) < 200


def test_escapes_of_a_call_are_counted_as_they_are_written() -> None:
    call = {"function": {"name": "f", "arguments": '{"a": "\x01"}'}}
    body = {"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}

    assert prompt_bound(body, SIZES) >= len(orjson.dumps([call]))


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({}, 1),
        ({"n": 3}, 3),
        ({"n": 2, "best_of": 5, "prompt": ["a", "b"]}, 10),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1, 2], [3]]}, 2),
        ({"prompt": [], "n": -4, "best_of": None}, 1),
        ({"n": 4.0}, 4),
        ({"n": True}, 1),
        ({"n": 10**30}, MOST_TOKENS),
    ],
)
def test_answers_multiply_by_prompts(body: Json, number: int) -> None:
    assert choices(body) == number


@pytest.mark.parametrize(
    ("body", "cap"),
    [
        ({}, None),
        ({"max_tokens": None}, None),
        ({"max_tokens": 5, "max_completion_tokens": 9, "max_output_tokens": 7}, 9),
        ({"max_tokens": -5}, 0),
        ({"max_tokens": 1e300}, MOST_TOKENS),
        ({"max_tokens": 5, "n_predict": 50}, 50),
        ({"n_predict": -1}, None),
    ],
)
def test_the_largest_limit_is_the_one_that_is_believed(body: Json, cap: int | None) -> None:
    assert named_cap(body) == cap


def test_a_capped_body_names_one_limit_and_leaves_the_other_alone() -> None:
    body = {"model": "m", **dict.fromkeys((*CAPS, *FOREIGN_CAPS), 7)}

    assert capped(body, "max_tokens", 3) == {"model": "m", "max_tokens": 3}
    assert body["max_completion_tokens"] == 7


def test_only_chats_take_their_limit_where_the_upstream_says() -> None:
    paths = ("/chat/completions", "/completions", "/responses")

    fields = [cap_field(path, "max_completion_tokens") for path in paths]

    assert fields == ["max_completion_tokens", "max_tokens", "max_output_tokens"]
