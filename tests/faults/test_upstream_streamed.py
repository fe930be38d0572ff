"""Rows 1 to 30 of the list of faults, where the upstream fails after its first event."""

from dataclasses import dataclass

import orjson
import pytest

from llm_backend.errors import Json
from tests.faults.asking import HELLO, asked
from tests.faults.stage import Stage, Told
from tests.faulty import DONE, Cut, Hang, Repeated, Reset, Torn, chunk, error, event, head, usage
from tests.told import Item

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD = "upstream_invalid_response"
EVENT_STREAM = head(200, content_type="text/event-stream")


@dataclass(frozen=True)
class Fault:
    """What comes after the words `Hel` and `lo`, and the code of the event that it becomes."""

    name: str
    items: tuple[Json | Item | str, ...]
    code: str
    basis: str = "estimated"

    def __str__(self) -> str:
        return self.name


BROKEN_OFF = [
    Fault("4 hangs", (Hang,), "upstream_timeout"),
    Fault("5 ends in good order", (Cut,), BAD),
    Fault("5 ends, its transfer coding unfinished", (Torn,), BAD),
    Fault("5 says that it is done and is not", (DONE, Cut), BAD),
    Fault("6 is reset", (Reset,), "upstream_unreachable"),
    Fault("8 no JSON", (b'data: {"choices": [{]}\n\n', "more"), BAD),
    Fault("8 a list", (b"data: []\n\n", "more"), BAD),
    Fault("8 a word", (b'data: "more"\n\n', "more"), BAD),
    Fault("8 a number", (b"data: 1\n\n", "more"), BAD),
    Fault("8 two objects", (b"data: {}\ndata: {}\n\n", "more"), BAD),
    Fault("15 a line of a hundred megabytes", (b"data: ", Repeated(b"x" * 65536, 1600), Cut), BAD),
    Fault("18 an error", (error("Boom"), "more"), "upstream_error"),
    Fault("18 an error of text", (b'data: {"error": "Boom"}\n\n', "more"), "upstream_error"),
    Fault("18 an error of a number", (b'data: {"error": 5}\n\n', "more"), "upstream_error"),
    Fault("18 a named error", (b'event: error\ndata: {"message": "Boom"}\n\n', "more"), "upstream_error"),
    Fault("18 a named error that says nothing", (b"event: error\ndata: {}\n\n", "more"), "upstream_error"),
    Fault("18 an error of limits", (error("Slower", "requests", "rate_limit_exceeded"),), "rate_limit_exceeded"),
    Fault("18 an error of the request", (error("No", "invalid_request_error", "told"),), "told"),
    Fault("18 an error after usage", (usage(11, 7), error("Boom")), "upstream_error", "reported"),
    Fault("20 no UTF-8", (b'data: {"id": "\xff\xfe"}\n\n', "more"), BAD),
]


@pytest.mark.parametrize("fault", BROKEN_OFF, ids=str)
async def test_a_fault_within_a_stream_is_its_last_event_and_is_recorded(stage: Stage, fault: Fault) -> None:
    stage.upstream.streams("Hel", "lo", *fault.items)

    answer = await asked(stage.running, stream=True)

    assert answer.status == 200
    assert answer.said == "Hello"
    assert not answer.is_done
    assert answer.error["code"] == fault.code
    assert set(answer.error) == {"message", "type", "param", "code"}
    (record,) = await stage.records()
    assert (record.status, record.basis, record.error_code) == ("incomplete", fault.basis, fault.code)
    assert (record.completion_tokens, record.upstream_status) == (7 if fault.basis == "reported" else 2, 200)
    assert record.prompt_tokens > 0
    assert len(stage.upstream.requests) == 1
    if fault.items[-1] is Hang:
        await stage.upstream.requests[0].gone.wait()


@pytest.mark.parametrize("fault", BROKEN_OFF, ids=str)
async def test_a_fault_in_place_of_the_first_event_is_a_status(stage: Stage, fault: Fault) -> None:
    # Row 17: nothing is promised before the first event.
    stage.upstream.streams(*fault.items)

    answer = await asked(stage.running, stream=True)

    statuses = {"upstream_timeout": 504, "rate_limit_exceeded": 429, "told": 400}
    assert answer.status == statuses.get(fault.code, 502)
    assert answer.headers["content-type"] == "application/json"
    assert answer.error["code"] == fault.code
    assert await stage.told() == [("failed", fault.basis, fault.code)]


async def test_an_event_cut_short_anywhere_is_never_passed_on(stage: Stage) -> None:
    # Row 7, at every byte
    cut = event(chunk(" and more"))
    for place in range(1, len(cut)):
        stage.upstream.forget()
        stage.upstream.streams("Hello", cut[:place], Cut)

        answer = await asked(stage.running, stream=True)

        assert (answer.said, answer.is_done, answer.error["code"]) == ("Hello", False, BAD)

    assert await stage.told() == [("incomplete", "estimated", BAD)] * (len(cut) - 1)


