"""Which bodies the committed document accepts, and which it refuses."""

from collections.abc import Callable
from functools import cache

import jsonschema_rs
import pytest

from llm_backend.errors import Json

Accepts = Callable[[str, Json], bool]

HELLO = [{"role": "user", "content": "hi"}]
FUNCTION = {"type": "function", "function": {"name": "add"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.fixture(scope="session")
def accepts(document: Json, registry: jsonschema_rs.Registry) -> Accepts:
    bodies = {
        operation["operationId"]: next(iter(operation["requestBody"]["content"].values()))["schema"]["$ref"]
        for item in document["paths"].values()
        for operation in item.values()
        if "requestBody" in operation
    }

    @cache
    def validator(operation: str) -> jsonschema_rs.Validator:
        return jsonschema_rs.validator_for({"$ref": f"urn:openai{bodies[operation]}"}, registry=registry)

    return lambda operation, body: validator(operation).is_valid(body)


def chat(**fields: Json) -> Json:
    return {"model": "m", "messages": HELLO, **fields}


def said(*messages: Json) -> Json:
    return {"model": "m", "messages": list(messages)}


def embed(value: Json, **fields: Json) -> Json:
    return {"model": "m", "input": value, **fields}


OPTIONAL = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "web_search_options",
]

ACCEPTED: dict[str, Json] = {
    "the smallest": chat(),
    "an unknown field": chat(top_k=40, extra_body={"a": 1}),
    "null for all that may be left out": chat(**dict.fromkeys(OPTIONAL)),
    "a model with a slash": chat(model="org/model:tag"),
    "a model in another script": chat(model="модель"),
    "a new reasoning effort": chat(reasoning_effort="extreme"),
    "a new service tier": chat(service_tier="on_demand"),
    "a new modality": chat(modalities=["text", "image"]),
    "a new tool type": chat(tools=[{"type": "web_search_20270101", "max_uses": 1}]),
    "a new response format": chat(response_format={"type": "grammar", "value": "x"}),
    "a new tool choice": chat(tool_choice={"type": "any_of", "names": ["a"]}),
    "a temperature that only the upstream judges": chat(temperature=3.5, top_p=7),
    "a tool": chat(tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "add"}}),
    "a tool of free text": chat(tools=[{"type": "custom", "custom": {"name": "add"}}]),
    "the most choices": chat(n=128),
    "a cap of nothing": chat(max_tokens=0),
    "one stop": chat(stop="\n"),
    "sixteen stops": chat(stop=["x" * 1024] * 16),
    "sixteen metadata": chat(metadata={f"k{i}": "v" * 512 for i in range(16)}),
    "a NUL in contents": said({"role": "user", "content": "a\x00b"}),
    "parts": said({"role": "user", "content": [{"type": "text", "text": "hi"}, IMAGE]}),
    "a developer": said({"role": "developer", "content": "be brief"}, *HELLO),
    "a tool call without content": said(*HELLO, {"role": "assistant", "content": None, "tool_calls": [CALL]}),
    "an assistant with nothing but a role": said(*HELLO, {"role": "assistant"}),
    "a tool's answer": said({"role": "tool", "tool_call_id": "call_1", "content": "3"}),
    "a file": said({"role": "user", "content": [{"type": "file", "file": {"file_data": "data:,x"}}]}),
    "an image with a new detail": said(
        {"role": "user", "content": [{**IMAGE, "image_url": {"url": "x", "detail": "z"}}]}
    ),
    "a schema": chat(
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    ),
    "five thousand messages": said(*HELLO * 5000),
}

