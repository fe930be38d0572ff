"""A good upstream's own responses: whole, in pieces, cut anywhere, and with any of its events missing."""

import orjson
import pytest

from llm_backend.domain.responses.native_output import NativeOutput
from llm_backend.errors import Json
from tests.domain.responses.answering import TEXTS, asked, nameless, new_ids, response_request, taken
from tests.domain.responses.native_events import events_of, texts
from tests.domain.responses.strict import check_events, check_items


@pytest.mark.parametrize("model", ["echo", "echo-reasoning"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_good_upstreams_events_change_in_nothing_but_ids_and_numbers(text: str, model: str) -> None:
    came = await events_of(text, model)

    output, events = taken(came)

    check_events(events)
    upstream_ids = [item["id"] for item in came[-1]["response"]["output"]]
    ours = dict(zip(upstream_ids, [item["id"] for item in output.items], strict=True))
    expected = orjson.dumps([_unnumbered(each) for each in came if "response" not in each]).decode()
    for upstream_id, own in ours.items():
        expected = expected.replace(f'"{upstream_id}"', f'"{own}"')
    told = [{name: value for name, value in each.items() if value != []} for each in events]
    assert _sorted(told) == _sorted([_without_empty(each) for each in orjson.loads(expected)])
    assert output.response == came[-1]["response"]


def _unnumbered(told: Json) -> Json:
    return {name: value for name, value in told.items() if name != "sequence_number"}


def _without_empty(told: Json) -> Json:
    return {name: value for name, value in told.items() if value != []}


def _sorted(told: list[Json]) -> Json:
    return orjson.loads(orjson.dumps(told, option=orjson.OPT_SORT_KEYS))


@pytest.mark.parametrize("model", ["echo", "echo-reasoning"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_what_streams_comes_to_the_items_of_the_whole(text: str, model: str) -> None:
    at_once = NativeOutput(new_ids())

    output, events = taken(await events_of(text, model))

    at_once.whole(await asked("/responses", response_request(text, model=model)))
    check_items(at_once.items)
    assert nameless(output.items) == nameless(at_once.items)
    assert output.incomplete_reason == at_once.incomplete_reason
    assert [each["item"] for each in events if each["type"] == "response.output_item.done"] == output.items


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_stream_may_be_cut_anywhere(text: str) -> None:
    came = await events_of(text, "echo-reasoning")

    for end in range(len(came)):
        output, events = taken(came[:end], is_cut=True)

        check_events(events)
        check_items(output.items)
        spoken = [each.get("delta", "") for each in came[:end]]
        assert sorted("".join(spoken)) == sorted("".join(texts(output.items)))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_events_may_be_missing(text: str) -> None:
    came = await events_of(text, "echo-reasoning")

    for gone in range(len(came)):
        if came[gone]["type"] == "response.output_item.added" and "_call" in came[gone]["item"]["type"]:
            continue
        if came[gone]["type"].endswith("delta"):
            continue
        output, events = taken([*came[:gone], *came[gone + 1 :]])

        check_events(events)
        assert texts(output.items) == texts(came[-1]["response"]["output"])


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_an_upstream_may_stream_nothing_but_the_end(text: str) -> None:
    came = await events_of(text, "echo-reasoning")
    whole = NativeOutput(new_ids())
    whole.whole(came[-1]["response"])

    for last in (came[-1], {**came[-1]["response"], "type": "response.completed"}):
        output, events = taken([last])

        check_events(events)
        assert output.items == whole.items
        assert "".join(each.get("delta", "") for each in events) == "".join(texts(output.items))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("left_out", [("item_id",), ("output_index",), ("content_index", "summary_index")])
async def test_events_may_lack_what_says_where_they_belong(text: str, left_out: tuple[str, ...]) -> None:
    came = await events_of(text, "echo-reasoning")
    right, _ = taken(came)

    output, events = taken([{name: value for name, value in each.items() if name not in left_out} for each in came])

    check_events(events)
    assert nameless(output.items) == nameless(right.items)
