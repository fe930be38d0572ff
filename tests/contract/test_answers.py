"""What is told of responses, held against the document."""

from functools import cache

import pytest

from llm_backend.contract.answers import ResponseSchemas
from llm_backend.contract.documents import merge
from llm_backend.errors import Json
from llm_backend.resources import resource

MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
}
RESPONSE: Json = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "model": "echo",
    "output": [MESSAGE],
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
}
DELTA: Json = {
    "type": "response.output_text.delta",
    "sequence_number": 3,
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "Hello",
    "logprobs": [],
}


@cache
def schemas() -> ResponseSchemas:
    return ResponseSchemas(merge(resource("spec")))


@pytest.mark.parametrize(
    "told", [RESPONSE, DELTA, {"type": "response.completed", "sequence_number": 4, "response": RESPONSE}]
)
def test_what_is_as_the_document_has_it_has_no_fault(told: Json) -> None:
    assert schemas().fault_in(told) is None


@pytest.mark.parametrize(
    ("told", "place"),
    [
        (RESPONSE | {"status": "done"}, "status"),
        (RESPONSE | {"output": [MESSAGE, MESSAGE | {"role": "user"}]}, "output[1].role"),
        ({name: value for name, value in RESPONSE.items() if name != "model"}, "model"),
        (DELTA | {"delta": 5}, "delta"),
        ({"type": "response.completed", "sequence_number": 4, "response": RESPONSE | {"id": 1}}, "response.id"),
        ({"type": "response.invented", "sequence_number": 4}, "type"),
    ],
)
def test_a_fault_is_told_by_its_place(told: Json, place: str) -> None:
    assert schemas().fault_in(told) == place
