"""Responses of an upstream's own, told again with ids of ours."""

import orjson
import pytest

from llm_backend.domain.responses.native_output import NativeOutput
from llm_backend.errors import Json, UpstreamInvalid
from tests.domain.responses.answering import new_ids, taken
from tests.domain.responses.native_events import CALL, MESSAGE, SEARCH, complete, event, names, part, texts
from tests.domain.responses.strict import check_events


def test_ids_are_ours_but_for_what_is_bound_to_its_own() -> None:
    items: list[Json] = [
        {"type": "reasoning", "id": "rs_up", "summary": []},
        {"type": "compaction", "id": "no id of ours!", "encrypted_content": "x"},
        {"type": "compaction", "id": "cmp_up", "encrypted_content": "x"},
        {"type": "program", "id": "p_up", "call_id": "c", "code": "1", "fingerprint": "f", "encrypted_content": "x"},
        {"type": "mcp_list_tools", "id": "mcpl_up", "server_label": "s", "tools": []},
        {"type": "compaction", "encrypted_content": "x"},
        SEARCH,
    ]

    output, events = taken([event("completed", response={"output": items})])

    check_events(events)
    ids = [item["id"] for item in output.items]
    assert ids == ["rs_up", "cmp_1", "cmp_up", "p_up", "mcpl_2", "cmp_3", "ws_4"]


def test_an_id_that_comes_twice_is_two_items() -> None:
    reasoning = {"type": "reasoning", "id": "rs_up", "summary": []}

    output, events = taken(
        [
            event("output_item.added", output_index=0, item=reasoning),
            event("output_item.done", output_index=0, item=reasoning),
            event("output_item.done", output_index=0, item=reasoning),
            event("output_item.added", output_index=1, item=reasoning),
            event("output_item.done", output_index=1, item=reasoning),
        ]
    )

    check_events(events)
    assert [item["id"] for item in output.items] == ["rs_up", "rs_1"]


def test_events_about_the_response_are_remembered_and_not_told() -> None:
    output = NativeOutput(new_ids())

    told = [output.take(event(name, response={"id": name, "output": []})) for name in ("created", "in_progress")]

    assert told == [[], []]
    assert output.response == {"id": "in_progress", "output": []}
    assert output.take(event("queued")) == []
    assert output.response["id"] == "in_progress"


@pytest.mark.parametrize(
    ("details", "reason"), [({"reason": "content_filter"}, "content_filter"), ({"reason": 1}, None), (None, None)]
)
def test_why_an_answer_is_incomplete_is_what_the_upstream_says(details: Json, reason: str | None) -> None:
    response = {"status": "incomplete", "incomplete_details": details, "output": []}

    output, events = taken(
        [event("output_item.added", output_index=0, item=MESSAGE), event("incomplete", response=response)]
    )

    check_events(events)
    assert output.incomplete_reason == reason
    assert output.items[0]["status"] == "incomplete"
    assert NativeOutput(new_ids()).incomplete_reason is None


def test_annotations_and_logprobs_are_kept_though_the_answer_is_cut() -> None:
    place = {"item_id": "up_1", "output_index": 0}
    cited = {"type": "file_path", "file_id": "file_1", "index": 0}
    likely = {"token": "Hi", "logprob": -1.0, "top_logprobs": []}

    output, events = taken(
        [
            event("output_item.added", output_index=0, item=MESSAGE),
            event("output_text.annotation.added", **place, annotation=cited),
            event("output_text.delta", **place, delta="Hi", logprobs=[likely]),
            event("output_text.annotation.added", **place, annotation_index=9, annotation=cited),
        ],
        is_cut=True,
    )

    check_events(events)
    (text,) = output.items[0]["content"]
    assert text["annotations"] == [cited, cited]
    assert text["logprobs"] == [{**likely, "bytes": [72, 105]}]


def test_logprobs_of_the_end_hold() -> None:
    likely = {"token": "Hi", "logprob": -1.0, "bytes": [72, 105], "top_logprobs": []}

    output, events = taken(
        [
            event("output_item.added", output_index=0, item=MESSAGE),
            event("content_part.done", item_id="up_1", part=part("Hi", logprobs=[likely])),
        ]
    )

    check_events(events)
    assert output.items[0]["content"][0]["logprobs"] == [likely]


def test_events_of_tools_bear_our_ids() -> None:
    place = {"item_id": "up_3", "output_index": 5}

    output, events = taken(
        [
            event("output_item.added", output_index=5, item=SEARCH),
            event("web_search_call.in_progress", **place),
            event("web_search_call.searching", output_index=5),
            event("output_item.done", output_index=5, item={**SEARCH, "status": "completed"}),
        ]
    )

    check_events(events)
    assert {each["item_id"] for each in events[1:3]} == {"ws_1"}
    assert {each["output_index"] for each in events} == {0}
    assert output.items[0]["status"] == "completed"


