"""Rows 1 to 30 of the list of faults for responses, whole and streamed, on upstreams of both kinds."""

from typing import cast

import pytest

from llm_backend.domain.responses.outcomes import CODES
from llm_backend.errors import Json
from tests.faults.responding import HELLO, Kind, asked, check, is_count, kept, said, saying, stored, translated, whole
from tests.faults.stage import Stage
from tests.faults.test_upstream_before_the_answer import BEFORE_ANYTHING
from tests.faults.test_upstream_streamed import BROKEN_OFF
from tests.faults.test_upstream_streamed import Fault as Within
from tests.faults.upstream_faults import Fault
from tests.faulty import Cut, Hang

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("variables", ["native", "chat"], indirect=True, scope="module"),
]


@pytest.fixture(scope="module")
def variables(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"UPSTREAM_RESPONSES": request.param}


@pytest.fixture
def kind(variables: dict[str, str]) -> Kind:
    return cast("Kind", variables["UPSTREAM_RESPONSES"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", BEFORE_ANYTHING, ids=str)
async def test_a_fault_before_the_answer_is_an_error_with_a_status(stage: Stage, fault: Fault, stream: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    fault.does(stage.upstream)
    before = await stored(stage.running)

    answer = await asked(stage.running, stream=stream)

    assert await stage.told() == fault.records
    assert answer.status == fault.status
    assert answer.error["code"] == fault.code
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert {name: answer.headers.get(name) for name in fault.headers} == fault.headers
    assert len(stage.upstream.requests) == fault.calls
    assert await stored(stage.running) == before


@pytest.mark.parametrize("fault", BROKEN_OFF, ids=str)
async def test_a_fault_within_a_stream_ends_it_as_failed_and_is_kept_and_recorded(
    stage: Stage, kind: Kind, fault: Within
) -> None:
    stage.upstream.streams(*saying(kind, "Hel", "lo"), *translated(kind, fault.items))

    answer = await asked(stage.running, stream=True)

    assert answer.status == 200
    check(answer)
    assert answer.events[-1]["type"] == "response.failed"
    assert answer.text == "Hello"
    assert [item["status"] for item in answer.response["output"]] == ["incomplete"]
    assert answer.response["error"]["code"] == (fault.code if fault.code in CODES else "server_error")
    (record,) = await stage.records()
    assert (record.status, record.basis, record.error_code) == ("incomplete", fault.basis, fault.code)
    assert (record.completion_tokens, record.upstream_status) == (7 if fault.basis == "reported" else 2, 200)
    assert record.prompt_tokens > 0
    assert (await kept(stage.running, answer.response["id"])).response == answer.response
    if fault.items[-1] is Hang:
        await stage.upstream.requests[0].gone.wait()


@pytest.mark.parametrize("fault", BROKEN_OFF, ids=str)
async def test_a_fault_in_place_of_the_first_event_is_a_status(stage: Stage, kind: Kind, fault: Within) -> None:
    # Row 17: nothing is promised before the first event, and a chat's that only counts is none.
    items = fault.items if kind == "chat" else [item for item in fault.items if not is_count(item)]
    stage.upstream.streams(*items)
    before = await stored(stage.running)

    answer = await asked(stage.running, stream=True)

    statuses = {"upstream_timeout": 504, "rate_limit_exceeded": 429, "told": 400}
    assert answer.status == statuses.get(fault.code, 502)
    assert answer.error["code"] == fault.code
    assert await stage.told() == [("failed", fault.basis if kind == "chat" else "estimated", fault.code)]
    assert await stored(stage.running) == before


async def test_what_was_broken_off_can_be_gone_on_from(stage: Stage, kind: Kind) -> None:
    stage.upstream.streams(*saying(kind, "Hel", "lo"), Cut)
    broken = (await asked(stage.running, stream=True)).response
    stage.upstream.forget()
    stage.upstream.answers(whole(kind, "and more"))

    answer = await asked(stage.running, HELLO | {"previous_response_id": broken["id"]})

    assert answer.text == "and more"
    sent = stage.upstream.requests[0].json
    assert [each["role"] for each in sent["input" if kind == "native" else "messages"]] == ["user", "assistant", "user"]


NO_USAGE: dict[str, tuple[Json, Json]] = {
    "22 negative": (-1, -1),
    "22 huge": (3, 10**13),
    "22 a fraction": (3, 2.5),
    "22 words": ("3", "2"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("prompt", "tokens"), NO_USAGE.values(), ids=NO_USAGE)
async def test_a_usage_that_cannot_be_is_not_believed_and_not_told(
    stage: Stage,
    kind: Kind,
    prompt: Json,
    tokens: Json,
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    answers(stage, kind, prompt, tokens, stream=stream)

    answer = await asked(stage.running, stream=stream)

    check(answer)
    assert (answer.response["status"], answer.response["usage"]) == ("completed", None)
    (record,) = await stage.records()
    assert (record.status, record.basis, record.usage_missing) == ("completed", "estimated", True)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("prompt", "tokens"), [(0, 0), (3, 1), (7, 1000)])
async def test_a_possible_usage_is_charged_and_told_as_it_is_reported(
    stage: Stage,
    kind: Kind,
    prompt: int,
    tokens: int,
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    answers(stage, kind, prompt, tokens, stream=stream)

    answer = await asked(stage.running, stream=stream)

    used = answer.response["usage"]
    assert (used["input_tokens"], used["output_tokens"], used["total_tokens"]) == (prompt, tokens, prompt + tokens)
    (record,) = await stage.records()
    assert (record.basis, record.prompt_tokens, record.completion_tokens) == ("reported", prompt, tokens)


async def test_an_answer_that_runs_on_is_cut_and_incomplete(stage: Stage, kind: Kind) -> None:
    # Row 23
    stage.upstream.streams(*saying(kind, *["x"] * 200), Hang)

    answer = await asked(stage.running, HELLO | {"max_output_tokens": 16}, stream=True)

    check(answer)
    assert answer.events[-1]["type"] == "response.incomplete"
    assert answer.response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert answer.text == "x" * (16 + 1 + 64)
    (record,) = await stage.records()
    assert (record.status, record.error_code) == ("incomplete", "budget_exhausted")
    assert (await kept(stage.running, answer.response["id"])).response == answer.response
    await stage.upstream.requests[0].gone.wait()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_one_good_attempt_after_two_failed_ones_is_one_response(
    stage: Stage,
    kind: Kind,
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    # Row 11
    stage.upstream.answers({}, status=503)
    stage.upstream.answers({}, status=500)
    before = await stored(stage.running)
    answers(stage, kind, 3, 2, stream=stream)

    answer = await asked(stage.running, stream=stream)

    check(answer)
    assert answer.text == "Hello"
    assert [record.status for record in await stage.records()] == ["failed", "failed", "completed"]
    assert set(await stored(stage.running)) - set(before) == {answer.response["id"]}


def answers(stage: Stage, kind: Kind, prompt: Json, tokens: Json, *, stream: bool) -> None:
    """Have the upstream say hello, with this usage."""
    if stream:
        stage.upstream.streams(*said(kind, "Hel", "lo", prompt=prompt, tokens=tokens), Cut)
    else:
        stage.upstream.answers(whole(kind, "Hello", prompt, tokens))
