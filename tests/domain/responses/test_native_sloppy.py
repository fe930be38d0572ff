"""Upstreams that know responses by halves: what they leave out is added, and what they say wrongly is put right."""

from hypothesis import given
from hypothesis import strategies as st

from llm_backend.errors import Json
from tests.domain.responses.answering import taken
from tests.domain.responses.native_events import CALL, MESSAGE, SEARCH, WHOLE_TEXT, complete, event, names, part, texts
from tests.domain.responses.strict import check_events, check_items


def test_what_is_known_of_an_item_only_in_the_response_is_told_at_the_end() -> None:
    other = {**complete("Hello you"), "id": "another"}

    output, events = taken(
        [
            event("output_item.added", output_index=0, item=MESSAGE),
            event("output_text.delta", item_id="up_1", output_index=0, content_index=0, delta="Hello"),
            event("completed", response={"output": [other, {**CALL, "arguments": "{}"}]}),
        ]
    )

    check_events(events)
    assert texts(output.items) == ["Hello you", "{}"]
    assert [each["delta"] for each in events if each["type"].endswith("delta")] == ["Hello", " you", "{}"]


def test_a_text_that_in_the_end_is_another_is_that() -> None:
    output, events = taken(
        [
            event("output_item.added", output_index=0, item=MESSAGE),
            event("output_text.delta", item_id="up_1", output_index=0, content_index=0, delta="Helo"),
            event("output_item.done", output_index=0, item=complete("Hello")),
        ]
    )

    assert names(events) == WHOLE_TEXT
    assert texts(output.items) == ["Hello"]


def test_a_part_that_in_the_end_is_of_another_kind_stays_what_was_told() -> None:
    refused = {**MESSAGE, "content": [{"type": "refusal", "refusal": "No"}]}

    output, events = taken(
        [
            event("output_item.added", output_index=0, item=MESSAGE),
            event("output_text.delta", item_id="up_1", output_index=0, content_index=0, delta="Yes"),
            event("output_item.done", output_index=0, item=refused),
        ]
    )

    check_events(events)
    assert texts(output.items) == ["Yes"]


def test_a_text_of_a_message_that_was_never_added_adds_it() -> None:
    output, events = taken(
        [
            event("output_text.delta", item_id="up_1", delta="Hel"),
            event("output_text.delta", item_id="up_1", delta="lo"),
        ]
    )

    check_events(events)
    assert names(events) == [*WHOLE_TEXT[:3], *WHOLE_TEXT[2:]]
    assert texts(output.items) == ["Hello"]


def test_the_end_of_a_text_alone_tells_all_of_it() -> None:
    output, events = taken([event("output_text.done", text="Hello")])

    check_events(events)
    assert names(events) == WHOLE_TEXT
    assert texts(output.items) == ["Hello"]


def test_texts_under_another_items_place_go_to_one_that_speaks_so() -> None:
    reasoning = {"type": "reasoning", "id": "rs_up", "summary": []}

    output, events = taken(
        [
            event("output_item.added", output_index=0, item=reasoning),
            event("output_item.added", output_index=1, item=MESSAGE),
            event("output_text.delta", item_id="rs_up", output_index=0, content_index=0, delta="Hello"),
            event("reasoning_text.delta", item_id="rs_up", output_index=0, content_index=0, delta="Hm"),
        ]
    )

    check_events(events)
    assert [texts([item]) for item in output.items] == [["Hm"], ["Hello"]]


def test_parts_are_counted_anew() -> None:
    place = {"item_id": "up_1", "output_index": 0}

    output, events = taken(
        [
            event("output_item.added", output_index=0, item=MESSAGE),
            event("content_part.added", **place, content_index=3, part=part()),
            event("content_part.added", **place, content_index=3, part=part()),
            event("output_text.delta", **place, content_index=3, delta="a"),
            event("content_part.done", **place, content_index=3, part=part("a")),
            event("content_part.done", **place, content_index=3, part=part("a")),
            event("content_part.added", **place, content_index=3, part={"type": "refusal"}),
            event("refusal.delta", **place, content_index=3, delta="b"),
            event("refusal.done", **place, content_index=3, refusal="b"),
            event("refusal.done", **place, content_index=3, refusal="b"),
            event("refusal.delta", **place, content_index=3, delta="c"),
        ]
    )

    check_events(events)
    assert texts(output.items) == ["a", "b", "c"]


