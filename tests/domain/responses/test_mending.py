"""Items with something else where texts and parts belong: put right, or refused; nothing is lost unseen."""

import pytest

from llm_backend.domain.responses.native_output import NativeOutput
from llm_backend.errors import Json, UpstreamInvalid
from tests.domain.responses.answering import new_ids, taken
from tests.domain.responses.native_events import CALL, MESSAGE, event, part
from tests.domain.responses.strict import check_events, check_items

REASONING: Json = {"type": "reasoning", "id": "rs_up", "summary": []}
CODE: Json = {"type": "code_interpreter_call", "id": "up_c", "container_id": "c", "status": "completed", "outputs": []}
MENDED: list[tuple[Json, str, Json]] = [
    ({**MESSAGE, "content": "hey"}, "content", [part("hey")]),
    ({**REASONING, "content": "hm"}, "content", [{"type": "reasoning_text", "text": "hm"}]),
    ({**REASONING, "summary": "hm"}, "summary", [{"type": "summary_text", "text": "hm"}]),
    ({**CALL, "arguments": {"a": ["é"]}}, "arguments", '{"a":["\\u00e9"]}'),
    ({**CALL, "arguments": []}, "arguments", "[]"),
    ({**CALL, "arguments": None}, "arguments", ""),
    ({**MESSAGE, "content": None}, "content", []),
    ({**MESSAGE, "content": [{"type": "output_text", "text": None}]}, "content", [part()]),
]
REFUSED: list[Json] = [
    {**MESSAGE, "content": 7},
    {**MESSAGE, "content": ["hey"]},
    {**MESSAGE, "content": [{"text": "hey"}]},
    {**MESSAGE, "content": [part() | {"text": 7}]},
    {**MESSAGE, "content": [part() | {"annotations": {}}]},
    {**MESSAGE, "content": [{"type": "refusal", "refusal": {}}]},
    {**MESSAGE, "status": ["completed"]},
    {**REASONING, "summary": [{"type": "summary_text", "text": 7}]},
    {**REASONING, "summary": {}},
    {**CALL, "arguments": 7},
    {**CALL, "call_id": 7},
    {**CODE, "code": True},
    {"type": "hologram", "status": {}},
]


@pytest.mark.parametrize(("item", "name", "value"), MENDED)
def test_what_an_upstream_says_in_another_shape_is_not_lost(item: Json, name: str, value: Json) -> None:
    whole = NativeOutput(new_ids())
    whole.whole({"output": [item]})
    streamed, events = taken(
        [
            event("output_item.added", output_index=0, item=item),
            event("output_item.done", output_index=0, item=item),
        ]
    )

    check_items(whole.items)
    check_events(events)
    assert whole.items[0][name] == value
    assert streamed.items == whole.items


@pytest.mark.parametrize("item", REFUSED)
def test_an_item_that_nobody_can_understand_is_refused(item: Json) -> None:
    with pytest.raises(UpstreamInvalid):
        NativeOutput(new_ids()).whole({"output": [item]})
    for kind in ("added", "done"):
        with pytest.raises(UpstreamInvalid):
            NativeOutput(new_ids()).take(event(f"output_item.{kind}", output_index=0, item=item))


def test_arguments_that_come_as_an_object_in_the_end_alone_are_written_out() -> None:
    output, events = taken(
        [
            event("output_item.added", output_index=0, item=CALL),
            event("function_call_arguments.done", item_id="up_2", output_index=0, arguments={"a": 1}),
        ]
    )

    check_events(events)
    assert output.items[0]["arguments"] == '{"a":1}'


@pytest.mark.parametrize(
    "wrong",
    [
        event("output_text.done", text=7),
        event("content_part.added", part={"type": "output_text", "text": 7}),
        event("content_part.done", part={"type": "output_text", "annotations": 7}),
        event("reasoning_summary_part.done", part=None),
    ],
)
def test_an_event_that_says_what_is_no_text_is_refused(wrong: Json) -> None:
    with pytest.raises(UpstreamInvalid):
        NativeOutput(new_ids()).take(wrong)
