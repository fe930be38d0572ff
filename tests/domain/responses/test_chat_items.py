"""The items of a dialogue, as the messages of a chat: nothing that was said is lost, or it is named."""

import pytest

from llm_backend.domain.responses.chat_request import chat_body
from llm_backend.errors import InvalidRequest, Json
from tests.domain.responses.conftest import Accepts
from tests.domain.responses.dialogues import (
    call,
    chat_call,
    chat_custom_call,
    custom_call,
    output,
    said,
    thought,
)

PICTURE = "data:image/png;base64,AAAA"
SOUND = {"data": "AAAA", "format": "wav"}
MARK = {"mode": "explicit"}
WEATHER = {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "phase": "commentary"}

PARTS: list[tuple[str, Json, Json]] = [
    ("user", "Hi", "Hi"),
    ("user", "", ""),
    ("user", [], ""),
    ("system", "Be kind.", "Be kind."),
    ("assistant", "Hello.", "Hello."),
    ("user", [{"type": "input_text", "text": "Hi"}], "Hi"),
    ("user", [{"type": "output_text", "text": "Hi", "annotations": []}], "Hi"),
    (
        "user",
        [{"type": "input_text", "text": "Hi"}, {"type": "input_text", "text": "you"}],
        [{"type": "text", "text": "Hi"}, {"type": "text", "text": "you"}],
    ),
    (
        "system",
        [{"type": "input_text", "text": "Hi", "prompt_cache_breakpoint": MARK}],
        [{"type": "text", "text": "Hi", "prompt_cache_breakpoint": MARK}],
    ),
    (
        "assistant",
        [{"type": "output_text", "text": "I", "annotations": []}, {"type": "refusal", "refusal": "won't"}],
        [{"type": "text", "text": "I"}, {"type": "refusal", "refusal": "won't"}],
    ),
    (
        "user",
        [{"type": "input_image", "image_url": PICTURE, "detail": None, "file_id": None}],
        [{"type": "image_url", "image_url": {"url": PICTURE}}],
    ),
    (
        "user",
        [{"type": "input_image", "image_url": PICTURE, "detail": "auto"}],
        [{"type": "image_url", "image_url": {"url": PICTURE}}],
    ),
    (
        "user",
        [{"type": "input_image", "image_url": PICTURE, "detail": "original", "prompt_cache_breakpoint": MARK}],
        [
            {
                "type": "image_url",
                "image_url": {"url": PICTURE, "detail": "original"},
                "prompt_cache_breakpoint": MARK,
            }
        ],
    ),
    (
        "user",
        [{"type": "input_file", "file_data": "AAAA", "filename": "a.pdf", "detail": "auto"}],
        [{"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}}],
    ),
    (
        "user",
        [{"type": "input_file", "file_id": "file-1", "file_url": None}],
        [{"type": "file", "file": {"file_id": "file-1"}}],
    ),
    ("user", [{"type": "input_audio", "input_audio": SOUND}], [{"type": "input_audio", "input_audio": SOUND}]),
]
"""A role, its content, and the content of the chat's message."""

TURNS: list[tuple[Json, Json]] = [
    ([call("c1")], [{"role": "assistant", "content": None, "tool_calls": [chat_call("c1")]}]),
    (
        [call("c1", caller={"type": "direct"}), output("c1", namespace=None)],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call("c1")]},
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
        ],
    ),
    (
        [said("assistant", "Wait."), call("c1"), custom_call("c2")],
        [{"role": "assistant", "content": "Wait.", "tool_calls": [chat_call("c1"), chat_custom_call("c2")]}],
    ),
    (
        # Between a call and its output nothing may stand.
        [call("c1"), said("assistant", "And"), thought("More."), call("c2"), said("assistant", "so on.")],
        [
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "so on."}],
                "reasoning_content": "More.",
                "tool_calls": [chat_call("c1"), chat_call("c2")],
            }
        ],
    ),
    (
        [call("c1"), output("c1"), call("c2")],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call("c1")]},
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
            {"role": "assistant", "content": None, "tool_calls": [chat_call("c2")]},
        ],
    ),
    (
        [said("assistant", "One."), said("assistant", "Two.")],
        [{"role": "assistant", "content": "One."}, {"role": "assistant", "content": "Two."}],
    ),
    (
        [thought("Hm.", "Yes."), thought("Now."), said("assistant", "One."), thought("Then."), call("c1")],
        [
            {"role": "assistant", "content": "One.", "reasoning_content": "Hm.\n\nYes.\n\nNow."},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Then.",
                "tool_calls": [chat_call("c1")],
            },
        ],
    ),
    (
        [thought("Hm."), said("user", "Well?")],
        [{"role": "assistant", "content": "", "reasoning_content": "Hm."}, {"role": "user", "content": "Well?"}],
    ),
    (
        [thought(summary=[{"type": "summary_text", "text": "In short."}], encrypted_content="gAAA")],
        [{"role": "assistant", "content": "", "reasoning_content": "In short."}],
    ),
    (
        [thought("At length.", summary=[{"type": "summary_text", "text": "In short."}])],
        [{"role": "assistant", "content": "", "reasoning_content": "At length."}],
    ),
    (
        [thought(encrypted_content=None), thought(""), said("assistant", "One.")],
        [{"role": "assistant", "content": "One."}],
    ),
    (
        [output("c1", [{"type": "input_text", "text": "3"}]), {**output("c2", "4"), "type": "custom_tool_call_output"}],
        [
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
            {"role": "tool", "tool_call_id": "c2", "content": "4"},
        ],
    ),
    (
        [output("c1", [{"type": "input_text", "text": "3"}, {"type": "input_text", "text": "4"}])],
        [
            {
                "role": "tool",
                "tool_call_id": "c1",
                "content": [{"type": "text", "text": "3"}, {"type": "text", "text": "4"}],
            }
        ],
    ),
    ([{**WEATHER, "content": "Rain."}], [{"role": "assistant", "content": "Rain."}]),
    ([said("developer", "Be kind.")], [{"role": "system", "content": "Be kind."}]),
    ([{"role": "user", "content": "Hi", "type": None}], [{"role": "user", "content": "Hi"}]),
]
"""Items, and the messages that they are."""

