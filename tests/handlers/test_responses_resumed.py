"""Streams of responses that were lost, and are read on: here or at another server, while they are made or after."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from llm_backend.domain.responses import recording
from llm_backend.storage.tables import response_event
from tests.databases import ON_POSTGRESQL
from tests.handlers.administering import administering
from tests.handlers.resuming import ENDS, LATE, Asker, asking, echoing, numbers, text
from tests.serving import Running

SLOWLY = "one two three four [[delay 0.05 between=0.03]]"


@pytest.fixture(params=["native", "chat"])
async def server(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with echoing(database_url, tmp_path, request.param) as running:
        yield running


@pytest.fixture
async def other(server: Running, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Another server on the same database."""
    async with echoing(server.database.url, tmp_path_factory.mktemp("other"), name="others") as running:
        yield running


@pytest.fixture
async def asker(server: Running) -> AsyncIterator[Asker]:
    async with asking(server) as client:
        yield client


def calls(running: Running) -> list[str]:
    assert running.echo is not None
    return [call.path for call in running.echo.calls]


async def test_a_stream_that_is_read_again_is_the_same(asker: Asker) -> None:
    told = await asker.events("one two three")

    again = await asker.resumed(told[0]["response"]["id"])

    assert again == told
    assert numbers(told) == list(range(len(told)))
    assert told[-1]["type"] == "response.completed"


async def test_a_stream_cut_at_any_event_is_read_on_without_a_gap_and_asked_for_once(
    server: Running, asker: Asker
) -> None:
    count = len(await asker.events(SLOWLY))

    async def lost(most: int) -> tuple[list[int], bool, bool]:
        had = await asker.events(SLOWLY, most)
        response_id, last = had[0]["response"]["id"], had[-1]["sequence_number"]
        while_made = await asker.resumed(response_id, last)
        after = await asker.resumed(response_id, last)
        return numbers(had + while_made), while_made == after, had + after == await asker.resumed(response_id)

    found = await asyncio.gather(*map(lost, range(1, count)))

    assert found == [(list(range(count)), True, True)] * (count - 1)
    assert len(calls(server)) == count
    assert [record.basis for record in await server.records()] == ["reported"] * count


async def test_nothing_is_left_of_streams_and_readers_that_are_over(server: Running, asker: Asker) -> None:
    had = await asyncio.gather(*(asker.events(SLOWLY, 3) for _ in range(4)))
    ids = [events[0]["response"]["id"] for events in had]
    await asyncio.gather(*(asker.resumed(each, 2, most=2) for each in ids))
    await asyncio.gather(*map(asker.resumed, ids))

    await server.quiet()
    await server.services.responses._desk.database.settled()

    making = server.services.responses._desk.making
    async with asyncio.timeout(LATE):
        # Who lost its client learns of it with what it sends next.
        while True:
            if not making.log.arrivals._awaited:
                break
            await asyncio.sleep(0.01)
    assert making._made == {}
    assert not [task for task in asyncio.all_tasks() if "_written_some" in repr(task)]


async def test_behind_the_last_event_nothing_follows(asker: Asker) -> None:
    told = await asker.events("one")

    assert await asker.resumed(told[0]["response"]["id"], told[-1]["sequence_number"]) == []


@pytest.mark.parametrize("ahead", [1, 1000, 2**62])
async def test_who_has_more_than_was_kept_is_told_how_it_ended(asker: Asker, ahead: int) -> None:
    told = await asker.events("one")

    rest = await asker.resumed(told[0]["response"]["id"], told[-1]["sequence_number"] + ahead)

    assert rest == told[-1:]


async def test_a_number_that_no_event_has_yet_is_waited_for(asker: Asker) -> None:
    had = await asker.events(SLOWLY, 1)

    [last] = await asker.resumed(had[0]["response"]["id"], 1000)

    assert last["type"] == "response.completed"
    assert (await asker.ask("GET", f"/{had[0]['response']['id']}"))["status"] == "completed"


async def test_events_have_no_negative_numbers(asker: Asker) -> None:
    told = await asker.events("one")

    refused = await asker.ask("GET", f"/{told[0]['response']['id']}?stream=true&starting_after=-1", status=400)

    assert refused["error"]["param"] == "starting_after"


async def test_what_did_not_stream_has_no_events(asker: Asker) -> None:
    made = await asker.ask("POST", "", {"model": "echo", "input": "one"})

    refused = await asker.ask("GET", f"/{made['id']}?stream=true", status=400)

    assert refused["error"]["param"] == "stream"


async def test_a_stream_that_is_still_made_is_cancelled_and_stays_so(asker: Asker) -> None:
    had = await asker.events("one two [[fault hang-mid-stream after=1]]", 1)
    path = f"/{had[0]['response']['id']}/cancel"

    told = await asker.ask("POST", path)

    assert told["status"] == "cancelled"
    assert await asker.ask("POST", path) == told


@pytest.mark.parametrize("streams", [False, True])
async def test_what_has_ended_and_was_not_made_in_the_background_is_not_cancelled(
    asker: Asker, *, streams: bool
) -> None:
    if streams:
        [*_, event] = await asker.events("one")
        ended = event["response"]
    else:
        ended = await asker.ask("POST", "", {"model": "echo", "input": "one"})

    refused = await asker.ask("POST", f"/{ended['id']}/cancel", status=400)

    assert (refused["error"]["param"], refused["error"]["code"]) == ("response_id", "invalid_value")
    assert await asker.ask("GET", f"/{ended['id']}") == ended


async def test_nobody_reads_the_events_of_another_account(server: Running, asker: Asker) -> None:
    told = await asker.events("one")
    async with administering(server) as admin:
        key = (await admin.account("stranger"))["api_key"]
    async with asking(server, key=key) as stranger:
        refused = await stranger.ask("GET", f"/{told[0]['response']['id']}?stream=true", status=404)

    assert (refused["error"]["code"], refused["error"]["param"]) == ("not_found", "response_id")


async def test_of_a_response_with_too_many_events_none_is_kept(
    server: Running, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", 4000)
    had = await asker.events("[[delay 0.2 between=0.02]] [[words 60]]", 6)
    response_id = had[0]["response"]["id"]
    # What is kept by now goes again.
    await asker.resumed(response_id, most=1)

    told = await asker.ended(response_id)

    assert len(text(told).split()) == 60
    refused = await asker.ask("GET", f"/{response_id}?stream=true", status=400)
    assert refused["error"]["param"] == "stream"
    async with server.database.reading() as session:
        assert (await session.execute(select(func.count()).select_from(response_event))).scalar_one() == 0


@ON_POSTGRESQL
async def test_another_server_reads_on_while_it_is_made(server: Running, other: Running) -> None:
    async with asking(server) as here, asking(server, other.root) as there:
        had = await here.events("one two three four five [[delay 0.4 between=0.2]]", 4)
        async with asyncio.timeout(LATE):
            rest = await there.resumed(had[0]["response"]["id"], 3)

        assert numbers(had + rest) == list(range(len(had) + len(rest)))
        assert rest[-1]["type"] in ENDS
        assert had + rest == await here.resumed(had[0]["response"]["id"])
        assert calls(other) == []
