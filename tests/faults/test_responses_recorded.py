"""Rows 36, 50 and 55 for what is kept of a stream: its database goes and comes back, or its client reads nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import httptools
import pytest

from llm_backend.domain.responses import recording
from llm_backend.domain.responses.recording import Recorder
from llm_backend.errors import Json
from llm_backend.storage import database as storage
from llm_backend.storage.database import Database, Limits
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.faults.leaving import Client
from tests.faults.responding import HELLO, Answered, Kind, asked, check, kept, said, saying, told_again
from tests.faults.stage import told
from tests.faults.test_database_faults import SHORT, is_paid, locked, passage_to
from tests.faulty import Cut, FaultyUpstream
from tests.handlers.resuming import asking, numbers
from tests.serving import Running, serving
from tests.whole.talking import events_in

STREAMED: Json = HELLO | {"stream": True}

LARGE, MANY = "x" * 4000, 240
"""Far more than what lies between a server and a client that reads nothing."""


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits as always, in tenths of seconds."""
    monkeypatch.setattr(storage, "Limits", partial(Limits, **SHORT, pool_size=2, pool_wait_seconds=0.2))
    monkeypatch.setattr(recording, "AGAIN_SECONDS", 0.05)


@pytest.fixture(params=["native", "chat"])
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


@asynccontextmanager
async def relaying(
    url: str, folder: Path, upstream: FaultyUpstream, kind: Kind, toml: str = ""
) -> AsyncIterator[Running]:
    base_url = upstream.base_url
    async with serving(url, folder, toml=toml, OPENAI_BASE_URL=base_url, UPSTREAM_RESPONSES=kind) as running:
        yield running


async def until(is_so: Callable[[], bool]) -> None:
    """Returns when it is: the recorder has no event to tell that."""
    while not is_so():  # noqa: ASYNC110 (as said)
        await asyncio.sleep(0.005)


async def slow(running: Running) -> Client:
    """A client for which the kernel keeps little, on either side."""
    for door in running.server.servers:
        for each in door.sockets:
            # What is accepted inherits it.
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return await Client.asking(running, STREAMED, path="/v1/responses", receive_buffer=4096)


async def recorded(running: Running) -> Recorder:
    """What keeps the events of the one that is made, once it is."""
    made = running.services.responses._desk.making._made
    await until(lambda: bool(made))
    [one] = made.values()
    return one.recorder


async def streamed_meanwhile(
    running: Running, upstream: FaultyUpstream, kind: Kind, away: AbstractAsyncContextManager[None], *, had_row: bool
) -> Answered:
    """A stream whose database goes when it has begun, and is back before its end; `had_row`: it had one before."""
    first, second, third = asyncio.Event(), asyncio.Event(), asyncio.Event()
    items = said(kind, "one ", "two ", "three")
    at = len(saying(kind, "one "))
    upstream.streams(first, *items[:at], second, items[at], third, *items[at + 1 :], Cut)
    asked_for = asyncio.create_task(asked(running, STREAMED))
    await upstream.received()
    recorder = await recorded(running)
    if had_row:
        first.set()
        await until(lambda: recorder.number is not None)
    async with away:
        first.set()
        second.set()
        await until(lambda: recorder._is_unsure)
    await until(lambda: not recorder._is_unsure and recorder.number is not None)
    third.set()
    return await asked_for


async def is_whole(running: Running, answer: Answered) -> bool:
    """Whether it was told to its end, charged once, and can be read behind any event."""
    check(answer)
    assert (answer.response["status"], answer.text) == ("completed", "one two three")
    assert (await kept(running, answer.response["id"])).response == answer.response
    assert numbers(answer.events) == list(range(len(answer.events)))
    async with asking(running) as asker:
        for number in range(len(answer.events)):
            assert await asker.resumed(answer.response["id"], number) == answer.events[number + 1 :]
    (record,) = await running.records()
    return is_paid(record)


