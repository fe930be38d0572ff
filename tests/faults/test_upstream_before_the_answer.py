"""Rows 1 to 30 of the list of faults, where the upstream fails before an event or a whole answer has come."""

import gzip

import pytest

from tests.faults.asking import asked
from tests.faults.stage import Stage
from tests.faults.upstream_faults import (
    BROKEN,
    CUT_HEAD,
    EVENTS,
    INVALID,
    JSON,
    LATE,
    LIMITED,
    LOST,
    NEVER,
    Fault,
    refuses,
    sends,
)
from tests.faulty import Reset, completion

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEFORE_ANYTHING = [
    Fault("2 hangs before headers", lambda up: up.hangs(), 504, "upstream_timeout", LATE, headers=NEVER),
    Fault("3 reset at once", lambda up: up.resets_after(0), 502, "upstream_unreachable", LOST, 0, NEVER),
    Fault("3 reset within the request", lambda up: up.resets_after(80), 502, "upstream_unreachable", LOST, 0, NEVER),
    Fault(
        "10 asks to wait",
        refuses(429, retry_after="30"),
        429,
        "rate_limit_exceeded",
        [LIMITED],
        headers={"retry-after": "30", "x-should-retry": None},
    ),
    Fault(
        "10 asks to wait for long",
        refuses(429, retry_after="300"),
        429,
        "rate_limit_exceeded",
        [LIMITED],
        headers={"retry-after": "120", **NEVER},
    ),
    Fault(
        "10 asks to wait for a moment",
        refuses(429, retry_after="0"),
        429,
        "rate_limit_exceeded",
        [LIMITED] * 3,
        3,
        {"retry-after": "0", **NEVER},
    ),
    *(
        Fault(f"11 status {status}", refuses(status), 502, "upstream_error", [BROKEN] * 3, 3, NEVER)
        for status in (500, 502, 503, 529)
    ),
    Fault("11 status 504", refuses(504), 504, "upstream_timeout", LATE, headers=NEVER),
    *(
        Fault(f"13 status {status}", refuses(status, "told"), status, "told", [("failed", "void", "told")])
        for status in (400, 403, 404, 409, 413, 415, 422)
    ),
    Fault(
        "14 endless header",
        lambda up: up.endless_header(),
        502,
        "upstream_invalid_response",
        INVALID,
        headers=NEVER,
    ),
    Fault(
        "16 gzip though nobody asked",
        sends(gzip.compress(b"{}"), content_type=JSON, content_encoding="gzip"),
        502,
        "upstream_invalid_response",
        INVALID,
        headers=NEVER,
    ),
    Fault(
        "16 br though nobody asked",
        sends(b"\x0b\x01", content_type=EVENTS, content_encoding="br"),
        502,
        "upstream_invalid_response",
        INVALID,
        headers=NEVER,
    ),
    Fault(
        "17 a page",
        sends(b"<html>welcome</html>", content_type="text/html"),
        502,
        "upstream_invalid_response",
        INVALID,
        headers=NEVER,
    ),
    Fault(
        "25 a redirect",
        lambda up: up.answers({}, status=302, headers={"location": "http://169.254.169.254/latest/meta-data/"}),
        502,
        "upstream_invalid_response",
        [("failed", "void", "upstream_invalid_response")],
    ),
    Fault(
        "0 no HTTP",
        lambda up: up.raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        502,
        "upstream_invalid_response",
        INVALID,
        headers=NEVER,
    ),
    Fault("6 reset within the headers", lambda up: up.raw(CUT_HEAD, Reset), 502, "upstream_unreachable", LOST),
]
"""The same for a whole answer and for a stream, since the client has seen nothing yet."""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", BEFORE_ANYTHING, ids=str)
async def test_a_fault_before_the_answer_is_an_error_with_a_status(stage: Stage, fault: Fault, stream: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    fault.does(stage.upstream)

    answer = await asked(stage.running, stream=stream)

    assert await stage.told() == fault.records
    assert answer.status == fault.status
    assert answer.error["code"] == fault.code
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert {name: answer.headers.get(name) for name in fault.headers} == fault.headers
    assert len(stage.upstream.requests) == fault.calls


async def test_one_good_attempt_after_two_failed_ones_is_an_answer_and_three_records(stage: Stage) -> None:
    # Row 11
    stage.upstream.answers({}, status=503)
    stage.upstream.answers({}, status=500)
    stage.upstream.answers(completion("Hello"))

    answer = await asked(stage.running)

    assert answer.said == "Hello"
    assert "x-should-retry" not in answer.headers
    first, second, third = await stage.records()
    assert [record.status for record in (first, second, third)] == ["failed", "failed", "completed"]
    assert [record.upstream_status for record in (first, second, third)] == [503, 500, 200]
    assert first.request_id == second.request_id == third.request_id == answer.headers["x-request-id"]
    assert first.prompt_tokens == first.completion_tokens == first.cost_microusd == 0
    assert third.basis == "reported"