REFUSED: dict[str, Json] = {
    "no object": [],
    "nothing": {},
    "no model": {"messages": HELLO},
    "no messages": {"model": "m"},
    "null for messages": {"model": "m", "messages": None},
    "a model that is no text": chat(model=1),
    "an empty model": chat(model=""),
    "a long model": chat(model="m" * 257),
    "a line break in the model": chat(model="m\nSet-Cookie: a"),
    "a NUL in the model": chat(model="m\x00"),
    "no message in messages": said(),
    "too many messages": said(*HELLO * 10_001),
    "a message that is text": said("hi"),
    "a message without role": said({"content": "hi"}),
    "an unknown role": said({"role": "robot", "content": "hi"}),
    "a user without content": said({"role": "user"}),
    "null for a user's content": said({"role": "user", "content": None}),
    "a part of an unknown type": said({"role": "user", "content": [{"type": "smell", "smell": "x"}]}),
    "a part without text": said({"role": "user", "content": [{"type": "text"}]}),
    "an image without url": said({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}),
    "a tool's answer to nothing": said({"role": "tool", "content": "3"}),
    "a NUL in the name of a message": said({"role": "user", "content": "hi", "name": "a\x00"}),
    "a NUL in a tool call's id": said({"role": "tool", "tool_call_id": "a\x00", "content": "3"}),
    "a call without arguments": said({"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "add"}}]}),
    "a function tool without function": chat(tools=[{"type": "function"}]),
    "a tool without type": chat(tools=[{"function": {"name": "add"}}]),
    "a function without name": chat(tools=[{"type": "function", "function": {}}]),
    "too many tools": chat(tools=[FUNCTION] * 513),
    "tools that are no list": chat(tools=FUNCTION),
    "an unknown word for the tool choice": chat(tool_choice="sometimes"),
    "text for a number": chat(temperature="0.5"),
    "text for a boolean": chat(stream="true"),
    "no choices": chat(n=0),
    "fewer than no choices": chat(n=-3),
    "too many choices": chat(n=129),
    "half a choice": chat(n=1.5),
    "a negative cap": chat(max_tokens=-1),
    "a cap beyond all integers": chat(max_completion_tokens=10**12),
    "seventeen stops": chat(stop=["x"] * 17),
    "a long stop": chat(stop="x" * 1025),
    "a long stop in a list": chat(stop=["x" * 1025]),
    "seventeen metadata": chat(metadata={f"k{i}": "v" for i in range(17)}),
    "a long metadata key": chat(metadata={"k" * 65: "v"}),
    "a long metadata value": chat(metadata={"k": "v" * 513}),
    "a NUL in a metadata key": chat(metadata={"k\x00": "v"}),
    "a NUL in the values of metadata": chat(metadata={"a": "\x00"}),
    "metadata that is no text": chat(metadata={"k": 1}),
    "too much bias": chat(logit_bias={str(i): 1 for i in range(1025)}),
    "a schema without a name": chat(response_format={"type": "json_schema", "json_schema": {"schema": {}}}),
    "a response format that is text": chat(response_format="json"),
    "a NUL in the user": chat(user="a\x00"),
}

OTHERS: list[tuple[str, Json, bool]] = [
    ("createEmbedding", embed("hi"), True),
    ("createEmbedding", embed(["hi"] * 2048), True),
    ("createEmbedding", embed(list(range(8192))), True),
    ("createEmbedding", embed([[1, 2], [3]]), True),
    ("createEmbedding", embed("hi", dimensions=None, encoding_format="base64"), True),
    ("createEmbedding", embed(""), False),
    ("createEmbedding", embed([]), False),
    ("createEmbedding", embed(["hi"] * 2049), False),
    ("createEmbedding", embed(["hi", 1]), False),
    ("createEmbedding", embed({"text": "hi"}), False),
    ("createEmbedding", embed("hi", encoding_format="hex"), False),
    ("createCompletion", {"model": "m", "prompt": ["a", "b"], "best_of": 2}, True),
    ("createCompletion", {"model": "m", "prompt": None}, True),
    ("createCompletion", {"model": "m", "prompt": []}, False),
    ("createCompletion", {"model": "m", "prompt": "a", "best_of": 129}, False),
    ("createModeration", {"input": [{"type": "text", "text": "a"}]}, True),
    ("createModeration", {"input": []}, False),
    ("createResponse", {"model": "m", "input": "hi", "tools": [{"type": "function", "name": "add"}]}, True),
    ("createResponse", {"model": "m", "input": [{"role": "user", "content": [{"type": "input_image"}]}]}, True),
    ("createResponse", {"model": "m", "input": [{"role": "user", "content": [{"type": "smell"}]}]}, False),
    (
        "createResponse",
        {
            "model": "m",
            "input": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}],
        },
        True,
    ),
    ("createImageEdit", {"prompt": "a", "images": [{"image_url": "https://example.com/a.png"}]}, True),
    ("createImageEdit", {"prompt": "a", "images": [{"file_id": "file-1"}], "mask": {"file_id": "file-2"}}, True),
    ("createImageEdit", {"prompt": "a", "image": "bytes"}, False),
    ("createImageEdit", {"prompt": "a"}, False),
    ("createFile", {"file": "bytes", "purpose": "a-new-one"}, True),
    ("createFile", {"purpose": "batch"}, False),
    ("modifyMessage", {"metadata": {"a": "b"}}, True),
    ("modifyMessage", {"metadata": {"a": 1}}, False),
]


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_chat_request_is_accepted_with(accepts: Accepts, body: Json) -> None:
    assert accepts("createChatCompletion", body)


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_a_chat_request_is_refused_with(accepts: Accepts, body: Json) -> None:
    assert not accepts("createChatCompletion", body)


@pytest.mark.parametrize(("operation", "body", "is_accepted"), OTHERS)
def test_other_requests_are_judged_alike(accepts: Accepts, operation: str, body: Json, *, is_accepted: bool) -> None:
    assert accepts(operation, body) is is_accepted
