"""Rows 1, 10, 11 and 29 of the list of faults, where somebody else can answer: who does, and what it costs."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from tests.faults.asking import saying
from tests.faults.stage import Told
from tests.faults.two import EVENTS, GOOD, LOST, Two, served, to, two
from tests.faults.upstream_faults import BROKEN, LIMITED, refuses
from tests.faulty import Cut, FaultyUpstream, Hang, error, event, head

__all__ = ["served", "two"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

STANDS_IN: dict[str, tuple[str, Callable[[FaultyUpstream], None], list[Told]]] = {
    "1 nobody there": ("orphan", lambda _: None, [LOST]),
    "10 asks to wait": ("main", refuses(429, retry_after="30"), [LIMITED]),
    "11 server errors, after two retries": ("main", refuses(500), [BROKEN] * 3),
    "11 asks to come back later": ("main", refuses(503, retry_after="60"), [BROKEN]),
    "12 refuses our key": ("main", refuses(401), [("failed", "void", "upstream_auth_failed")]),
    "13 has no such model": ("main", refuses(404, "model_not_found"), [("failed", "void", "model_not_found")]),
    "the context is too short": (
        "careful",
        refuses(400, "context_length_exceeded"),
        [("failed", "void", "context_length_exceeded")],
    ),
    "the content is refused": (
        "careful",
        refuses(400, "content_policy_violation"),
        [("failed", "void", "content_policy_violation")],
    ),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("model", "fails", "records"), STANDS_IN.values(), ids=STANDS_IN)
async def test_another_model_stands_in_and_every_attempt_is_recorded(
    two: Two,
    model: str,
    fails: Callable[[FaultyUpstream], None],
    records: list[Told],
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    fails(two.first)

    answer = await to(two, model, stream=stream)

    where = "gone" if model == "orphan" else "first"
    assert await two.told() == [*((model, where, record) for record in records), (model, "second", GOOD)]
    assert (answer.status, answer.said) == (200, "Hello")
    named = [each["model"] for each in answer.events if each != "[DONE]"] or [
        httpx.Response(200, content=answer.body).json()["model"]
    ]
    assert set(named) == {model}
    assert two.second.requests[0].json["model"] == "other"
    assert answer.headers["x-llm-backend-model"] == "other"
    assert answer.headers["x-llm-backend-upstream"] == "second"


OWN: dict[str, tuple[str, Callable[[FaultyUpstream], None], int]] = {
    "2 silence, which may be work": ("main", lambda up: up.hangs(), 504),
    "3 a reset, which may be work": ("main", lambda up: up.resets_after(0), 502),
    "13 what is wrong with the request": ("careful", refuses(400, "invalid_value"), 400),
    "the context, where nobody asked for that": ("main", refuses(400, "context_length_exceeded"), 400),
}


@pytest.mark.parametrize(("model", "fails", "status"), OWN.values(), ids=OWN)
async def test_nobody_stands_in_where_it_could_cost_twice_or_would_not_help(
    two: Two,
    model: str,
    fails: Callable[[FaultyUpstream], None],
    status: int,
) -> None:
    fails(two.first)

    assert (await to(two, model)).status == status
    assert two.second.requests == []


BEFORE_ITS_FIRST_EVENT = {
    "cut": (head(200, content_type=EVENTS), Cut),
    "over": (head(200, content_type=EVENTS),),
    "an error": (head(200, content_type=EVENTS), event(error("Overloaded.", "server_error"))),
}


@pytest.mark.parametrize("items", BEFORE_ITS_FIRST_EVENT.values(), ids=BEFORE_ITS_FIRST_EVENT)
async def test_a_stream_that_fails_before_its_first_event_is_answered_by_another(two: Two, items: tuple[bytes]) -> None:
    two.first.raw(*items)

    answer = await to(two, "main", stream=True)

    assert (answer.status, answer.said, answer.is_done) == (200, "Hello", True)
    failed, answered = await two.told()
    assert failed[1:] == ("first", ("failed", "void", failed[2][2]))
    assert answered == ("main", "second", GOOD)
    assert {each["model"] for each in answer.events if each != "[DONE]"} == {"main"}


async def test_a_stream_that_fails_after_its_first_event_is_nobody_elses(two: Two) -> None:
    two.first.streams("Hel", Cut)

    answer = await to(two, "main", stream=True)

    assert (answer.said, answer.is_done) == ("Hel", False)
    assert answer.error["code"] == "upstream_invalid_response"
    assert two.second.requests == []


async def test_who_leaves_while_the_second_is_asked_is_charged_for_that_alone(two: Two) -> None:
    two.first.raw(head(200, content_type=EVENTS), Cut)
    two.second.forget()
    two.second.streams(Hang)
    body = saying("Hello there") | {"model": "main", "stream": True}
    asking = asyncio.create_task(two.client.post("/v1/chat/completions", json=body, headers=two.running.headers))
    await two.second.received()
    asking.cancel()

    await two.running.quiet()
    assert [(upstream, record[:2]) for _, upstream, record in await two.told()] == [
        ("first", ("failed", "void")),
        ("second", ("failed", "estimated")),
    ]
