"""What happened reaches the operator's webhook: signed, at least once, and not for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from pytest_httpx import HTTPXMock
from sqlalchemy import insert, select, text
from structlog.testing import capture_logs

from llm_backend.domain import webhooks
from llm_backend.domain.clock import Clock, SystemClock
from llm_backend.domain.webhooks import ANSWER_SECONDS, CLAIM_SECONDS, MOST_TRIES, Endpoint, Webhooks
from llm_backend.storage import webhook_events
from llm_backend.storage.database import Database
from llm_backend.storage.tables import webhook_event
from tests.clocks import SetClock
from tests.storage.records import an_account

URL = "https://operator.example/hooks/llm"
SECRET = "whsec_c2lnbmVkIGJ5IHRoZSBvcGVyYXRvcidzIHNlY3JldA=="
PAYLOAD = orjson.dumps(
    {
        "id": "evt_1",
        "type": "budget.soft_limit_reached",
        "created_at": 1_772_366_400,
        "data": {"account_id": 1, "account_name": "Zoë", "currency": "tokens", "limit": 100, "used": 76},
    }
)

sent_repeatedly = pytest.mark.httpx_mock(can_send_already_matched_responses=True)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def sender(database: Database, clock: SetClock) -> AsyncIterator[Webhooks]:
    """Not started: it sends when the test says so, and pauses without jitter."""
    async with sending(database, clock) as made:
        yield made


@asynccontextmanager
async def sending(
    database: Database, clock: Clock, url: str = URL, secret: str = SECRET, answer_seconds: float = ANSWER_SECONDS
) -> AsyncIterator[Webhooks]:
    key = Endpoint.of(url, secret).key
    made = Webhooks(database, Endpoint(url, key, answer_seconds), clock, lambda low, high: (low + high) / 2)
    try:
        yield made
    finally:
        await made.close()


async def happens(database: Database, clock: Clock, *ids: str) -> None:
    """Events of one account, due at once."""
    alice = await an_account(database)
    now = clock.now()
    rows = [
        {"id": event_id, "account_id": alice.id, "payload": PAYLOAD, "created_at": now, "next_try_at": now}
        for event_id in ids or ("evt_1",)
    ]
    async with database.begin() as session:
        await session.execute(insert(webhook_event).values(rows))


async def kept(database: Database, *columns: str) -> list[tuple[Any, ...]]:
    async with database.reading() as session:
        rows = await session.execute(select(*(webhook_event.c[name] for name in columns)))
        return [tuple(row) for row in rows]


@pytest.mark.parametrize("secret", [SECRET, "any text that both sides know"])
async def test_an_event_is_signed_as_openais_own_client_expects(
    database: Database, httpx_mock: HTTPXMock, secret: str
) -> None:
    httpx_mock.add_response(url=URL, status_code=204)
    await happens(database, SystemClock())

    async with sending(database, SystemClock(), secret=secret) as sender:
        await sender.send_due()

    (request,) = httpx_mock.get_requests()
    client = OpenAI(api_key="none", webhook_secret=secret)
    assert client.webhooks.unwrap(request.content, dict(request.headers)).id == "evt_1"
    assert (request.content, request.headers["content-type"]) == (PAYLOAD, "application/json")
    with pytest.raises(InvalidWebhookSignatureError):
        client.webhooks.verify_signature(request.content.replace(b"76", b"75"), dict(request.headers))


async def test_an_event_that_was_taken_is_not_sent_again(
    database: Database, clock: SetClock, sender: Webhooks, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=201)
    await happens(database, clock)

    for _ in range(2):
        await sender.send_due()
        clock.advance(CLAIM_SECONDS)

    assert len(httpx_mock.get_requests()) == 1
    assert await kept(database, "next_try_at", "last_error", "tries") == [(None, None, 1)]


@sent_repeatedly
async def test_an_event_is_tried_twenty_times_with_pauses_that_double_up_to_an_hour(
    database: Database, clock: SetClock, sender: Webhooks, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=500)
    await happens(database, clock)
    pauses = []

    with capture_logs() as logged:
        await sender.send_due()
        while (moment := (await kept(database, "next_try_at"))[0][0]) is not None:
            pauses.append(round((moment - clock.now()).total_seconds()))
            clock.advance(pauses[-1] - 1)
            await sender.send_due()
            assert len(httpx_mock.get_requests()) == len(pauses)
            clock.advance(1)
            await sender.send_due()

    assert pauses == [min(5 * 2**tries, 3600) for tries in range(MOST_TRIES - 1)]
    assert len(httpx_mock.get_requests()) == MOST_TRIES
    assert logged[-1] == {
        "event": "webhook_given_up", "log_level": "error",
        "webhook_event": "evt_1", "account_id": 1, "tries": MOST_TRIES, "error": "status 500",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(302, headers={"location": "https://elsewhere.example/"}), "status 302"),
        (httpx.Response(404), "status 404"),
        (httpx.ConnectError("no route"), "ConnectError"),
        (httpx.ReadTimeout("silence"), "ReadTimeout"),
    ],
)
async def test_what_is_not_taken_is_tried_again_and_no_redirect_is_followed(
    database: Database, clock: SetClock, httpx_mock: HTTPXMock, answer: httpx.Response | Exception, error: str
) -> None:
    if isinstance(answer, Exception):
        httpx_mock.add_exception(answer)
    else:
        httpx_mock.add_response(answer.status_code, headers=answer.headers)
    httpx_mock.add_response(status_code=200)
    await happens(database, clock)

    async with sending(database, clock) as sender:
        await sender.send_due()
        noted = await kept(database, "last_error", "delivered_at")
        clock.advance(5)
        await sender.send_due()

    assert noted == [(error, None)]
    assert [str(request.url) for request in httpx_mock.get_requests()] == [URL, URL]
    assert await kept(database, "delivered_at") == [(clock.now(),)]


async def test_a_receiver_that_is_gone_is_not_asked_again(
    database: Database, clock: SetClock, sender: Webhooks, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=410)
    await happens(database, clock)

    for _ in range(2):
        await sender.send_due()
        clock.advance(CLAIM_SECONDS)

    assert await kept(database, "next_try_at", "delivered_at", "last_error") == [(None, None, "status 410")]


@sent_repeatedly
async def test_two_processes_share_the_events_and_send_each_once(
    database_url: str, database: Database, clock: SetClock, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=200)
    ids = [f"evt_{number:02}" for number in range(25)]
    await happens(database, clock, *ids)
    other = Database(database_url)

    async with sending(database, clock) as here, sending(other, clock) as there:
        await asyncio.gather(here.send_due(), there.send_due())
    await other.close()

    assert sorted(request.headers["webhook-id"] for request in httpx_mock.get_requests()) == ids


async def test_an_event_whose_sender_died_is_sent_when_its_claim_is_over(
    database: Database, clock: SetClock, sender: Webhooks, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=200)
    await happens(database, clock)
    async with database.begin() as session:
        due = await webhook_events.due(session, clock.now(), 10)
        await webhook_events.claim(session, due, clock.now() + timedelta(seconds=CLAIM_SECONDS))

    await sender.send_due()
    before = len(httpx_mock.get_requests())
    clock.advance(CLAIM_SECONDS)
    await sender.send_due()

    assert (before, len(httpx_mock.get_requests())) == (0, 1)
    assert await kept(database, "tries") == [(2,)]


async def test_a_late_failure_does_not_undo_that_another_try_was_taken(database: Database, clock: SetClock) -> None:
    await happens(database, clock)
    async with database.begin() as session:
        (late,) = await webhook_events.claim(session, await webhook_events.due(session, clock.now(), 10), clock.now())
        (next_one,) = await webhook_events.claim(session, [late], clock.now())
        await webhook_events.note_taken(session, next_one, clock.now())

        await webhook_events.note_failed(session, late, "status 500", clock.now())

    assert await kept(database, "next_try_at", "last_error") == [(None, None)]


async def test_a_word_is_enough_to_have_an_event_sent(
    database: Database, clock: SetClock, sender: Webhooks, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "POLL_SECONDS", 3600)
    arrived = asyncio.Event()

    def take(_request: httpx.Request) -> httpx.Response:
        arrived.set()
        return httpx.Response(200)

    httpx_mock.add_callback(take)
    sender.start()
    await happens(database, clock)

    sender.notify()

    await arrived.wait()


async def test_a_fault_of_the_database_does_not_end_the_sending(
    database: Database, clock: SetClock, sender: Webhooks, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "POLL_SECONDS", 0.01)
    arrived = asyncio.Event()

    def take(_request: httpx.Request) -> httpx.Response:
        arrived.set()
        return httpx.Response(200)

    httpx_mock.add_callback(take)
    await happens(database, clock)
    await rename(database, "webhook_event", "elsewhere")
    with capture_logs() as logged:
        sender.start()
        while not logged:  # noqa: ASYNC110 (the log is what tells)
            await asyncio.sleep(0.01)

        await rename(database, "elsewhere", "webhook_event")
        await arrived.wait()

    assert "webhooks_failed" in {line["event"] for line in logged}


async def rename(database: Database, table: str, to: str) -> None:
    async with database.begin() as session:
        await session.execute(text(f"ALTER TABLE {table} RENAME TO {to}"))


@asynccontextmanager
async def receiving(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """The URL of a receiver on this machine that answers the head of a request so, and then nothing."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        await answer(writer)
        await reader.read()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for writer in writers:
            writer.close()


async def test_what_a_receiver_writes_is_not_waited_for(database: Database, clock: SetClock) -> None:
    await happens(database, clock)

    async def begin(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\nthanks")
        await writer.drain()

    async with receiving(begin) as url, sending(database, clock, url, answer_seconds=600) as sender:
        await sender.send_due()

    assert await kept(database, "delivered_at") == [(clock.now(),)]


async def test_a_silent_receiver_is_left_alone_after_a_while(database: Database, clock: SetClock) -> None:
    await happens(database, clock)

    async def say_nothing(_writer: asyncio.StreamWriter) -> None:
        return

    async with receiving(say_nothing) as url, sending(database, clock, url, answer_seconds=0.1) as sender:
        await sender.send_due()

    assert await kept(database, "last_error", "delivered_at") == [("TimeoutError", None)]


def test_a_secret_that_cannot_be_read_is_refused_and_none_is_shown() -> None:
    with pytest.raises(ValueError, match="base64"):
        Endpoint.of(URL, "whsec_not base64")

    assert "operator" not in repr(Endpoint.of(URL, SECRET))
