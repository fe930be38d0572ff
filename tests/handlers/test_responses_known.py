"""Whoever has read the first event of a stream that is stored finds its response, on every replica."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llm_backend.domain.attempts import Attempts
from llm_backend.domain.responses import turns
from llm_backend.errors import Json
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.handlers.resuming import Asker, asking, echoing, numbers
from tests.serving import Running

FOR_EVER = "one two [[fault hang-mid-stream after=1]]"

pytestmark = pytest.mark.parametrize("kind", ["native", "chat"])


@pytest.fixture(autouse=True)
def no_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a turn is not kept."""
    monkeypatch.setattr(turns, "TURN_SECONDS", 300.0)


@pytest.fixture
async def server(database_url: str, tmp_path: Path, kind: str) -> AsyncIterator[Running]:
    async with echoing(database_url, tmp_path, kind) as running:
        yield running


@asynccontextmanager
async def elsewhere(server: Running, folder: Path) -> AsyncIterator[Asker]:
    """The same client of another server on the same database."""
    async with (
        echoing(server.database.url, folder / "elsewhere", name="others") as other,
        asking(server, other.root) as client,
    ):
        yield client


async def begun(server: Running) -> str:
    """The id of a stream of which one event has been read."""
    async with asking(server) as asker:
        [created] = await asker.events(FOR_EVER, 1)
    return str(created["response"]["id"])


@ON_POSTGRESQL
async def test_it_is_shown_cancelled_and_deleted_elsewhere(server: Running, tmp_path: Path) -> None:
    async with elsewhere(server, tmp_path) as there:
        response_id = await begun(server)

        told = await there.ask("GET", f"/{response_id}")
        ended = await there.ask("POST", f"/{response_id}/cancel")
        await there.ask("DELETE", f"/{response_id}")

    assert (told["id"], told["status"]) == (response_id, "in_progress")
    assert ended["status"] == "cancelled"


@ON_POSTGRESQL
async def test_its_events_are_read_elsewhere(server: Running, tmp_path: Path) -> None:
    async with elsewhere(server, tmp_path) as there, asking(server) as here:
        response_id = await begun(server)
        reading = asyncio.create_task(there.resumed(response_id))
        await here.ask("POST", f"/{response_id}/cancel")

        events = await reading

    assert numbers(events) == list(range(len(events)))


@ON_SQLITE
async def test_it_is_shown_by_the_process_that_makes_it(server: Running) -> None:
    async with asking(server) as asker:
        response_id = await begun(server)

        told = await asker.ask("GET", f"/{response_id}")
        await asker.ask("DELETE", f"/{response_id}")

    assert (told["id"], told["status"]) == (response_id, "in_progress")


@ON_SQLITE
async def test_whoever_asks_for_it_while_it_is_settled_waits_for_that(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, is_settling, goes_on = Attempts.settle_answered, asyncio.Event(), asyncio.Event()

    async def late(*given: Json) -> None:
        is_settling.set()
        await goes_on.wait()
        await settle(*given)

    monkeypatch.setattr(Attempts, "settle_answered", late)
    async with asking(server) as asker:
        [created] = await asker.events("one", 1)
        response_id = created["response"]["id"]
        await is_settling.wait()
        # What asking for it begins with.
        flushing = asyncio.create_task(server.services.responses._desk.making.flush(response_id))
        await asyncio.sleep(0)
        is_waiting = not flushing.done()
        goes_on.set()
        await flushing

        told = await asker.ask("GET", f"/{response_id}")

    assert is_waiting
    assert told["status"] == "completed"
