"""The official Python SDK, the last 2.x, from an environment of its own: still in the hands of most."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.clients.processes import finished
from tests.databases import ON_SQLITE
from tests.faulty import FaultyUpstream, completion, error
from tests.serving import Running

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv/openai2/bin/python"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists() and os.environ.get("CI") != "true", reason="openai 2.x comes with `make .venv/sdk2`"
)

SHARED = pytest.mark.asyncio(loop_scope="module")
"""For what can be asked of the server that all of a module's tests share."""


async def printed(name: str, running: Running) -> Any:
    """What the script of that name prints when it is let loose on the server."""
    script = Path(__file__).with_name("sdk2") / f"{name}.py"
    # Warnings are errors there too.
    command = (PYTHON, "-W", "error", script, running.base_url, running.key)
    said = await finished(*command, cwd=ROOT)
    assert (said.code, said.err) == (0, "")
    return json.loads(said.out)


@SHARED
async def test_everything_of_an_ordinary_day_works(platform: Running) -> None:
    got = await printed("everyday", platform)

    assert got.pop("version").startswith("2.")
    listed, retrieved = got.pop("models")
    assert (listed[0], retrieved) == ("echo", "echo")
    assert got == {
        "whole": ["Grüße from 世界", 6, True],
        "streamed": ["one two", [], 2],
        "helped": [["one", " two"], "one two"],
        "parsed": {"country": "Paris", "city": "Paris"},
        "tools": [[{"city": "Paris"}, {"city": "Rome"}], "stop"],
        "completions": ["one two", "one two"],
        "embeddings": [True, False, True],
        "media": [True, ["transcript.text.delta"] * 2 + ["transcript.text.done"], True],
    }
    records = await platform.records()
    assert {record.status for record in records} == {"completed"}
    assert {record.operation for record in records if record.basis == "estimated"} == {
        "createSpeech",
        "createModeration",
    }
    assert len(records) == 14


@SHARED
async def test_every_refusal_is_the_right_exception_and_is_asked_for_once(platform: Running) -> None:
    assert platform.echo
    asked_before = len(platform.echo.calls)

    got = await printed("refusals", platform)

    assert got == {
        "key": ["AuthenticationError", 401, "invalid_api_key", None, True],
        "body": ["BadRequestError", 400, "missing_required_parameter", "messages[0].content", True],
        "field": ["BadRequestError", 400, "unknown_parameter", "api_base", True],
        "model": ["NotFoundError", 404, "model_not_found", "model", True],
        "operation": ["InternalServerError", 501, "not_served", None, True],
        "upstream": ["InternalServerError", 502, "upstream_error", None, True],
        "broken_off": ["APIError", "upstream_invalid_response"],
    }
    assert [call.status for call in list(platform.echo.calls)[asked_before:]] == [404, 500, 500, 500, 200]


@SHARED
async def test_thirty_streams_of_an_asynchronous_client_are_not_mixed_up(platform: Running) -> None:
    assert await printed("at_once", platform) == [" ".join([f"word{number}"] * 10) for number in range(30)]
    assert len(await platform.records()) == 30


@ON_SQLITE
async def test_a_rate_limit_without_a_time_is_tried_again_by_the_sdk(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers(error("Slow down."), status=429)
    upstream.answers(completion("Hi"))

    assert await printed("retrying", relaying) == ["Hi", 1]
    assert [request.headers["x-stainless-retry-count"] for request in upstream.requests] == ["0", "1"]


@ON_SQLITE
async def test_a_client_that_leaves_cuts_the_upstream_and_pays_for_what_came(
    patient: Running, upstream: FaultyUpstream
) -> None:
    upstream.streams("one", " two", asyncio.Event())

    assert await printed("leaving", patient) == ["one", " two"]
    await upstream.requests[0].gone.wait()
    (record,) = await patient.records()
    assert (record.status, record.basis, record.completion_tokens) == ("incomplete", "estimated", 2)
    assert record.error_code == "client_disconnected"