ODD: dict[str, Json] = {
    "no choices": {"id": "x"},
    "null choices": {"choices": None},
    "choices of a number": {"choices": 5},
    "choices that are true": {"choices": True},
    "choices of text": {"choices": "Hello"},
    "choices of no objects": {"choices": [1, "a", None, []]},
    "an index of text": {"choices": [{"index": "0", "delta": {}}]},
    "no delta": {"choices": [{"index": 0}]},
    "a delta of text": {"choices": [{"index": 0, "delta": "x"}]},
    "content of a number": {"choices": [{"index": 0, "delta": {"content": 5}}]},
    "calls of a number": {"choices": [{"index": 0, "delta": {"tool_calls": 5}}]},
    "calls of text": {"choices": [{"index": 0, "delta": {"tool_calls": ["x"]}}]},
    "usage of null": {"choices": [], "usage": None},
    "usage of text": {"choices": [], "usage": "x"},
    "usage of a list": {"choices": [{"index": 0, "delta": {}}], "usage": [1]},
    "no fields": {},
    "error of null": {"error": None, "choices": []},
    "a model of a number": {"model": 5, "created": "x", "id": 7, "object": [], "choices": [{"delta": {}}]},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_an_oddly_shaped_event_is_mended_or_dropped_and_the_stream_goes_on(stage: Stage, odd: Json) -> None:
    # Row 9
    stage.upstream.streams(odd, "Hel", odd, "lo", odd, chunk(finish="stop"), odd, usage(3, 2))

    answer = await asked(stage.running, stream=True)

    assert answer.is_done
    assert all(isinstance(part["choices"], list) and part["choices"] for part in answer.events[:-1])
    assert {part["object"] for part in answer.events[:-1]} == {"chat.completion.chunk"}
    assert answer.said == "Hello"
    (record,) = await stage.records()
    assert (record.status, record.basis, record.completion_tokens) == ("completed", "reported", 2)


NO_USAGE: dict[str, tuple[Json, ...]] = {
    "21 none": (),
    "21 null": (chunk() | {"usage": None},),
    "22 negative": (usage(-1, -1),),
    "22 huge": (usage(3, 10**13),),
    "22 a fraction": (usage(3, 2.5),),
    "22 words": (usage("3", "2"),),
}


@pytest.mark.parametrize("said", NO_USAGE.values(), ids=NO_USAGE)
async def test_a_stream_without_a_usage_to_be_believed_is_estimated(stage: Stage, said: tuple[Json, ...]) -> None:
    # Rows 21 and 22
    stage.upstream.streams("Hello ", "there", chunk(finish="stop"), *said)

    answer = await asked(stage.running, stream=True)

    assert answer.is_done
    (record,) = await stage.records()
    assert (record.status, record.basis, record.usage_missing) == ("completed", "estimated", True)
    assert 0 < record.completion_tokens < 12


@pytest.mark.parametrize(("prompt", "completed"), [(0, 0), (3, 1), (7, 1000)])
async def test_a_possible_usage_is_taken_as_it_is_reported(stage: Stage, prompt: int, completed: int) -> None:
    # Rows 9 and 22: zero is a report; what is far off is still what the upstream bills.
    stage.upstream.streams("Hello ", "there", chunk(finish="stop"), usage(prompt, completed))

    await asked(stage.running, stream=True)

    (record,) = await stage.records()
    assert (record.basis, record.prompt_tokens, record.completion_tokens) == ("reported", prompt, completed)
    assert orjson.loads(record.raw_usage or b"")["completion_tokens"] == completed
    assert not record.usage_missing


async def test_usage_is_always_asked_for_and_shown_to_those_who_asked(stage: Stage) -> None:
    stage.upstream.streams("Hello", chunk(finish="stop"), usage(3, 2))

    plain = await asked(stage.running, stream=True)
    curious = await asked(stage.running, HELLO | {"stream_options": {"include_usage": True}}, stream=True)

    assert [request.json["stream_options"] for request in stage.upstream.requests] == [{"include_usage": True}] * 2
    assert not [part for part in plain.events[:-1] if not part["choices"]]
    assert curious.events[-2]["usage"]["completion_tokens"] == 2
    assert await stage.told() == [("completed", "reported", None)] * 2


async def test_a_connection_serves_one_stream_after_another(stage: Stage) -> None:
    stage.upstream.streams("Hello", chunk(finish="stop"), usage(3, 2))

    await asked(stage.running, stream=True)
    before = stage.upstream.connections
    for _ in range(5):
        assert (await asked(stage.running, stream=True)).is_done

    assert stage.upstream.connections == before


async def test_a_trickle_of_bytes_is_one_stream(stage: Stage) -> None:
    # Rows 19 and 20, through a socket
    content = event(chunk("Grüße 🌍")) + event(chunk(finish="stop")) + DONE
    stage.upstream.raw(EVENT_STREAM, *(content[place : place + 1] for place in range(len(content))))

    answer = await asked(stage.running, stream=True)

    assert (answer.said, answer.is_done) == ("Grüße 🌍", True)


RECORDED_LAST: Told = ("completed", "reported", None)


async def test_what_follows_the_end_is_not_read(stage: Stage) -> None:
    # Row 19: two marks, and a word after them
    stage.upstream.streams("Hello", chunk(finish="stop"), usage(3, 2), DONE, DONE, "more", Cut)

    answer = await asked(stage.running, stream=True)

    assert (answer.said, answer.is_done) == ("Hello", True)
    assert await stage.told() == [RECORDED_LAST]
