"""Responses that a dead process had noted and never asked for."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import func, select, update

from llm_backend.domain.callers import Callers
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.items import given
from llm_backend.domain.keys import public_id_of
from llm_backend.domain.responses import shown
from llm_backend.domain.responses.background import Background
from llm_backend.domain.responses.noted import Noted
from llm_backend.domain.responses.orphans import Orphans
from llm_backend.errors import Json
from llm_backend.storage import responses
from llm_backend.storage.responses import Response
from llm_backend.storage.tables import account, conversation, item, response, response_event
from tests.handlers.administering import administering
from tests.handlers.responding import PATHS, Asked
from tests.handlers.resuming import Asker, asking, echoing, numbers, text
from tests.proof.survivors import LONG_AGO
from tests.serving import Running

GIVEN = given("one two")


@pytest.fixture
async def server(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with echoing(database_url, tmp_path) as running:
        yield running


async def left(server: Running, account_id: int, further: Json = None, **values: Json) -> str:
    """The id of one whose process died before it asked for it; `further`: what else was asked."""
    now = SystemClock().now()
    asked = {"model": "echo", "input": GIVEN, "background": True, **(further or {})}
    body = {"object": "response", "created_at": int(now.timestamp()), "model": "echo", **shown.asked(asked)}
    body |= dict.fromkeys(("completed_at", "error", "incomplete_details", "conversation", "usage"))
    row = {"account_id": account_id, "public_id": "resp_left", "kind": "response", "is_stored": True, "model": "echo"}
    row |= {
        "status": "queued",
        "body": orjson.dumps(body),
        "metadata": {},
        "request": Noted(asked, {}, "").written(),
        "owner": "dead",
    }
    row |= {"created_at": now, "lease_until": now - timedelta(minutes=1), "events_until": now + timedelta(days=1)}
    async with server.database.begin() as session:
        await responses.add(session, row | values)
    return "resp_left"


async def ended(asker: Asker, response_id: str) -> tuple[Json, list[Json]]:
    return await asker.ended(response_id), await asker.resumed(response_id)


async def test_one_is_begun_again_by_another_process(server: Running) -> None:
    async with asking(server) as asker:
        told, events = await ended(asker, await left(server, server.account_id))

    assert (told["status"], text(told)) == ("completed", "one two")
    assert numbers(events) == list(range(len(events)))
    assert [record.basis for record in await server.records()] == ["reported"]


async def test_one_whose_key_was_revoked_meanwhile_is_not(server: Running) -> None:
    async with administering(server) as admin:
        made = await admin.account("leaving")
        path = f"/accounts/{made['id']}/keys"
        revoked, other = public_id_of(made["api_key"]), await admin.ask("POST", path, {}, 201)
        await admin.ask("DELETE", f"{path}/{revoked}")
    async with asking(server, key=other["api_key"]) as asker:
        told, [event] = await ended(asker, await left(server, made["id"], key_id=revoked))

    assert (told["status"], event["type"], event["sequence_number"]) == ("failed", "response.failed", 0)
    assert server.echo is not None
    assert list(server.echo.calls) == []


async def test_one_whose_account_stores_nothing_any_more_is_not(server: Running) -> None:
    async with server.database.begin() as session:
        await session.execute(update(account).values(stores=False))
    async with asking(server) as asker:
        told, _ = await ended(asker, await left(server, server.account_id))

    assert (told["status"], text(told)) == ("failed", "")
    assert server.echo is not None
    assert list(server.echo.calls) == []


async def test_one_that_was_to_be_cancelled_is(server: Running) -> None:
    async with asking(server) as asker:
        told, [event] = await ended(asker, await left(server, server.account_id, is_cancelled=True))

    assert (told["status"], told["error"]) == ("cancelled", None)
    assert (event["type"], event["response"]["status"]) == ("response.incomplete", "cancelled")


async def test_one_that_cannot_be_asked_for_any_more_has_failed(server: Running) -> None:
    gone = {"previous_response_id": "resp_gone"}
    async with asking(server) as asker:
        told, _ = await ended(asker, await left(server, server.account_id, gone))

        assert (told["status"], told["error"]["code"]) == ("failed", "server_error")
        on = {"model": "echo", "input": "on", "previous_response_id": "resp_left"}
        refused = await asker.ask("POST", "", on, 400)
    assert refused["error"]["code"] == "previous_response_failed"


@pytest.mark.parametrize("status", ["queued", "in_progress"])
async def test_what_one_was_given_is_listed_as_before_and_gone_on_from(server: Running, status: str) -> None:
    """Begun again where nothing had been asked; else failed."""
    async with asking(server) as asker:
        first = await asker.ask("POST", "", {"model": "echo", "input": "zero"})
        further = {"previous_response_id": first["id"]}
        told = await asker.ended(await left(server, server.account_id, further, status=status))
        listed = await asker.ask("GET", "/resp_left/input_items")
        on = {"model": "echo", "input": "three", "previous_response_id": "resp_left"}
        last = await asker.ask("POST", "", on)
        talk = [("user", "zero"), ("assistant", "zero"), ("user", "one two"), ("assistant", "one two")]
        said = [*talk[: 4 if status == "queued" else 3], ("user", "three")]
        whole = [{"role": role, "content": words} for role, words in said]
        same = await asker.ask("POST", "", {"model": "echo", "input": whole})

    assert told["status"] == ("completed" if status == "queued" else "failed")
    assert listed["data"] == GIVEN
    assert last["usage"]["input_tokens"] == same["usage"]["input_tokens"]


async def test_one_that_was_asked_for_as_a_beta_is_begun_again_as_one(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = Background._claimed

    async def unclaimed(*_: Json) -> None:
        """What is noted is all that there is of it."""

    monkeypatch.setattr(Background, "_claimed", unclaimed)
    body, beta = {"model": "m", "input": "Hi", "background": True}, {"openai-beta": "x"}
    begun = await asked.client.post("/responses?beta=true", json=body, headers=beta)
    monkeypatch.setattr(Background, "_claimed", claimed)
    asked.will_say(stream=True)
    async with asked.running.database.begin() as session:
        await session.execute(update(response).values(owner="dead", lease_until=LONG_AGO))

    await asked.client.get(f"/responses/{begun.json()['id']}?stream=true")

    [request] = asked.upstream.requests
    told = (request.path, request.headers.get("openai-beta"))
    assert told == (("/v1/responses?beta=true", "x") if asked.kind == "native" else (PATHS["chat"], None))


async def test_one_that_is_deleted_before_it_could_be_ended_leaves_nothing(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail, is_over = Orphans._fail, asyncio.Event()

    async def deleted_first(own: Orphans, found: Response, reason: Json) -> None:
        async with server.database.begin() as session:
            await responses.remove(session, found.account_id, found.id)
        await fail(own, found, reason)
        is_over.set()

    monkeypatch.setattr(Orphans, "_fail", deleted_first)
    await left(server, server.account_id, status="in_progress")

    await is_over.wait()

    async with server.database.reading() as session:
        for table in (response, response_event, conversation, item):
            assert (await session.execute(select(func.count()).select_from(table))).scalar_one() == 0


async def test_a_process_that_is_to_stop_begins_none(server: Running) -> None:
    services = server.services.responses
    left_id = await left(server, server.account_id)
    # Its own rounds, too, are told so.
    server.server._edge.admission.is_draining = True
    clock = SystemClock()
    desk, callers = services._desk, Callers(server.database, clock)
    orphans = Orphans(services._asking, desk.making, services._background, callers, clock, lambda: True, alone=True)

    await orphans.sweep()

    async with server.database.reading() as session:
        found = await responses.find(session, server.account_id, left_id)
    assert found is not None
    assert (found.status, found.owner) == ("queued", "dead")
