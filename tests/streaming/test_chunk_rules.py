import json
from typing import Any

import pytest

from tests.streaming.upstream_chunks import USAGE, chat, choice, chunk, first, sent, text


def deltas(*chunks: Any) -> list[Any]:
    return [choice["delta"] for mended in sent(chat(), *chunks) for choice in mended["choices"]]


def test_content_is_never_null() -> None:
    assert deltas(first(), chunk(choice({"content": None})), chunk(choice({"content": None}, "stop"))) == [
        {"role": "assistant", "content": ""},
        {},
        {},
    ]


@pytest.mark.parametrize("delta", [None, [], "x"])
def test_a_delta_is_always_an_object(delta: Any) -> None:
    assert deltas(first(), chunk(choice(delta)), chunk({"index": 0})) == [first()["choices"][0]["delta"], {}, {}]


def test_content_in_parts_becomes_their_text() -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}, "x", {"type": "text", "text": "b"}]

    assert deltas(first(), chunk(choice({"content": parts})), chunk(choice({"content": 7})))[1:] == [
        {"content": "ab"},
        {},
    ]


def test_the_role_comes_once_for_each_choice() -> None:
    words = deltas(
        chunk(choice({"content": "a"}), choice({"role": "assistant", "content": "b"}, index=1)),
        chunk(choice({"role": "assistant", "content": "c"}), choice({"role": None, "content": "d"}, index=1)),
    )

    assert words == [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"content": "c"},
        {"content": "d"},
    ]


def test_text_and_finish_reason_part() -> None:
    ending = choice({"content": "b"}, "stop", logprobs={"content": []}, stop_reason=5)

    words = sent(chat(), first("a"), chunk(ending))

    assert words[1:] == [
        chunk(choice({"content": "b"}, logprobs={"content": []}, stop_reason=5)),
        chunk(choice({}, "stop", logprobs=None, stop_reason=5)),
    ]


def test_only_the_choices_that_end_are_in_the_ending() -> None:
    both = chunk(choice({"role": "assistant", "content": "a"}, "stop"), choice({"role": "assistant"}, index=1))

    said, ended = sent(chat(), both)

    assert [each["finish_reason"] for each in said["choices"]] == [None, None]
    assert ended["choices"] == [choice({}, "stop")]


def test_the_tally_sees_text_and_ending_together() -> None:
    stream = chat()

    admitted = stream.admit(json.dumps(chunk(choice({"role": "assistant", "content": "a"}, "stop"))).encode())

    assert admitted.chunk["choices"] == [choice({"role": "assistant", "content": "a"}, "stop")]


@pytest.mark.parametrize("reason", ["", False, 0, {}])
def test_a_finish_reason_that_is_none_is_null(reason: Any) -> None:
    stream = chat()

    assert (
        sent(stream, chunk(choice({"role": "assistant", "content": "a"}, reason)))[0]["choices"][0]["finish_reason"]
        is None
    )
    assert not stream.finished


def test_a_stream_is_finished_when_every_choice_is() -> None:
    stream = chat()
    states = [stream.finished]
    for each in (
        chunk(choice({"content": "a"}), choice({"content": "b"}, index=1)),
        chunk(choice({}, "stop")),
        chunk(choice({"content": "b"}, "length", index=1)),
    ):
        sent(stream, each)
        states.append(stream.finished)

    assert states == [False, False, False, True]


def test_missing_fields_are_the_same_in_every_chunk() -> None:
    bare = {"choices": [choice({"content": "a"})]}

    words = sent(chat(wants_usage=True), bare, {**bare, "id": "late", "created": "x", "model": 7, "object": ""})

    heads = [{key: value for key, value in word.items() if key != "choices"} for word in words]
    assert heads == [{"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": ""}] * 2


def test_a_missing_model_is_the_one_seen_before() -> None:
    words = sent(chat(), first(), {**first(), "model": None})

    assert [word["model"] for word in words] == ["up", "up"]


def test_the_model_is_what_the_client_asked_for() -> None:
    words = sent(chat(model="alias"), first(), {**first(), "model": None}, {**first(), "model": "alias"})

    assert [word["model"] for word in words] == ["alias"] * 3


@pytest.mark.parametrize(("given", "index"), [("0", 0), (None, 0), (-1, 0), ("x", 0), ("1", 1), (1.0, 0), (True, 0)])
def test_an_odd_choice_index_becomes_a_number(given: Any, index: int) -> None:
    ((mended,),) = [word["choices"] for word in sent(chat(), chunk(choice({"content": "a"}, index=given)))]

    assert mended["index"] == index
    assert type(mended["index"]) is int


def test_text_chunks_are_mended_alike() -> None:
    def words(said: Any, reason: str | None = None) -> Any:
        return {
            **chunk({"index": 0, "text": said, "logprobs": None, "finish_reason": reason}),
            "object": "text_completion",
        }

    stream = text(wants_usage=True, model="alias")

    mended = sent(
        stream, words("a"), words(None), words("b", "stop"), {**words("", ""), "id": None}, chunk(usage=USAGE)
    )

    assert [(each["choices"][0]["text"], each["choices"][0]["finish_reason"]) for each in mended] == [
        ("a", None),
        ("", None),
        ("b", None),
        ("", "stop"),
        ("", None),
    ]
    assert {(each["id"], each["object"], each["model"]) for each in mended} == {
        ("chatcmpl-up", "text_completion", "alias")
    }
    assert [json.loads(payload)["usage"] for payload in stream.conclude()] == [USAGE]
    assert stream.finished


def test_a_good_text_chunk_passes_as_the_same_bytes() -> None:
    data = b'{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"a"}]}'

    assert text().admit(data).payloads == (data,)
    assert text().admit(b'{"choices":[{"text":"a"}]}').chunk["id"] == "cmpl-1"
