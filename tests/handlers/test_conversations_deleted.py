"""Conversations that are deleted while a response is made in them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from llm_backend.storage.invariants import violations
from llm_backend.storage.tables import conversation, item, response
from tests.handlers.resuming import Asker, asking, echoing, text
from tests.serving import Running

FOR_EVER = "one two [[fault hang-mid-stream after=1]]"


@pytest.fixture(params=["native", "chat"])
async def server(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with echoing(database_url, tmp_path, request.param) as running:
        yield running


@pytest.fixture
async def asker(server: Running) -> AsyncIterator[Asker]:
    async with asking(server) as client:
        yield client


async def test_a_stored_response_is_kept_by_itself_and_gone_on_from(server: Running, asker: Asker) -> None:
    talk = await begun(asker)
    had = await asker.events(FOR_EVER, 5, conversation=talk)
    await deleted(asker, talk)
    path = f"/{had[0]['response']['id']}"

    told = await asker.ask("POST", f"{path}/cancel")

    assert had[0]["response"]["conversation"] == {"id": talk}
    assert (told["status"], told["conversation"], text(told)) == ("cancelled", None, "one")
    assert await asker.ask("GET", path) == told
    assert len((await asker.ask("GET", f"{path}/input_items"))["data"]) == 1
    on = {"model": "echo", "input": "on", "previous_response_id": told["id"]}
    assert (await asker.ask("POST", "", on))["status"] == "completed"
    async with server.database.reading() as session:
        assert await violations(session) == []


async def test_of_one_that_is_not_stored_nothing_is_kept(server: Running, asker: Asker) -> None:
    talk = await begun(asker)
    body = {"model": "echo", "input": FOR_EVER, "stream": True, "store": False, "conversation": talk}
    async with asker.client.stream("POST", "/responses", json=body) as answer:
        async for line in answer.aiter_lines():
            if "output_text.delta" in line:
                break
        await deleted(asker, talk)

    [record] = await server.records()

    assert record.error_code == "client_disconnected"
    async with server.database.reading() as session:
        for table in (response, conversation, item):
            assert (await session.execute(select(func.count()).select_from(table))).scalar_one() == 0


async def begun(asker: Asker) -> str:
    """The id of a conversation."""
    answer = await asker.client.post("/conversations", json={})
    return str(answer.json()["id"])


async def deleted(asker: Asker, talk: str) -> None:
    answer = await asker.client.delete(f"/conversations/{talk}")
    assert answer.status_code == 200, answer.text
