"""What of a request counts as text to read."""

import pytest

from llm_backend.domain.prompts import NUMBERED, prompt_text, text_bytes
from llm_backend.errors import Json

IMAGE = "data:image/png;base64," + "A" * 2_000_000


def said(*parts: Json) -> Json:
    return {"model": "echo", "messages": [{"role": "user", "content": list(parts)}]}


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ({"model": "a-long-name-that-nobody-reads", "messages": []}, 0),
        ({"messages": [{"role": "user", "content": "Grüße"}]}, 7),
        ({"prompt": ["one", "two"]}, 6),
        ({"input": "text"}, 4),
        (said({"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": IMAGE}}), 11),
        (said({"type": "input_audio", "input_audio": {"data": "A" * 1000, "format": "wav"}}), 3),
        (said({"type": "file", "file": {"file_data": "A" * 1000, "filename": "a.pdf"}}), 5),
        (said({"type": "text", "text": "data: is a text here"}), 20),
        ({"prompt": "def f(", "suffix": "return 1"}, 14),
        ({"input": [[1, 2, 3], [4]]}, 16),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": None}]}, 0),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, 3),
    ],
)
def test_texts_are_counted_in_bytes_and_files_not_at_all(body: Json, size: int) -> None:
    assert text_bytes(body) == size


def test_tools_are_read_as_they_are_written() -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"n": 1, "strict": True}}}

    assert text_bytes({"tools": [tool]}) == sum(
        map(len, ["type", "function", "function", "name", "look", "parameters", "n", "1", "strict", "True"])
    )


def test_the_texts_stand_together_to_be_counted() -> None:
    body = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "you"}]}],
        "tools": [{"name": "look", "strict": True}],
        "input": [7],
    }

    assert prompt_text(body).split("\n") == ["Hi", "you", NUMBERED, "name", "look", "strict", "True"]
