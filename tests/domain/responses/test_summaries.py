"""Summaries: what a chat is asked for one, and how it is sealed."""

import pytest

from llm_backend.domain.responses.summaries import INTRODUCTION, Summaries
from llm_backend.domain.responses.summarizing import PROMPT, summary_body
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import InvalidRequest, Json
from tests.domain.responses.conftest import Accepts

SUMMARIES = Summaries(Secrets(b"x" * 32))
ADD = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}


def test_a_chat_is_asked_for_a_text_and_calls_no_tool(accepts: Accepts) -> None:
    form = {"format": {"type": "json_object"}}
    body = {"model": "m", "input": "Hi", "tools": [ADD], "tool_choice": "required", "text": form, "top_logprobs": 2}

    asked = summary_body(body)

    assert asked.keys() == {"model", "messages", "tools", "tool_choice"}
    assert asked["tool_choice"] == "none"
    assert accepts("createChatCompletion", asked)


def test_what_is_asked_in_the_end_is_a_summary() -> None:
    asked = summary_body({"model": "m", "instructions": "Be brief", "input": "Hi", "service_tier": "flex"})

    assert [message["content"] for message in asked["messages"]] == ["Be brief", "Hi", PROMPT]
    assert asked["service_tier"] == "flex"
    assert "tool_choice" not in asked


@pytest.mark.parametrize("text", ["Ada", "", "漢字\n😀", "half a pair: \ud83d"])
def test_a_summary_opens_for_its_account_alone(text: str) -> None:
    item = SUMMARIES.sealed(text, 7)

    [opened] = SUMMARIES.opened([item], 7, "input")

    assert opened["content"] == INTRODUCTION + text.encode("utf-8", "replace").decode()
    with pytest.raises(InvalidRequest) as caught:
        SUMMARIES.opened([{"type": "message"}, item], 8, "input")
    assert caught.value.param == "input[1].encrypted_content"


@pytest.mark.parametrize(
    "item",
    [
        {"type": "compaction", "encrypted_content": "gAAAAAB"},
        {"type": "compaction"},
        {"type": "reasoning", "encrypted_content": "summary.AAAA"},
        {"type": "message", "role": "user", "content": "summary.AAAA"},
    ],
)
def test_whatever_else_is_left_as_it_is(item: Json) -> None:
    assert SUMMARIES.opened([item], 7, "input") == [item]


def test_another_servers_secret_opens_nothing() -> None:
    item = Summaries(Secrets(b"y" * 32)).sealed("Ada", 7)

    with pytest.raises(InvalidRequest):
        SUMMARIES.opened([item], 7, "input")
