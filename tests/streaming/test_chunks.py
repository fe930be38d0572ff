import json
from typing import Any

import pytest

from llm_backend.errors import UpstreamInvalid
from tests.streaming.upstream_chunks import USAGE, chat, choice, chunk, first, sent


def test_a_good_chunk_passes_as_the_same_bytes() -> None:
    stream = chat()
    stream.admit(json.dumps(first()).encode())
    data = b'{ "id":"chatcmpl-up" , "object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"\\u00e9"},"finish_reason":null}],"usage":null,"x":1.50}'  # noqa: E501 (the bytes are the point)

    admitted = stream.admit(data)

    assert admitted.payloads == (data,)
    assert admitted.chunk == json.loads(data)
    assert admitted.error is None


def test_what_is_not_ascii_is_written_anew() -> None:
    data = json.dumps(first("h\u00e9 \U0001f600"), ensure_ascii=False).encode()

    (payload,) = chat().admit(data).payloads

    assert payload.isascii()
    assert json.loads(payload) == first("h\u00e9 \U0001f600")


def test_a_payload_of_several_lines_becomes_one() -> None:
    (payload,) = chat().admit(json.dumps(first(), indent=1).encode()).payloads

    assert b"\n" not in payload
    assert json.loads(payload) == first()


@pytest.mark.parametrize("data", [b"", b"{", b"nul", b"{} {}", b"[]", b'"text"', b"null", b'{"a":NaN}', b"\xff"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        chat().admit(data)


def test_a_chunk_nested_too_deeply_to_be_written_is_refused() -> None:
    deep = json.dumps(chunk(choice({"content": "\u00e9"}), x=0), ensure_ascii=False)
    data = deep.replace('"x": 0', '"x": ' + "[" * 500 + "]" * 500).encode()

    with pytest.raises(UpstreamInvalid, match="nested"):
        chat().admit(data)


@pytest.mark.parametrize(
    ("data", "name", "error"),
    [
        ({"error": {"message": "m", "code": "c"}}, None, {"message": "m", "code": "c"}),
        ({"error": "it broke"}, None, "it broke"),
        (chunk(choice({"content": ""}, "error"), error={"message": "m"}), None, {"message": "m"}),
        ({"object": "error", "message": "m"}, None, {"object": "error", "message": "m"}),
        ({"message": "m"}, "error", {"message": "m"}),
        ({}, "error", {}),
    ],
)
def test_an_error_is_marked_and_nothing_of_it_is_sent(data: Any, name: str | None, error: Any) -> None:
    admitted = chat().admit(json.dumps(data).encode(), name)

    assert admitted.error == error
    assert admitted.payloads == ()


@pytest.mark.parametrize("nothing", [None, {}, "", False])
def test_an_error_that_says_nothing_is_none(nothing: Any) -> None:
    assert sent(chat(), chunk(choice({"role": "assistant"}), error=nothing)) != []


@pytest.mark.parametrize("choices", [[], None, {}, "x", [None], [1, "x"]])
@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_chunk_without_choices_is_withheld(choices: Any, *, wants_usage: bool) -> None:
    stream = chat(wants_usage=wants_usage)
    filters = {"id": "", "object": "", "model": "", "choices": choices, "prompt_filter_results": [{"index": 0}]}

    assert sent(stream, filters, {"prompt_filter_results": []}) == []
    assert stream.conclude() == ()
    assert sent(stream, first())[0]["id"] == "chatcmpl-up"


def test_choices_that_are_no_objects_are_left_out() -> None:
    assert sent(chat(), chunk(None, choice({"role": "assistant"}, index=0), 7)) == [
        chunk(choice({"role": "assistant"}))
    ]


def test_the_usage_chunk_is_withheld_from_who_did_not_ask() -> None:
    stream = chat()

    assert sent(stream, first(), chunk(usage=USAGE)) == [first()]
    assert stream.conclude() == ()
    assert stream.usage == USAGE


def test_the_usage_chunk_is_given_as_it_came_to_who_asked() -> None:
    stream = chat(wants_usage=True)
    stream.admit(json.dumps(first()).encode())
    data = json.dumps(chunk(usage=USAGE)).encode()

    assert stream.admit(data).payloads == ()
    assert stream.conclude() == (data,)


def test_usage_on_other_chunks_is_removed_for_who_did_not_ask() -> None:
    stream = chat()
    ending = chunk(choice({}, "stop"))

    assert sent(stream, {**first(), "usage": {**USAGE, "total_tokens": 0}}, {**ending, "usage": USAGE}) == [
        first(),
        ending,
    ]
    assert stream.usage == USAGE


def test_usage_on_other_chunks_comes_once_and_last_for_who_asked() -> None:
    stream = chat(wants_usage=True, model="alias")
    ending = chunk(choice({}, "stop"))

    words = sent(stream, {**first(), "usage": {**USAGE, "total_tokens": 0}}, {**ending, "usage": USAGE})
    (usage,) = stream.conclude()

    assert [word["usage"] for word in words] == [None, None]
    assert json.loads(usage) == {**chunk(usage=USAGE), "model": "alias"}


def test_null_usage_is_missing_and_zeros_are_reported() -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    stream = chat()
    sent(stream, {**first(), "usage": None}, {**first(), "usage": 7})
    assert stream.usage is None

    sent(stream, chunk(usage=zeros))

    assert stream.usage == zeros


def test_halves_of_a_pair_split_over_two_deltas_are_replaced_and_do_not_cut_the_stream() -> None:
    stream = chat()
    halves = [json.dumps(first("a \ud83d")).encode(), json.dumps(chunk(choice({"content": "\ude00 b"}))).encode()]

    payloads = [payload for half in halves for payload in stream.admit(half).payloads]

    texts = [json.loads(payload)["choices"][0]["delta"]["content"] for payload in payloads]
    assert texts == ["a \ufffd", "\ufffd b"]
