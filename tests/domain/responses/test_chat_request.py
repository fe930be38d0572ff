"""What a chat is asked where a response was asked for: all of it, or an error that names what cannot be."""

import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

from llm_backend.domain.responses.chat_request import chat_body
from llm_backend.domain.responses.drafting import OURS
from llm_backend.errors import InvalidRequest, Json
from tests.domain.responses.conftest import Accepts
from tests.domain.responses.dialogues import said

HELLO: Json = {"role": "user", "content": "Hello"}
SCHEMA: Json = {"name": "sum", "schema": {"type": "object"}, "strict": True, "description": "A sum."}
TOOL: Json = {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": True}
CHAT_TOOL: Json = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object"}, "strict": True},
}

CARRIED: list[tuple[str, Json, Json]] = [
    ("model", "other", {"model": "other"}),
    ("input", "Hi", {"messages": [{"role": "user", "content": "Hi"}]}),
    ("instructions", "Be kind.", {"messages": [{"role": "system", "content": "Be kind."}, HELLO]}),
    ("instructions", [said("developer", "Be kind.")], {"messages": [{"role": "system", "content": "Be kind."}, HELLO]}),
    ("stream", True, {"stream": True}),
    ("stream", False, {"stream": False}),
    ("stream_options", {"include_obfuscation": False}, {"stream_options": {"include_obfuscation": False}}),
    ("stream_options", {}, {}),
    ("temperature", 0.5, {"temperature": 0.5}),
    ("top_p", 0, {"top_p": 0}),
    ("user", "u", {"user": "u"}),
    ("safety_identifier", "s", {"safety_identifier": "s"}),
    ("prompt_cache_key", "k", {"prompt_cache_key": "k"}),
    ("prompt_cache_options", {"mode": "explicit"}, {"prompt_cache_options": {"mode": "explicit"}}),
    ("prompt_cache_retention", "24h", {"prompt_cache_retention": "24h"}),
    ("service_tier", "flex", {"service_tier": "flex"}),
    ("max_output_tokens", 7, {"max_completion_tokens": 7}),
    ("max_tool_calls", 2, {}),
    ("reasoning", {"effort": "low", "summary": "auto", "generate_summary": None}, {"reasoning_effort": "low"}),
    ("reasoning", {"summary": "auto", "context": None}, {}),
    ("text", {"format": {"type": "text"}}, {"response_format": {"type": "text"}}),
    ("text", {"format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
    (
        "text",
        {"format": {"type": "json_schema", **SCHEMA}, "verbosity": "low"},
        {"response_format": {"type": "json_schema", "json_schema": SCHEMA}, "verbosity": "low"},
    ),
    (
        "text",
        {"format": {"type": "json_schema", "name": "sum", "schema": {}, "strict": None}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "sum", "schema": {}}}},
    ),
    ("text", {}, {}),
    ("include", ["message.output_text.logprobs"], {"logprobs": True}),
    ("include", ["reasoning.encrypted_content", "file_search_call.results"], {}),
    ("top_logprobs", 3, {}),
    ("top_logprobs", 0, {}),
    ("tools", [TOOL], {"tools": [CHAT_TOOL]}),
    ("tools", [], {}),
    ("tool_choice", "auto", {}),
    ("tool_choice", "none", {}),
    ("tool_choice", "required", {"tool_choice": "required"}),
    ("parallel_tool_calls", False, {}),
    # What neither API knows is for the upstream to judge.
    ("seed", 4, {"seed": 4}),
    ("chat_template_kwargs", {"thinking": False}, {"chat_template_kwargs": {"thinking": False}}),
]
"""A field, its value, and what a chat has for it."""

UNTOLD: list[tuple[str, Json]] = [("store", False), ("truncation", "auto")]

REFUSED: list[tuple[str, Json, str]] = [
    ("access_programs", {"cyber": "standard"}, "access_programs"),
    ("context_management", [{"type": "compaction"}], "context_management"),
    ("image", {"context_compression": "disabled"}, "image"),
    ("moderation", {"model": "omni-moderation-latest"}, "moderation"),
    ("prompt", {"id": "pmpt_1"}, "prompt"),
    ("reasoning", {"context": "all_turns"}, "reasoning.context"),
    ("reasoning", {"effort": "low", "mode": "pro"}, "reasoning.mode"),
    ("text", {"tone": "kind"}, "text.tone"),
    ("stream_options", {"include_usage": True}, "stream_options.include_usage"),
]
"""A field, its value, and the field that is named as what no chat has."""


def asked(**fields: Json) -> dict[str, Json]:
    return {"model": "m", "input": [HELLO], **fields}


def refusal(**fields: Json) -> InvalidRequest:
    """Why it cannot be asked of a chat."""
    with pytest.raises(InvalidRequest) as caught:
        chat_body(asked(**fields))
    return caught.value


@pytest.mark.parametrize(("field", "value", "told"), CARRIED, ids=[f"{row[0]}-{i}" for i, row in enumerate(CARRIED)])
def test_a_field_is_what_a_chat_calls_it(accepts: Accepts, field: str, value: Json, told: Json) -> None:
    body = chat_body(asked(**{field: value}))

    assert body == {"model": "m", "messages": [HELLO], **told}
    assert accepts("createChatCompletion", body)


@pytest.mark.parametrize(("field", "value"), UNTOLD)
def test_a_chat_is_not_told_what_this_server_does_itself(field: str, value: Json) -> None:
    assert chat_body(asked(**{field: value})) == {"model": "m", "messages": [HELLO]}


@pytest.mark.parametrize(("field", "value", "param"), REFUSED)
def test_a_field_that_no_chat_has_is_named(field: str, value: Json, param: str) -> None:
    error = refusal(**{field: value})

    assert (error.param, error.code) == (param, "unsupported_parameter")
    assert "has chats only" in str(error)


def test_every_field_of_the_package_is_carried_or_ours_or_refused() -> None:
    judged = {row[0] for row in CARRIED} | {row[0] for row in UNTOLD} | OURS | {row[0] for row in REFUSED}

    assert judged >= ResponseCreateParamsStreaming.__annotations__.keys()


@pytest.mark.parametrize("field", sorted(ResponseCreateParamsStreaming.__annotations__.keys() - {"model", "input"}))
def test_null_is_as_absent(field: str) -> None:
    assert chat_body(asked(**{field: None})) == {"model": "m", "messages": [HELLO]}


@pytest.mark.parametrize("most", [0, 2])
def test_how_many_logprobs_are_wanted_is_said_where_any_are(most: int) -> None:
    body = chat_body(asked(include=["message.output_text.logprobs"], top_logprobs=most))

    assert body == {"model": "m", "messages": [HELLO], "logprobs": True, "top_logprobs": most}


def test_a_format_that_no_chat_has_is_named_and_not_shown() -> None:
    error = refusal(text={"format": {"type": "a grammar of <mine>"}})

    assert (error.param, error.code) == ("text.format.type", "unsupported_value")
    assert str(error) == "A format of an unknown type cannot be sent: the upstream of this model has chats only."


@pytest.mark.parametrize("said_", [{}, {"input": None}, {"input": []}, {"input": [{"type": "reasoning"}]}])
def test_a_chat_in_which_nothing_was_said_is_not_asked(said_: Json) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_body({"model": "m", **said_})

    assert (caught.value.param, caught.value.code) == ("input", "missing_required_parameter")
