"""A stream's chunks make the completion that would have come in one piece."""

from typing import Any

from llm_backend.domain.completions.gathering import GatheredCompletion
from llm_backend.errors import Json


def gathered(*choices: Json, usage: Json = None, **head: Json) -> Json:
    gathering = GatheredCompletion()
    for choice in choices:
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": None}
        gathering.see({**chunk, **head, "choices": [choice]})
    return gathering.whole(usage)


def said(delta: Json, index: int = 0, **rest: Json) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": None, **rest}


def ended(reason: str = "stop", index: int = 0) -> Json:
    return {"index": index, "delta": {}, "finish_reason": reason}


def test_texts_are_joined_and_what_is_told_once_is_told_once() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    first = said({"role": "assistant", "content": "Hel", "refusal": None})

    whole = gathered(first, said({"content": "lo"}), ended(), usage=usage, service_tier="default", obfuscation="x")

    message = {"role": "assistant", "content": "Hello", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "service_tier": "default"}
    assert whole == {**head, "choices": [choice], "usage": usage}


def test_choices_come_in_order_whatever_order_they_were_said_in() -> None:
    whole = gathered(said({"content": "b"}, 1), said({"content": "a"}), ended("stop", 1), ended("length"))

    told = [(each["index"], each["message"]["content"], each["finish_reason"]) for each in whole["choices"]]
    assert told == [(0, "a", "length"), (1, "b", "stop")]
    assert "usage" not in whole


def test_calls_go_on_where_their_index_says() -> None:
    def called(index: int, **piece: Json) -> Json:
        return said({"tool_calls": [{"index": index, **piece}]})

    whole = gathered(
        called(0, id="call_1", type="function", function={"name": "add", "arguments": ""}),
        called(1, id="call_2", type="custom", custom={"name": "run", "input": "l"}),
        called(0, function={"arguments": '{"a"'}),
        called(1, custom={"input": "s"}),
        called(0, type="function", function={"arguments": ": 1}"}),
        ended("tool_calls"),
    )

    message = whole["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
        {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": "ls"}},
    ]


def test_a_sound_a_thought_and_probabilities_are_put_together() -> None:
    def likely(token: str) -> Json:
        others = [{"token": token, "logprob": -0.5, "bytes": [1]}]
        return {"content": [{"token": token, "logprob": -0.5, "bytes": [1], "top_logprobs": others}], "refusal": None}

    whole = gathered(
        said({"reasoning_content": "so", "audio": {"id": "audio_1", "data": "AA"}}, logprobs=likely("a")),
        said({"reasoning_content": " it", "audio": {"data": "BB", "expires_at": 5}}, logprobs=likely("b")),
        said({"content": "is", "annotations": [{"type": "url_citation"}, "odd"]}, filtered={"hate": "no"}),
        ended(),
    )

    [choice] = whole["choices"]
    assert choice["message"]["reasoning_content"] == "so it"
    assert choice["message"]["audio"] == {"id": "audio_1", "data": "AABB", "expires_at": 5}
    assert choice["message"]["annotations"] == [{"type": "url_citation"}, "odd"]
    assert [each["token"] for each in choice["logprobs"]["content"]] == ["a", "b"]
    assert choice["logprobs"]["content"][0]["top_logprobs"] == likely("a")["content"][0]["top_logprobs"]
    assert choice["filtered"] == {"hate": "no"}


def test_what_lies_too_deep_or_changes_its_kind_counts_as_it_came_last() -> None:
    deep = {"a": {"b": {"c": {"d": "e"}}}}
    whole = gathered(
        said({"x": deep, "y": "text", "tool_calls": [7]}),
        said({"x": deep, "y": {"no": "text"}, "tool_calls": "odd"}),
        said({"y": [1], "z": 5}),
        ended(),
    )

    message = whole["choices"][0]["message"]
    assert (message["x"], message["y"], message["z"]) == (deep, [1], 5)
    assert message["tool_calls"] == "odd"
