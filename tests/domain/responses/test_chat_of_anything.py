"""Whatever the document takes as a request for a response, a chat is asked for it or the client is told why not."""

from collections.abc import Iterator
from copy import deepcopy

import pytest

from llm_backend.domain.responses.chat_request import chat_body
from llm_backend.errors import InvalidRequest, Json
from tests.domain.responses.conftest import Accepts
from tests.domain.responses.dialogues import call, custom_call, output, said, thought

JUNK: list[Json] = [None, 5, True, "text", "", [], ["text"], [5], [{}], {}, {"type": 5}, {"type": ["text"]}, {"a": 1}]


def unchecked(role: str, content: Json) -> Json:
    """A message that names no type and has an id: it may be a reference, whatever else it has."""
    return {"input": [{"id": "msg_1", "role": role, "content": content}]}


GOOD: list[Json] = [
    {"instructions": "Be kind.", "stream": True, "stream_options": {"include_obfuscation": True}},
    {"include": ["message.output_text.logprobs"], "top_logprobs": 2, "reasoning": {"effort": "low"}},
    {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"}},
    {"tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "function", "name": "f"}},
    {"tools": [{"type": "custom", "name": "c", "format": {"type": "text"}}]},
    {"tools": [{"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "d"}}]},
    {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}},
    unchecked("user", "Hi"),
    unchecked("user", [{"type": "input_text", "text": "Hi"}]),
    unchecked("user", [{"type": "input_image", "image_url": "data:,", "detail": "low"}]),
    unchecked("user", [{"type": "input_file", "file_data": "AAAA", "filename": "a.pdf"}]),
    unchecked("user", [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]),
    unchecked("assistant", [{"type": "refusal", "refusal": "No."}]),
    {"input": [said("user", "Hi"), thought("Hm."), said("assistant", "Yes."), call("c1"), output("c1")]},
    {"input": [custom_call("c1"), output("c1", [{"type": "input_text", "text": "3"}])]},
]


def places(value: Json) -> Iterator[list[Json]]:
    """The way to everything that stands in a body."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield [name]
        yield from ([name, *more] for more in places(each))


def broken(body: Json) -> Iterator[Json]:
    """The body with one thing in it left out, or something else in its place."""
    for *way, name in places(body):
        for junk in (*JUNK, KeyError):
            made = deepcopy(body)
            place = made
            for step in way:
                place = place[step]
            if junk is KeyError:
                del place[name]
            else:
                place[name] = junk
            yield made


def chat_or_none(body: Json) -> Json:
    """None where the client is told which field cannot be asked of a chat."""
    try:
        return chat_body(body)
    except InvalidRequest as error:
        return None if error.param else body


@pytest.mark.parametrize("fields", GOOD, ids=range(len(GOOD)))
def test_what_the_document_takes_is_asked_of_a_chat_or_refused_by_name(accepts: Accepts, fields: Json) -> None:
    taken = [body for body in broken({"input": "Hi", **fields}) if accepts("createResponse", body)]

    assert taken
    for body in taken:
        asked = chat_or_none({**body, "model": "m"})
        assert asked is None or accepts("createChatCompletion", asked), body