@pytest.mark.parametrize(
    ("item", "status"),
    [
        (SEARCH, "failed"),
        (CALL, "incomplete"),
        ({"type": "custom_tool_call", "id": "up", "call_id": "c", "name": "f", "input": ""}, "incomplete"),
        ({"type": "reasoning", "id": "up", "summary": []}, "incomplete"),
        ({"type": "mcp_list_tools", "id": "up", "server_label": "s", "tools": []}, None),
    ],
)
def test_an_item_that_was_cut_says_so_as_its_kind_does(item: Json, status: str | None) -> None:
    output, events = taken([event("output_item.added", output_index=0, item=item)], is_cut=True)

    check_events(events)
    assert output.items[0].get("status") == status


def test_code_and_arguments_of_the_upstreams_tools_aretexts() -> None:
    code = {"type": "code_interpreter_call", "id": "up_c", "container_id": "cntr_1", "status": "in_progress"}
    called = {"type": "mcp_call", "id": "up_m", "name": "f", "server_label": "s", "arguments": ""}

    output, events = taken(
        [
            event("output_item.added", output_index=0, item={**code, "code": None, "outputs": None}),
            event("code_interpreter_call_code.delta", item_id="up_c", output_index=0, delta="1+1"),
            event("output_item.added", output_index=1, item=called),
            event("mcp_call_arguments.delta", item_id="up_m", output_index=1, delta="{}"),
        ],
        is_cut=True,
    )

    check_events(events)
    assert (output.items[0]["code"], output.items[1]["arguments"]) == ("1+1", "{}")


def test_events_of_the_future_pass_with_our_ids() -> None:
    output = NativeOutput(new_ids())
    output.take(event("output_item.added", output_index=4, item=MESSAGE))

    free = output.take(event("weather.sunny", degrees=20))
    placed = output.take(event("message.sung", item_id="up_1", tune="c"))
    carrying = output.take(event("message.framed", item={**MESSAGE, "frame": 1}))
    unknown = output.take(event("message.sung", item_id="nobody"))

    assert free == [{"type": "response.weather.sunny", "degrees": 20}]
    assert placed == [{"type": "response.message.sung", "item_id": "msg_1", "tune": "c", "output_index": 0}]
    assert carrying[0]["item"] == {**MESSAGE, "id": "msg_1", "frame": 1}
    assert unknown == []


def test_parts_of_the_future_pass_as_they_are() -> None:
    hologram = {"type": "hologram", "data": "x"}
    place = {"item_id": "up_1", "output_index": 0, "content_index": 0}

    output, events = taken(
        [
            event("output_item.added", output_index=0, item=MESSAGE),
            event("content_part.added", **place, part={**hologram, "data": ""}),
            event("content_part.done", **place, part=hologram),
        ]
    )

    assert names(events) == ["output_item.added", "content_part.added", "content_part.done", "output_item.done"]
    assert output.items[0]["content"] == [hologram]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"type": 7},
        event("output_item.added", output_index=0),
        event("output_item.added", output_index=0, item={"id": "x"}),
        event("output_item.done", output_index=0, item={"type": "function_call", "id": "x"}),
        event("content_part.added", part=None),
        event("content_part.added", part={}),
        event("output_text.delta", item_id="x", delta=7),
        event("function_call_arguments.delta", item_id="x", delta="{"),
        event("function_call_arguments.done", item_id="x", arguments="{}"),
    ],
)
def test_what_cannot_be_understood_is_no_answer(wrong: Json) -> None:
    with pytest.raises(UpstreamInvalid):
        NativeOutput(new_ids()).take(wrong)


DEEP: Json = orjson.loads(b"[" * 300 + b"]" * 300)


@pytest.mark.parametrize(
    "output", [["a text"], "a text", [{"type": "function_call"}], [{"type": "hologram", "data": DEEP}]]
)
def test_a_whole_answer_of_something_else_is_none(output: Json) -> None:
    with pytest.raises(UpstreamInvalid):
        NativeOutput(new_ids()).whole({"output": output})


def test_what_is_no_item_in_the_end_takes_nothing_of_the_others_away() -> None:
    output = NativeOutput(new_ids())
    output.take(event("output_item.added", output_index=0, item=MESSAGE))
    output.take(event("completed", response={"output": [complete("Hello"), {"type": "function_call"}, SEARCH, "x"]}))

    with pytest.raises(UpstreamInvalid):
        output.close(is_cut=False)
    told = output.close(is_cut=True)

    assert [each["output_index"] for each in told if each["type"].endswith("item.done")] == [0, 1]
    assert [item["type"] for item in output.items] == ["message", "web_search_call"]
    assert texts(output.items) == ["Hello"]


def test_items_without_ids_that_only_the_response_has_are_all_told() -> None:
    calls = [{"type": "function_call", "call_id": name, "name": name, "arguments": "{}"} for name in "abc"]

    output, events = taken(
        [
            event("output_item.added", output_index=0, item=MESSAGE),
            event("completed", response={"output": [complete("Hello"), *calls]}),
        ]
    )

    check_events(events)
    assert [item.get("name") for item in output.items] == [None, "a", "b", "c"]