def test_what_ends_in_an_item_that_has_ended_is_not_told_again() -> None:
    place = {"item_id": "up_1", "output_index": 0, "content_index": 0}
    good = [
        event("output_item.added", output_index=0, item=MESSAGE),
        event("output_item.added", output_index=0, item=MESSAGE),
        event("output_item.done", output_index=0, item=complete("Hi")),
    ]
    late = [event("output_text.done", **place, text="Hi"), event("content_part.done", **place, part=part("Hi"))]

    _, events = taken([*good, *late])

    check_events(events)
    assert names(events) == WHOLE_TEXT


def test_parts_of_reasoning_by_another_name_are_parts_of_content() -> None:
    place = {"item_id": "rs_up", "output_index": 0, "content_index": 0}
    thought = {"type": "reasoning_text", "text": "Hm"}

    output, events = taken(
        [
            event("output_item.added", output_index=0, item={"type": "reasoning", "id": "rs_up", "summary": []}),
            event("reasoning_part.added", **place, part={**thought, "text": ""}),
            event("reasoning_text.delta", **place, delta="Hm"),
            event("reasoning_part.done", **place, part=thought),
        ]
    )

    check_events(events)
    assert output.items[0]["content"] == [thought]


def test_a_call_without_an_id_gets_one_that_stays() -> None:
    called = {"type": "function_call", "id": "up", "name": "f", "call_id": None, "status": None}

    output, events = taken(
        [
            event("output_item.added", output_index=0, item=called),
            event("output_item.done", output_index=0, item={**called, "arguments": "{}"}),
        ]
    )

    check_events(events)
    assert (output.items[0]["call_id"], output.items[0]["status"]) == ("call_1", "completed")


ITEMS: list[Json] = [
    MESSAGE,
    CALL,
    {"type": "custom_tool_call", "id": "up_4", "call_id": "call_b", "name": "g", "input": ""},
    {"type": "reasoning", "id": "up_5", "summary": []},
    SEARCH,
]
PLACES = st.fixed_dictionaries(
    {},
    optional={
        "item_id": st.sampled_from(["up_1", "up_2", "up_5", "other", ""]),
        "output_index": st.sampled_from([0, 1, 2, "1", None]),
        "content_index": st.sampled_from([0, 1, 5]),
        "summary_index": st.sampled_from([0, 2]),
    },
)
SLOPPY = st.one_of(
    st.builds(
        lambda item, place: event("output_item.added", **{**place, "item": item}), st.sampled_from(ITEMS), PLACES
    ),
    st.builds(lambda item, place: event("output_item.done", **{**place, "item": item}), st.sampled_from(ITEMS), PLACES),
    st.builds(
        lambda name, place: event(f"{name}.delta", **{**place, "delta": "x"}),
        st.sampled_from(["output_text", "refusal", "reasoning_text", "reasoning_summary_text"]),
        PLACES,
    ),
    st.builds(lambda place: event("output_text.done", **{**place, "text": ""}), PLACES),
    st.builds(
        lambda what, place: event(f"content_part.{what}", **{**place, "part": part()}),
        st.sampled_from(["added", "done"]),
        PLACES,
    ),
    st.builds(lambda place: event("web_search_call.searching", **place), PLACES),
)


@given(came=st.lists(SLOPPY, max_size=12), is_cut=st.booleans())
def test_however_sloppy_an_upstream_is_its_events_are_told_in_order(came: list[Json], *, is_cut: bool) -> None:
    output, events = taken(came, is_cut=is_cut)

    check_events([each for each in events if each["type"] != "response.web_search_call.searching"])
    check_items(output.items)
