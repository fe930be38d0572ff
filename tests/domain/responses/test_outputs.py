"""What outputs of all kinds have in common."""

import orjson
import pytest

from llm_backend.domain.responses.chat_request import chat_body
from llm_backend.domain.responses.outputs import Output
from llm_backend.errors import Json
from tests.domain.responses.answering import (
    TEXTS,
    chat_request,
    heard,
    nameless,
    outputs,
    response_request,
    streamed,
    taken,
    whole,
)
from tests.domain.responses.strict import check_input


@pytest.mark.parametrize("output", outputs(), ids=["chat", "native"])
def test_an_output_that_took_nothing_and_is_cut_is_empty(output: Output) -> None:
    told = output.close(is_cut=True)

    assert (told, output.items, output.incomplete_reason) == ([], [], None)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_what_was_answered_can_be_said_before_what_is_asked_next(text: str) -> None:
    chats = await streamed("/chat/completions", chat_request(text, model="echo-reasoning"))
    events = await streamed("/responses", response_request(text, model="echo-reasoning"))

    for output in (heard(*chats)[0], taken([orjson.loads(event) for event in events])[0]):
        check_input(output.items)


@pytest.mark.parametrize("name", ["a text", "characters", "a call", "parallel calls", "calls of both kinds"])
async def test_what_a_chat_is_told_of_an_answer_is_what_a_chat_had_said(name: str) -> None:
    request: Json = chat_request(TEXTS[name], model="echo-reasoning")
    output, _ = heard(*await streamed("/chat/completions", request))

    (message,) = chat_body({"model": "any", "input": output.items})["messages"]

    assert nameless(whole(message).items) == nameless(output.items)