@ON_SQLITE
@pytest.mark.parametrize("had_row", [True, False], ids=["had a row", "had none"])
async def test_a_file_that_is_locked_within_a_stream_and_free_again_has_every_event(
    database_url: str,
    tmp_path: Path,
    upstream: FaultyUpstream,
    kind: Kind,
    had_row: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    @asynccontextmanager
    async def away() -> AsyncIterator[None]:
        with locked(running):
            yield

    async with relaying(database_url, tmp_path, upstream, kind) as running:
        answer = await streamed_meanwhile(running, upstream, kind, away(), had_row=had_row)

        assert await is_whole(running, answer)


@ON_POSTGRESQL
@pytest.mark.parametrize("had_row", [True, False], ids=["had a row", "had none"])
@pytest.mark.parametrize("way", ["silent", "lost"])
async def test_a_server_that_goes_away_within_a_stream_and_comes_back_has_every_event(  # noqa: PLR0917 (fixtures)
    database_url: str,
    tmp_path: Path,
    upstream: FaultyUpstream,
    kind: Kind,
    way: str,
    had_row: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    """Silent: what was sent meanwhile comes late. Lost: it never comes, and only new connections answer."""
    async with passage_to(database_url) as (passage, url), relaying(url, tmp_path, upstream, kind) as running:

        @asynccontextmanager
        async def away() -> AsyncIterator[None]:
            passage.is_open.clear()
            yield
            if way == "lost":
                passage.lose()
            passage.is_open.set()

        answer = await streamed_meanwhile(running, upstream, kind, away(), had_row=had_row)

        # The test's own connection is lost as well.
        direct = Database(database_url)
        assert await is_whole(replace(running, database=direct), answer)
        await direct.close()


@ON_SQLITE
async def test_a_client_that_reads_nothing_is_left_and_its_response_made_to_its_end(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, kind: Kind
) -> None:
    upstream.streams(*said(kind, *[LARGE] * MANY), Cut)
    limits = "[limits]\nstream_queue_bytes = 65536\nstall_seconds = 0.3\n"
    async with relaying(database_url, tmp_path, upstream, kind, limits) as running:
        client = await slow(running)
        response_id = (await recorded(running)).public_id
        (exchange,) = running.services.exchanges._running

        (record,) = await running.records()

        assert exchange.is_abandoned
        assert told(record) == ("completed", "reported", None)
        events = await told_again(running, response_id)
        found = await kept(running, response_id)
        client.writer.close()
    check(events)
    assert (found.response["status"], found.text) == ("completed", LARGE * MANY)
    assert events.response == found.response
    assert numbers(events.events) == list(range(len(events.events)))


@ON_SQLITE
async def test_a_client_that_reads_on_after_a_while_misses_nothing(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, kind: Kind
) -> None:
    upstream.streams(*said(kind, *[LARGE] * MANY), Cut)
    limits = "[limits]\nstream_queue_bytes = 65536\n"
    async with relaying(database_url, tmp_path, upstream, kind, limits) as running:
        client = await slow(running)
        recorder = await recorded(running)
        (exchange,) = running.services.exchanges._running
        await until(lambda: exchange._pipe._room is not None)  # type: ignore[attr-defined]

        events = await _read(client)

        again = await told_again(running, recorder.public_id)
        (record,) = await running.records()
    assert told(record) == ("completed", "reported", None)
    assert events == again.events
    assert again.text == LARGE * MANY


async def _read(client: Client) -> list[Json]:
    """All events, by a client that closes then."""
    body = _Body()
    parser = httptools.HttpResponseParser(body)
    while not body.is_whole:
        parser.feed_data(await client.reader.read(65536))
    client.writer.close()
    return events_in(bytes(body.content))


class _Body:
    """What httptools' parser reports of one answer."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.is_whole = False

    def on_body(self, body: bytes) -> None:
        self.content += body

    def on_message_complete(self) -> None:
        self.is_whole = True
