"""Rows 50, 51 and 55 for responses: the database is away before one is asked for, or when it has come."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson
import pytest

from llm_backend.domain import metering
from llm_backend.errors import Json
from llm_backend.storage import database as storage
from llm_backend.storage.database import Limits
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.faults.responding import HELLO, Kind, asked, check, kept, said, stored, told_again, whole
from tests.faults.test_database_faults import SHORT, away, entered, is_paid, journaled, locked, passage_to
from tests.faulty import Cut, FaultyUpstream
from tests.serving import Running, serving

UNKEPT: Json = HELLO | {"store": False}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits as always, in tenths of seconds."""
    monkeypatch.setattr(storage, "Limits", partial(Limits, **SHORT, pool_size=2, pool_wait_seconds=0.2))
    monkeypatch.setattr(metering, "SETTLE_PAUSE_SECONDS", 0.01)


@pytest.fixture(params=["native", "chat"])
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


@pytest.fixture
async def served(kind: Kind, database_url: str, tmp_path: Path, upstream: FaultyUpstream) -> AsyncIterator[Running]:
    url = upstream.base_url
    async with serving(database_url, tmp_path, OPENAI_BASE_URL=url, UPSTREAM_RESPONSES=kind) as running:
        yield running


@ON_SQLITE
@pytest.mark.parametrize("body", [HELLO, HELLO | {"stream": True}, HELLO | {"background": True}])
async def test_a_locked_file_closes_the_door_before_anything_is_sent(
    served: Running, upstream: FaultyUpstream, body: Json
) -> None:
    with locked(served):
        refused = await asked(served, body)

    assert (refused.status, refused.error["code"]) == (503, "database_unavailable")
    assert upstream.requests == []
    assert await entered(served) == []
    assert await stored(served) == []


@ON_SQLITE
async def test_a_stream_that_cannot_be_kept_says_so_and_is_charged(
    served: Running, kind: Kind, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    goes_on = holds(upstream, kind, stream=True)
    asking = asyncio.create_task(asked(served, stream=True))
    await upstream.received()

    with locked(served):
        goes_on.set()
        answer = await asking
        waiting = journaled(tmp_path)

    check(answer)
    assert answer.events[-1]["type"] == "response.failed"
    assert answer.response["error"]["message"] == "The response could not be kept."
    assert answer.text == "Hello"
    assert [written["settle"]["prompt_tokens"] for written in waiting] == [3]
    (record,) = await entered(served)
    assert is_paid(record)
    # What waited for the database is as its client was told.
    found = await kept(served, answer.response["id"])
    assert found.response == answer.response
    assert (await told_again(served, answer.response["id"])).events == answer.events


@ON_SQLITE
async def test_a_whole_answer_that_cannot_be_kept_is_an_error_and_is_charged(
    served: Running, kind: Kind, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    goes_on = holds(upstream, kind, stream=False)
    asking = asyncio.create_task(asked(served))
    await upstream.received()

    with locked(served):
        goes_on.set()
        answer = await asking
        waiting = journaled(tmp_path)

    assert (answer.status, answer.error["code"]) == (503, "database_unavailable")
    assert [written["settle"]["prompt_tokens"] for written in waiting] == [3]
    (record,) = await entered(served)
    assert is_paid(record)


@ON_SQLITE
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_what_is_not_kept_needs_no_database_when_it_has_come(
    served: Running,
    kind: Kind,
    upstream: FaultyUpstream,
    stream: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    goes_on = holds(upstream, kind, stream=stream)
    asking = asyncio.create_task(asked(served, UNKEPT, stream=stream))
    await upstream.received()

    with locked(served):
        goes_on.set()
        answer = await asking

    check(answer)
    assert (answer.response["status"], answer.text) == ("completed", "Hello")
    (record,) = await entered(served)
    assert is_paid(record)
    assert await stored(served) == []


@ON_POSTGRESQL
@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "gone"])
@pytest.mark.parametrize("body", [HELLO, HELLO | {"stream": True}, HELLO | {"background": True}])
async def test_a_server_that_is_away_closes_the_door_before_anything_is_sent(  # noqa: PLR0917 (fixtures)
    kind: Kind,
    database_url: str,
    tmp_path: Path,
    upstream: FaultyUpstream,
    is_silent: bool,  # noqa: FBT001 (a parameter of the test)
    body: Json,
) -> None:
    async with (
        passage_to(database_url) as (passage, url),
        serving(url, tmp_path, OPENAI_BASE_URL=upstream.base_url, UPSTREAM_RESPONSES=kind) as served,
    ):
        away(passage, is_silent=is_silent)
        refused = await asked(served, body)
        passage.is_open.set()

    assert (refused.status, refused.error["code"]) == (503, "database_unavailable")
    assert upstream.requests == []


@ON_POSTGRESQL
async def test_a_server_that_falls_silent_while_a_response_streams_is_told_of_it_when_it_is_back(
    kind: Kind, database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    goes_on = holds(upstream, kind, stream=True)
    async with (
        passage_to(database_url) as (passage, url),
        serving(url, tmp_path, OPENAI_BASE_URL=upstream.base_url, UPSTREAM_RESPONSES=kind) as served,
    ):
        asking = asyncio.create_task(asked(served, stream=True))
        await upstream.received()
        away(passage, is_silent=True)
        goes_on.set()
        answer = await asking
        waiting = journaled(tmp_path)
        passage.is_open.set()
        (record,) = await entered(served)
        found = await kept(served, answer.response["id"])

    check(answer)
    assert (answer.events[-1]["type"], answer.text) == ("response.failed", "Hello")
    assert [written["settle"]["prompt_tokens"] for written in waiting] == [3]
    assert is_paid(record)
    assert found.response == answer.response


@ON_POSTGRESQL
async def test_what_a_server_that_stays_away_was_not_told_is_charged_by_the_next_process(
    kind: Kind, database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    goes_on = holds(upstream, kind, stream=True)
    async with (
        passage_to(database_url) as (passage, url),
        serving(url, tmp_path, OPENAI_BASE_URL=upstream.base_url, UPSTREAM_RESPONSES=kind) as served,
    ):
        asking = asyncio.create_task(asked(served, stream=True))
        await upstream.received()
        away(passage, is_silent=False)
        goes_on.set()
        answer = await asking

    check(answer)
    assert (answer.events[-1]["type"], answer.text) == ("response.failed", "Hello")
    async with serving(database_url, tmp_path, name="others") as after:
        (record,) = await entered(replace(after, account_id=served.account_id))
    assert is_paid(record)


def holds(upstream: FaultyUpstream, kind: Kind, *, stream: bool) -> asyncio.Event:
    """Begin an answer, which goes on when the event is set."""
    goes_on = asyncio.Event()
    if stream:
        first, *rest = said(kind, "Hel", "lo")
        upstream.streams(first, goes_on, *rest, Cut)
    else:
        body = orjson.dumps(whole(kind, "Hello"))
        upstream.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", goes_on, body)
    return goes_on
