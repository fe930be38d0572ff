"""Rows 1 to 30 of the list of faults, where a whole answer is broken or odd."""

import json

import orjson
import pytest

from llm_backend.errors import Json
from tests.faults.asking import HELLO, asked
from tests.faults.stage import Stage
from tests.faults.upstream_faults import (
    INVALID,
    JSON,
    LATE,
    LOST,
    NEVER,
    Fault,
    sends,
)
from tests.faulty import Hang, Repeated, Reset, Torn, completion, error, head

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHOLE = [
    Fault(
        "4 hangs within the body",
        lambda up: up.raw(head(200, content_type=JSON, content_length="100"), b'{"id":', Hang),
        504,
        "upstream_timeout",
        LATE,
        headers=NEVER,
    ),
    Fault(
        "6 reset within the body",
        lambda up: up.raw(head(200, content_type=JSON, content_length="100"), b'{"id":', Reset),
        502,
        "upstream_unreachable",
        LOST,
        headers=NEVER,
    ),
    Fault(
        "7 less than was promised",
        lambda up: up.raw(head(200, content_type=JSON, content_length="100"), b'{"id":', Torn),
        502,
        "upstream_invalid_response",
        INVALID,
        headers=NEVER,
    ),
    *(
        Fault(f"8 {name}", sends(content, content_type=JSON), 502, "upstream_invalid_response", INVALID, headers=NEVER)
        for name, content in {
            "no JSON": b'{"id":',
            "no object": b"[]",
            "nothing": b"",
            "no choices": b'{"id": "x"}',
            "null choices": b'{"choices": null}',
            "invalid UTF-8": b'{"choices": [], "id": "\xff"}',
        }.items()
    ),
    Fault(
        "17 an error with the status 200",
        sends(orjson.dumps(error("Boom.", "server_error")), content_type=JSON),
        502,
        "upstream_error",
        [("failed", "estimated", "upstream_error")],
    ),
    Fault(
        "14 a body of a gigabyte",
        lambda up: up.raw(head(200, content_type=JSON), Repeated(b"x" * 65536, 16384)),
        502,
        "upstream_invalid_response",
        INVALID,
        headers=NEVER,
    ),
]


@pytest.mark.parametrize("fault", WHOLE, ids=str)
async def test_a_fault_within_a_whole_answer_is_an_error_and_is_estimated(stage: Stage, fault: Fault) -> None:
    fault.does(stage.upstream)

    answer = await asked(stage.running)

    assert (answer.status, answer.error["code"]) == (fault.status, fault.code)
    assert await stage.told() == fault.records
    (record,) = await stage.records()
    assert record.prompt_tokens > 0
    assert record.completion_tokens == 0
    assert {name: answer.headers.get(name) for name in fault.headers} == fault.headers


LIES: dict[str, Json] = {
    "null": None,
    "a word": "many",
    "a list": [],
    "negative": {"prompt_tokens": -1, "completion_tokens": 2},
    "huge": {"prompt_tokens": 10**12, "completion_tokens": 10**13},
    "beyond integers": {"prompt_tokens": 3, "completion_tokens": 10**25},
    "a fraction": {"prompt_tokens": 3, "completion_tokens": 2.5},
    "true": {"prompt_tokens": True, "completion_tokens": True},
    "words": {"prompt_tokens": "3", "completion_tokens": "2"},
    "nothing in it": {},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_usage_that_cannot_be_true_is_replaced_by_an_estimate(stage: Stage, lie: object) -> None:
    # Row 22; the standard library writes the integer that orjson cannot.
    content = json.dumps(completion("Hello there") | {"usage": lie}).encode()
    stage.upstream.raw(head(200, content_type=JSON), content)

    answer = await asked(stage.running)

    assert answer.said == "Hello there"
    (record,) = await stage.records()
    assert (record.status, record.basis, record.error_code) == ("completed", "estimated", None)
    assert record.usage_missing
    assert 0 < record.prompt_tokens < 100
    assert 0 < record.completion_tokens < 12


async def test_a_usage_of_zero_is_a_report(stage: Stage) -> None:
    # Row 9
    stage.upstream.answers(completion("Hello", prompt=0, tokens=0))

    await asked(stage.running)

    (record,) = await stage.records()
    assert (record.basis, record.prompt_tokens, record.completion_tokens) == ("reported", 0, 0)
    assert not record.usage_missing


ODD = {
    "choices of no objects": {"choices": ["a", 1, None]},
    "a message of text": {"choices": [{"message": "Hello"}]},
    "calls that are a number": {"choices": [{"message": {"content": "x", "tool_calls": 5}}]},
    "no message": {"choices": [{}]},
    "an index of text": {"choices": [{"index": "0", "message": {"content": 7}}]},
}


@pytest.mark.parametrize("shape", ODD.values(), ids=ODD)
async def test_an_oddly_shaped_answer_is_passed_on_as_it_is(stage: Stage, shape: object) -> None:
    # Row 9
    stage.upstream.answers(shape)

    answer = await asked(stage.running)

    assert (answer.status, orjson.loads(answer.body)) == (200, shape)
    assert await stage.told() == [("completed", "estimated", None)]


async def test_only_harmless_headers_of_the_upstream_come_through(stage: Stage) -> None:
    # Row 26
    foreign = {
        "set-cookie": "session=1",
        "server": "gunicorn",
        "location": "http://elsewhere/",
        "x-secret": "1",
        "keep-alive": "timeout=5",
        "openai-processing-ms": "12",
        "x-ratelimit-remaining-requests": "7",
    }
    for stream in (False, True):
        stage.upstream.forget()
        if stream:
            stage.upstream.streams("Hello", headers=foreign)
        else:
            stage.upstream.answers(completion("Hello"), headers=foreign)

        answer = await asked(stage.running, stream=stream)

        assert answer.status == 200
        assert not {"set-cookie", "server", "location", "x-secret", "keep-alive"} & {
            name.lower() for name in answer.headers
        }
        assert answer.headers["openai-processing-ms"] == "12"
        assert answer.headers["x-ratelimit-remaining-requests"] == "7"


async def test_the_client_never_gets_more_than_it_may_of_an_upstreams_words(stage: Stage) -> None:
    # Row 13
    words = "Bad value at https://internal.example/v1 for sk-abcdefghijklmnop " + "x" * 5000
    stage.upstream.answers(error(words, "invalid_request_error", "invalid_value"), status=400)

    answer = await asked(stage.running, HELLO)

    message = answer.error["message"]
    assert "internal.example" not in message
    assert "sk-abc" not in message
    assert len(message) <= 1024
    assert "\n" not in message