REFUSED: list[tuple[Json, str, str]] = [
    ({"type": "item_reference", "id": "msg_1"}, "type", "unsupported_value"),
    ({"id": "msg_1"}, "type", "unsupported_value"),
    ({"type": "web_search_call", "id": "ws_1", "status": "completed"}, "type", "unsupported_value"),
    ({"type": "compaction", "encrypted_content": "gAAA"}, "encrypted_content", "unsupported_value"),
    ({"type": "message", "role": "critic", "content": "Bad."}, "role", "unsupported_value"),
    (thought(encrypted_content="gAAA"), "encrypted_content", "unsupported_value"),
    (call("c1", namespace="crm"), "namespace", "unsupported_parameter"),
    (call("c1", caller={"type": "program", "caller_id": "p"}), "caller", "unsupported_parameter"),
    (output("c1", caller={"type": "program", "caller_id": "p"}), "caller", "unsupported_parameter"),
    ({"type": "function_call_output", "output": "3", "name": "add"}, "call_id", "unsupported_value"),
    (output("c1", [{"type": "input_image", "image_url": PICTURE}]), "output[0].type", "unsupported_value"),
    (output("c1", [{"type": "input_file", "file_id": "file-1"}]), "output[0].type", "unsupported_value"),
]
"""An item, the field of it that is named, and as what."""

REFUSED_PARTS: list[tuple[str, Json, str]] = [
    ("user", {"type": "input_image", "file_id": "file-1", "detail": "auto"}, "file_id"),
    ("user", {"type": "input_image"}, "file_id"),
    ("user", {"type": "input_file", "file_url": "https://example.org/a.pdf"}, "file_url"),
    ("user", {"type": "input_file", "file_id": "file-1", "detail": "high"}, "detail"),
    ("user", {"type": "refusal", "refusal": "No."}, "type"),
    ("user", {"type": "computer_screenshot"}, "type"),
    ("assistant", {"type": "input_image", "image_url": PICTURE}, "type"),
    ("developer", {"type": "input_file", "file_id": "file-1"}, "type"),
]
"""A role, a part of its message, and the field of the part that is named."""


def messages_of(*items: Json) -> list[Json]:
    return list(chat_body({"model": "m", "input": list(items)})["messages"])


@pytest.mark.parametrize(("role", "content", "told"), PARTS)
def test_the_parts_of_a_message_are_what_a_chat_calls_them(
    accepts: Accepts, role: str, content: Json, told: Json
) -> None:
    body = chat_body({"model": "m", "input": [{"role": role, "content": content}]})

    assert body["messages"] == [{"role": role, "content": told}]
    assert accepts("createChatCompletion", body)


@pytest.mark.parametrize(("items", "told"), TURNS)
def test_items_are_the_messages_of_a_chat(accepts: Accepts, items: Json, told: Json) -> None:
    body = chat_body({"model": "m", "input": items})

    assert body["messages"] == told
    assert accepts("createChatCompletion", body)


@pytest.mark.parametrize(("item", "param", "code"), REFUSED)
def test_an_item_that_no_chat_can_carry_is_named(item: Json, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        messages_of(said("user", "Hi"), item)

    assert (caught.value.param, caught.value.code) == (f"input[1].{param}", code)


@pytest.mark.parametrize(("role", "part", "param"), REFUSED_PARTS)
def test_a_part_that_no_chat_can_carry_is_named(role: str, part: Json, param: str) -> None:
    message = {"role": role, "content": [{"type": "input_text", "text": "Look:"}, part]}

    with pytest.raises(InvalidRequest) as caught:
        messages_of(message)

    assert (caught.value.param, caught.value.code) == (f"input[0].content[1].{param}", "unsupported_value")


def test_an_item_of_the_instructions_is_named_where_it_stands() -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_body({"model": "m", "input": "Hi", "instructions": [{"type": "web_search_call"}]})

    assert caught.value.param == "instructions[0].type"
    assert str(caught.value).startswith("An item of type web_search_call cannot be sent: ")
