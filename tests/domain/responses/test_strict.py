"""The judge of events itself: what is right passes, and what is wrong does not."""

import orjson
import pytest

from llm_backend.errors import Json
from tests.domain.responses.answering import TEXTS, response_request, streamed
from tests.domain.responses.strict import check_events, check_shape, check_stream


async def stream_of(text: str = "Hello big world") -> list[Json]:
    return [orjson.loads(data) for data in await streamed("/responses", response_request(text))]


def numbered(events: list[Json]) -> list[Json]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_whole_stream_passes(text: str) -> None:
    check_stream(await stream_of(text))


async def test_a_stream_that_lacks_any_event_does_not_pass() -> None:
    events = await stream_of()
    # One delta of a text is as good as another to the schema, but not to the text.
    needed = [number for number, event in enumerate(events) if event["type"] != "response.in_progress"]

    for gone in needed:
        with pytest.raises((AssertionError, IndexError, KeyError)):
            check_stream(numbered([*events[:gone], *events[gone + 1 :]]))


async def test_a_stream_whose_numbers_have_a_gap_does_not_pass() -> None:
    events = await stream_of()

    with pytest.raises(AssertionError):
        check_stream([*events[:3], *events[4:]])


async def test_a_stream_with_another_output_than_it_told_does_not_pass() -> None:
    *events, last = await stream_of()

    with pytest.raises(AssertionError):
        check_stream([*events, {**last, "response": {**last["response"], "output": []}}])


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "response.output_text.delta"},
        {"type": "response.unheard_of"},
        {"type": "response.refusal.delta", "item_id": "a", "output_index": "0", "content_index": 0, "delta": "x"},
    ],
)
def test_an_event_of_another_shape_does_not_pass(wrong: Json) -> None:
    with pytest.raises((AssertionError, ValueError)):
        check_shape({**wrong, "sequence_number": 0})


def test_an_event_with_a_number_or_without_a_type_in_front_does_not_pass() -> None:
    delta = {"type": "response.refusal.delta", "item_id": "a", "output_index": 0, "content_index": 0, "delta": "x"}

    for wrong in ({**delta, "sequence_number": 0}, dict(reversed(delta.items()))):
        with pytest.raises(AssertionError):
            check_events([wrong])
