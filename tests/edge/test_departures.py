"""Clients that leave before they are answered, as whoever waits for the answer is told."""

import asyncio
from pathlib import Path

import pytest

from llm_backend.edge.departures import Departure
from llm_backend.edge.serving import Parser
from tests.databases import ON_SQLITE
from tests.faults.asking import HELLO
from tests.faults.leaving import Client
from tests.faulty import FaultyUpstream
from tests.serving import serving


async def test_whoever_asks_after_the_client_has_gone_is_told_all_the_same() -> None:
    told = asyncio.Event()
    departure = Departure(lambda: None)
    departure.happen()

    departure.expect(told.set)

    await told.wait()


async def test_a_departure_is_told_once() -> None:
    told: list[str] = []
    departure = Departure(lambda: None)
    departure.expect(lambda: told.append("gone"))

    departure.happen()
    departure.happen()
    await asyncio.sleep(0)

    assert told == ["gone"]


async def test_whoever_no_longer_wants_to_know_is_not_told() -> None:
    told: list[str] = []
    departure = Departure(lambda: None)
    departure.expect(lambda: told.append("gone"))
    departure.happen()

    departure.forget()
    await asyncio.sleep(0)

    assert told == []


async def test_a_connection_that_was_not_read_is_read_on_to_see_its_end() -> None:
    resumed: list[str] = []

    Departure(lambda: resumed.append("reading")).expect(lambda: None)

    assert resumed == ["reading"]


@ON_SQLITE
@pytest.mark.parametrize("parser", ["httptools", "h11"])
async def test_a_client_with_a_long_body_is_seen_to_leave(database_url: str, tmp_path: Path, parser: Parser) -> None:
    long = HELLO | {"messages": [{"role": "user", "content": "x" * 200_000}]}
    async with FaultyUpstream() as upstream:
        upstream.hangs()
        async with serving(database_url, tmp_path, OPENAI_BASE_URL=upstream.base_url, parser=parser) as running:
            client = await Client.asking(running, long)
            received = await upstream.received()

            client.leaves()

            async with asyncio.timeout(10):
                await received.gone.wait()
        assert received.gone.is_set()
