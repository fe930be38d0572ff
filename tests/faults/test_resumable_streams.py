"""Streams that could be resumed, while the database that their events are kept in is away."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import orjson
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from llm_backend.domain import metering
from llm_backend.domain.responses import recording
from llm_backend.storage import database as storage
from llm_backend.storage.database import Limits
from llm_backend.storage.tables import response
from tests.databases import ON_SQLITE
from tests.faults.test_database_faults import SHORT, entered, locked
from tests.faulty import Cut, FaultyUpstream
from tests.handlers.coming_back import reading, refused, rest, said, streamed
from tests.serving import serving

pytestmark = ON_SQLITE


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "Limits", partial(Limits, **SHORT, pool_size=2, pool_wait_seconds=0.2))
    monkeypatch.setattr(metering, "SETTLE_PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize("most_bytes", [recording.MOST_BYTES, 100])
async def test_a_stream_that_cannot_be_kept_while_it_is_made_is_given_and_kept_when_it_is_charged(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", most_bytes)
    gate = asyncio.Event()
    upstream.streams(gate, "Hel", "lo")
    async with (
        serving(database_url, tmp_path, OPENAI_BASE_URL=upstream.base_url) as running,
        httpx.AsyncClient(base_url=running.base_url, headers=running.headers) as client,
    ):
        asking = asyncio.create_task(streamed(client))
        await upstream.received()
        with locked(running):
            gate.set()
            told = await asking

        assert (said(told), told[-1].data) == ("Hello", "[DONE]")
        assert [record.status for record in await entered(running)] == ["completed"]
        if most_bytes == 100:
            assert await refused(client, {"last-event-id": told[0].id}) == (404, "last-event-id")
        else:
            assert await rest(client, told[0].id) == told[1:]


async def test_what_failed_at_once_and_cannot_be_written_is_left_to_the_end_of_its_lease(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    gate = asyncio.Event()
    upstream.streams(gate, Cut)
    async with (
        serving(database_url, tmp_path, OPENAI_BASE_URL=upstream.base_url) as running,
        httpx.AsyncClient(base_url=running.base_url, headers=running.headers) as client,
    ):
        exchanges = running.services.exchanges
        exchanges.limits = replace(exchanges.limits, keep_alive_seconds=0.01)
        with capture_logs() as lines:
            async with reading(client) as stream:
                with locked(running):
                    gate.set()
                    [told] = await stream.events(1)
                    await running.quiet()

        assert orjson.loads(told.data)["error"]["type"] == "server_error"
        assert [line["stream_id"] for line in lines if line["event"] == "stream_unwritten"] == [stream.stream_id]
        async with running.database.reading() as session:
            [left] = (await session.execute(select(response.c.status, response.c.lease_until))).all()
        assert left.status == "in_progress"
        assert left.lease_until is not None
