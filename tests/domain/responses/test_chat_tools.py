"""Tools and the choice among them, as a chat has them."""

import pytest

from llm_backend.domain.responses.chat_request import chat_body
from llm_backend.errors import InvalidRequest, Json
from tests.domain.responses.conftest import Accepts

GRAMMAR = {"definition": "start: /a+/", "syntax": "lark"}
ADD: Json = {"type": "function", "name": "add", "strict": None}
CHAT_ADD: Json = {"type": "function", "function": {"name": "add"}}

TOOLS: list[tuple[Json, Json]] = [
    (ADD, {"name": "add"}),
    ({**ADD, "parameters": {}, "description": "Adds."}, {"name": "add", "parameters": {}, "description": "Adds."}),
    ({**ADD, "strict": False, "parameters": None}, {"name": "add", "strict": False}),
    ({**ADD, "async": False, "defer_loading": False, "allowed_callers": ["direct"]}, {"name": "add"}),
    ({"type": "custom", "name": "shell"}, {"name": "shell"}),
    (
        {"type": "custom", "name": "shell", "description": "Runs.", "format": {"type": "text"}},
        {"name": "shell", "description": "Runs.", "format": {"type": "text"}},
    ),
    (
        {"type": "custom", "name": "shell", "format": {"type": "grammar", **GRAMMAR}},
        {"name": "shell", "format": {"type": "grammar", "grammar": GRAMMAR}},
    ),
]
"""A tool, and what a chat tells of it."""

CHOICES: list[tuple[Json, Json]] = [
    ("none", "none"),
    ("auto", "auto"),
    ("required", "required"),
    ({"type": "function", "name": "add"}, CHAT_ADD),
    ({"type": "custom", "name": "shell"}, {"type": "custom", "custom": {"name": "shell"}}),
    (
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "add"}]},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [CHAT_ADD]}},
    ),
]

REFUSED: list[tuple[Json, str, str]] = [
    ({"tools": [ADD, {"type": "web_search"}]}, "tools[1].type", "unsupported_value"),
    ({"tools": [{"type": "mcp", "server_label": "s"}]}, "tools[0].type", "unsupported_value"),
    ({"tools": [{"type": ["function"]}]}, "tools[0].type", "invalid_value"),
    ({"tools": [{**ADD, "async": True}]}, "tools[0].async", "unsupported_parameter"),
    ({"tools": [{**ADD, "defer_loading": True}]}, "tools[0].defer_loading", "unsupported_parameter"),
    ({"tools": [{**ADD, "allowed_callers": ["programmatic"]}]}, "tools[0].allowed_callers", "unsupported_parameter"),
    ({"tools": [{**ADD, "output_schema": {}}]}, "tools[0].output_schema", "unsupported_parameter"),
    (
        {"tools": [{"type": "custom", "name": "s", "format": {"type": "abnf"}}]},
        "tools[0].format.type",
        "unsupported_value",
    ),
    ({"tools": [ADD], "tool_choice": "any"}, "tool_choice", "unsupported_value"),
    ({"tool_choice": {"type": "web_search_preview"}}, "tool_choice.type", "unsupported_value"),
    (
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [ADD, {"type": "mcp"}]}},
        "tool_choice.tools[1].type",
        "unsupported_value",
    ),
]
"""What is asked for, the field that is named, and as what."""


@pytest.mark.parametrize(("tool", "told"), TOOLS)
def test_a_tool_of_the_clients_is_told_of(accepts: Accepts, tool: Json, told: Json) -> None:
    body = chat_body({"model": "m", "input": "Hi", "tools": [tool], "parallel_tool_calls": False})

    assert body["tools"] == [{"type": tool["type"], tool["type"]: told}]
    assert body["parallel_tool_calls"] is False
    assert accepts("createChatCompletion", body)


@pytest.mark.parametrize(("choice", "told"), CHOICES)
def test_a_choice_among_tools_of_the_clients_is_told_of(accepts: Accepts, choice: Json, told: Json) -> None:
    body = chat_body({"model": "m", "input": "Hi", "tools": [ADD], "tool_choice": choice})

    assert body["tool_choice"] == told
    assert accepts("createChatCompletion", body)


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED)
def test_what_a_client_does_not_run_is_named(fields: Json, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_body({"model": "m", "input": "Hi", **fields})

    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_tool_that_no_chat_has_is_called_by_its_type() -> None:
    with pytest.raises(InvalidRequest, match=r"^A tool of type web_search cannot be sent: the upstream of this model"):
        chat_body({"model": "m", "input": "Hi", "tools": [{"type": "web_search"}]})
