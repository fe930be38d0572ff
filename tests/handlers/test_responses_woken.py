"""Whoever reads what another server makes is woken by that server, and looks by itself where nobody wakes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from llm_backend.domain.responses.event_log import EventLog
from llm_backend.errors import Json
from llm_backend.storage import notices
from llm_backend.storage.notices import Notices
from tests.databases import ON_POSTGRESQL
from tests.handlers.resuming import ENDS, Asker, asking, echoing, numbers
from tests.serving import Running

SLOWLY = "one two three four five [[delay 0.3 between=0.1]]"

FOR_EVER, PATIENT = 300.0, 30.0
"""Seconds: in which no test ends, and in which each does on the busiest machine."""

LISTENERS = (
    "FROM pg_locks JOIN pg_database ON pg_database.oid = database"
    " WHERE datname = current_database() AND locktype = 'advisory' AND mode = 'ShareLock' AND granted"
)


@pytest.fixture(autouse=True)
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps something finds out at once that somebody listens."""
    monkeypatch.setattr(notices, "ASK_SECONDS", 0.0)


@pytest.fixture
async def server(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with echoing(database_url, tmp_path) as running:
        yield running


@pytest.fixture
async def asker(server: Running) -> AsyncIterator[Asker]:
    async with asking(server) as client:
        yield client


@asynccontextmanager
async def elsewhere(server: Running, folder: Path, look_seconds: float = FOR_EVER) -> AsyncIterator[Asker]:
    """A client of another server on the same database, which looks by itself so often."""
    async with echoing(server.database.url, folder / "elsewhere", name="others") as other:
        log_of(other).look_seconds = look_seconds
        async with asking(server, other.root) as client:
            yield client


def log_of(running: Running) -> EventLog:
    return running.services.responses._desk.making.log


async def listeners(server: Running) -> int:
    async with server.database.reading() as session:
        return int((await session.execute(text(f"SELECT count(*) {LISTENERS}"))).scalar_one())


async def cut(server: Running) -> None:
    """Returns when somebody has listened, and its connection is ended."""
    async with asyncio.timeout(PATIENT):
        while True:
            async with server.database.begin() as session:
                ended = await session.execute(text(f"SELECT pg_terminate_backend(pid, 1000) {LISTENERS}"))
                if ended.all():
                    return
            await asyncio.sleep(0.01)


def is_whole(events: list[Json]) -> bool:
    return numbers(events) == list(range(len(events))) and events[-1]["type"] in ENDS


@ON_POSTGRESQL
async def test_a_reader_elsewhere_does_not_wait_for_its_next_look(
    server: Running, asker: Asker, tmp_path: Path
) -> None:
    had = await asker.events(SLOWLY, 4)
    async with elsewhere(server, tmp_path) as there, asyncio.timeout(PATIENT):
        rest = await there.resumed(had[0]["response"]["id"], 3)

    assert is_whole(had + rest)


@ON_POSTGRESQL
async def test_what_is_made_in_the_background_is_told_elsewhere_from_its_first_event_on(
    server: Running, asker: Asker, tmp_path: Path
) -> None:
    async with elsewhere(server, tmp_path) as there, asyncio.timeout(PATIENT):
        begun = await asker.begin("[[delay 1]]")
        events = await there.resumed(begun["id"])

    assert is_whole(events)


@ON_POSTGRESQL
async def test_a_reader_whose_connection_is_cut_looks_by_itself(server: Running, asker: Asker, tmp_path: Path) -> None:
    had = await asker.events(SLOWLY, 4)
    async with elsewhere(server, tmp_path, 0.25) as there, asyncio.timeout(PATIENT):
        reading = asyncio.create_task(there.resumed(had[0]["response"]["id"], 3))
        await cut(server)
        rest = await reading

    assert is_whole(had + rest)


@ON_POSTGRESQL
async def test_only_who_reads_what_another_makes_listens_and_only_until_it_stops(
    server: Running, asker: Asker, tmp_path: Path
) -> None:
    had = await asker.events(SLOWLY, 4)
    await asker.resumed(had[0]["response"]["id"], 3)
    before = await listeners(server)
    async with elsewhere(server, tmp_path) as there:
        had = await asker.events(SLOWLY, 4)
        await there.resumed(had[0]["response"]["id"], 3)
        while_it_serves = await listeners(server)

    assert (before, while_it_serves, await listeners(server)) == (0, 1, 0)


@ON_POSTGRESQL
async def test_nothing_is_told_of_what_nobody_could_have_known(
    server: Running, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Notices, "tell", lambda _, public_id: told.append(public_id))

    short = await asker.events("one")
    long = await asker.events(SLOWLY)
    await server.quiet()

    # Its row is made before anybody knows its id: it is told from its first events on.
    assert told.count(short[0]["response"]["id"]) == 1
    assert 1 < told.count(long[0]["response"]["id"]) < len(long)
