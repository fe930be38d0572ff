"""Responses that are made while nobody waits: looked after, cancelled, and ended when their server died."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, update

from llm_backend import responding
from llm_backend.domain.attempts import Attempts
from llm_backend.domain.responses import responses
from llm_backend.domain.responses.background import Background
from llm_backend.domain.responses.responses import Responses
from llm_backend.errors import Json
from llm_backend.storage.tables import response, response_event
from tests.databases import ON_POSTGRESQL
from tests.handlers.administering import administering
from tests.handlers.resuming import LATE, Asker, asking, echoing, expire, numbers, text
from tests.serving import Running
from tests.storage.records import NOON

SLOWLY = "one two three four [[delay 0.2 between=0.1]]"
FOR_EVER = "one two three four [[fault hang-mid-stream after=1]]"


@pytest.fixture(params=["native", "chat"])
async def server(
    request: pytest.FixtureRequest, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    async with echoing(database_url, tmp_path_factory.mktemp("server"), request.param) as running:
        yield running


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is started now looks often for what others left."""
    monkeypatch.setattr(responding, "SWEEP_SECONDS", 0.1)


@pytest.fixture
async def other(server: Running, often: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Another server on the same database."""
    _ = often
    async with echoing(server.database.url, tmp_path_factory.mktemp("other"), name="others") as running:
        yield running


@pytest.fixture
async def asker(server: Running) -> AsyncIterator[Asker]:
    async with asking(server) as client:
        yield client


async def said(asker: Asker, response_id: str) -> None:
    """Returns when its model has said something."""
    async with asker.client.stream("GET", f"/responses/{response_id}?stream=true") as answer:
        async for line in answer.aiter_lines():
            if "output_text.delta" in line:
                return


async def test_a_response_is_made_while_nobody_waits(server: Running, asker: Asker) -> None:
    begun = await asker.begin(SLOWLY)
    told = [event["type"] for event in await asker.resumed(begun["id"])]
    ended = await asker.ask("GET", f"/{begun['id']}")

    assert (begun["status"], begun["background"], begun["output"]) == ("queued", True, [])
    assert told[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert told[-1] == "response.completed"
    assert (ended["status"], text(ended)) == ("completed", "one two three four")
    (record,) = await server.records()
    assert (record.status, record.basis) == ("completed", "reported")


async def test_it_is_in_progress_meanwhile(asker: Asker) -> None:
    begun = await asker.begin(SLOWLY)
    await said(asker, begun["id"])

    told = await asker.ask("GET", f"/{begun['id']}")

    assert (told["status"], told["output"], told["usage"]) == ("in_progress", [], None)
    assert (await asker.ended(begun["id"]))["status"] == "completed"


async def test_its_stream_is_lost_and_read_on(asker: Asker) -> None:
    had = await asker.events(SLOWLY, 5, background=True)
    response_id = had[0]["response"]["id"]

    rest = await asker.resumed(response_id, 4)

    assert numbers(had + rest) == list(range(len(had) + len(rest)))
    assert had + rest == await asker.resumed(response_id)


async def test_what_is_not_stored_is_not_made_in_the_background(asker: Asker) -> None:
    body = {"background": True, "store": False, "model": "echo", "input": "one"}

    assert (await asker.ask("POST", "", body, 400))["error"]["param"] == "background"


async def test_one_in_progress_is_cancelled_once_and_charged(server: Running, asker: Asker) -> None:
    begun = await asker.begin(FOR_EVER)
    await said(asker, begun["id"])

    told = await asker.ask("POST", f"/{begun['id']}/cancel")

    assert (told["status"], text(told)) == ("cancelled", "one")
    assert await asker.ask("POST", f"/{begun['id']}/cancel") == told
    assert await asker.ask("GET", f"/{begun['id']}") == told
    events = await asker.resumed(begun["id"])
    assert (events[-1]["type"], events[-1]["response"]["status"]) == ("response.incomplete", "cancelled")
    assert numbers(events) == list(range(len(events)))
    (record,) = await server.records()
    assert (record.status, record.error_code) == ("incomplete", "response_cancelled")
    assert record.completion_tokens >= 1


async def test_whoever_cancels_one_is_told_how_it_stands_after_the_last_wait(
    server: Running, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, get, is_seen = Attempts.settle_answered, Responses.get, asyncio.Event()

    async def late(*given: Json) -> None:
        await is_seen.wait()
        await settle(*given)

    async def seen(*given: Json) -> Json:
        told = await get(*given)
        is_seen.set()
        return told

    monkeypatch.setattr(responses, "CANCEL_LOOKS", 1)
    begun = await asker.begin(FOR_EVER)
    await said(asker, begun["id"])
    monkeypatch.setattr(Attempts, "settle_answered", late)
    monkeypatch.setattr(Responses, "get", seen)

    assert (await asker.ask("POST", f"/{begun['id']}/cancel"))["status"] == "cancelled"


async def test_one_that_has_ended_is_not_cancelled(asker: Asker) -> None:
    begun = await asker.begin("one")
    ended = await asker.ended(begun["id"])

    assert await asker.ask("POST", f"/{begun['id']}/cancel") == ended
    assert ended["status"] == "completed"


async def test_one_that_is_none_is_not_cancelled(asker: Asker) -> None:
    refused = await asker.ask("POST", "/resp_none/cancel", status=404)

    assert (refused["error"]["code"], refused["error"]["param"]) == ("not_found", "response_id")


async def test_one_cancelled_while_it_is_queued_is_never_asked_for(
    server: Running, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = asyncio.Event()
    claimed = Background._claimed

    async def late(*given: Json) -> bool | None:
        await waits.wait()
        return await claimed(*given)

    monkeypatch.setattr(Background, "_claimed", late)
    beginning = asyncio.create_task(asker.begin("one"))
    cancelling = asyncio.create_task(asker.ask("POST", f"/{await _queued(server)}/cancel"))
    await _is_cancelled(server)
    waits.set()

    assert (await cancelling)["status"] == "cancelled"
    assert (await beginning)["status"] == "queued"
    assert server.echo is not None
    assert list(server.echo.calls) == []
    assert await server.records() == []


@pytest.mark.parametrize("limits", [{"requests_per_minute": 1}, {"budget": 1}])
async def test_what_may_not_be_made_is_refused_at_once_and_nothing_of_it_is_left(
    server: Running, asker: Asker, limits: Json
) -> None:
    async with administering(server) as admin:
        await admin.ask("PUT", f"/accounts/{server.account_id}", limits)
    asked = {"model": "echo", "input": "one two", "store": False}
    await asker.client.post("/responses", json=asked)
    assert server.echo is not None
    before = len(list(server.echo.calls))

    answer = await asker.client.post("/responses", json=asked | {"store": True, "background": True})

    assert answer.status_code == 429, answer.text
    async with server.database.reading() as session:
        assert (await session.execute(select(func.count()).select_from(response))).scalar_one() == 0
    assert len(list(server.echo.calls)) == before


async def test_a_deleted_one_ends_and_is_charged_and_nothing_is_left(server: Running, asker: Asker) -> None:
    begun = await asker.begin(FOR_EVER)
    await said(asker, begun["id"])

    await asker.ask("DELETE", f"/{begun['id']}")

    (record,) = await server.records()
    assert record.error_code == "response_cancelled"
    async with server.database.reading() as session:
        for table in (response, response_event):
            assert (await session.execute(select(func.count()).select_from(table))).scalar_one() == 0


async def test_a_stream_whose_response_is_deleted_goes_on_and_is_charged(server: Running, asker: Asker) -> None:
    reading = asyncio.create_task(asker.events(SLOWLY))
    await _rows(server, response_event, 1)
    async with server.database.reading() as session:
        response_id = (await session.execute(select(response.c.public_id))).scalar_one()

    await asker.ask("DELETE", f"/{response_id}")

    told = await reading
    assert told[-1]["type"] == "response.completed"
    (record,) = await server.records()
    assert (record.status, record.basis) == ("completed", "reported")


async def test_a_stream_that_another_process_has_ended_does_not_say_otherwise(server: Running, asker: Asker) -> None:
    reading = asyncio.create_task(asker.events(SLOWLY))
    await _rows(server, response_event, 1)
    async with server.database.begin() as session:
        await session.execute(update(response).values(status="failed", owner=None, lease_until=None, ended_at=NOON))

    told = await reading

    assert told[-1]["type"] == "response.failed"
    assert (await asker.ask("GET", f"/{told[0]['response']['id']}"))["status"] == "failed"
    (record,) = await server.records()
    assert record.basis == "reported"


async def test_a_key_that_is_revoked_ends_what_it_asked_for(server: Running, asker: Asker) -> None:
    async with administering(server) as admin:
        made = await admin.account("leaving")
        async with asking(server, key=made["api_key"]) as leaving:
            begun = await leaving.begin(FOR_EVER)
            await said(leaving, begun["id"])
            reading = asyncio.create_task(leaving.resumed(begun["id"], 2))
            await admin.ask("DELETE", f"/accounts/{made['id']}")

            assert (await reading)[-1]["type"] == "response.failed"


@ON_POSTGRESQL
async def test_another_server_cancels_it(server: Running, other: Running, asker: Asker) -> None:
    begun = await asker.begin(FOR_EVER)
    await said(asker, begun["id"])

    async with asking(server, other.root) as there, asyncio.timeout(LATE):
        told = await there.ask("POST", f"/{begun['id']}/cancel")

    assert (told["status"], text(told)) == ("cancelled", "one")
    (record,) = await server.records()
    assert record.error_code == "response_cancelled"


@ON_POSTGRESQL
async def test_another_server_deletes_it(server: Running, other: Running, asker: Asker) -> None:
    begun = await asker.begin(FOR_EVER)
    await said(asker, begun["id"])

    async with asking(server, other.root) as there:
        await there.ask("DELETE", f"/{begun['id']}")

    async with asyncio.timeout(LATE):
        (record,) = await server.records()
    assert record.error_code == "response_cancelled"


@pytest.mark.usefixtures("often")
async def test_what_a_process_still_makes_is_not_taken_from_it_however_late_it_is(
    database_url: str, tmp_path: Path
) -> None:
    async with echoing(database_url, tmp_path) as server, asking(server) as asker:
        begun = await asker.begin(SLOWLY)
        await said(asker, begun["id"])

        while (told := await asker.ask("GET", f"/{begun['id']}"))["status"] == "in_progress":
            await expire(server)

        assert told["status"] == "completed"


@ON_POSTGRESQL
async def test_what_another_believed_dead_stays_as_that_ended_it_and_is_charged_once(
    server: Running, other: Running, asker: Asker
) -> None:
    begun = await asker.begin(FOR_EVER)
    await said(asker, begun["id"])

    while (told := await asker.ask("GET", f"/{begun['id']}"))["status"] == "in_progress":
        # Again, should the one that makes it have said so meanwhile.
        await expire(server)
    (record,) = await server.records()

    assert told == await asker.ask("GET", f"/{begun['id']}")
    assert (told["status"], told["error"]["code"]) == ("failed", "server_error")
    events = await asker.resumed(begun["id"])
    assert numbers(events) == list(range(len(events)))
    assert events[-1]["type"] == "response.failed"
    assert record.kind == "charge"


async def _rows(server: Running, table: Json, least: int) -> None:
    """Returns when there are so many."""
    async with asyncio.timeout(LATE):
        while True:
            async with server.database.reading() as session:
                if (await session.execute(select(func.count()).select_from(table))).scalar_one() >= least:
                    return
            await asyncio.sleep(0.01)


async def _queued(server: Running) -> str:
    """The id of the one that waits to be begun."""
    async with asyncio.timeout(LATE):
        while True:
            async with server.database.reading() as session:
                if found := (await session.execute(select(response.c.public_id))).scalar_one_or_none():
                    return str(found)
            await asyncio.sleep(0.01)


async def _is_cancelled(server: Running) -> None:
    """Returns when somebody has asked for it."""
    async with asyncio.timeout(LATE):
        while True:
            async with server.database.reading() as session:
                if (await session.execute(select(response.c.is_cancelled))).scalar_one():
                    return
            await asyncio.sleep(0.01)


async def test_whoever_reads_is_told_the_end_of_what_a_stopping_server_made(server: Running, asker: Asker) -> None:
    begun = await asker.begin(FOR_EVER)
    await said(asker, begun["id"])
    reading = asyncio.create_task(asker.resumed(begun["id"]))

    server.services.exchanges.cut()
    server.services.responses.cut()

    assert (await reading)[-1]["type"] == "response.failed"


@ON_POSTGRESQL
async def test_whoever_reads_at_a_stopping_server_what_another_makes_is_cut_off(
    server: Running, other: Running, asker: Asker
) -> None:
    begun = await asker.begin(FOR_EVER)
    await said(asker, begun["id"])
    async with asking(server, other.root) as there:
        await said(there, begun["id"])
        reading = asyncio.create_task(there.resumed(begun["id"]))
        other.services.responses.cut()

        with pytest.raises(httpx.RemoteProtocolError):
            await reading
    assert (await asker.ask("POST", f"/{begun['id']}/cancel"))["status"] == "cancelled"
