"""Rows 24 and 31 to 35 for responses: who leaves is charged for what came, and what is kept is made to its end."""

import asyncio
from typing import cast

import pytest

from llm_backend.errors import Json
from tests.faults.leaving import WAYS, Client, Leaving
from tests.faults.responding import HELLO, Kind, kept, said, saying, stored
from tests.faults.stage import Stage, told
from tests.faults.test_departures import LEFT, LEFT_WITHIN
from tests.faulty import Cut, Hang, head

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("variables", ["native", "chat"], indirect=True, scope="module"),
]

PATH = "/v1/responses"
UNKEPT: Json = HELLO | {"store": False}
EVERY_WAY = [*WAYS, Client.half_closes]


@pytest.fixture(scope="module")
def toml() -> str:
    """No deadline is waited for here."""
    return ""


@pytest.fixture(scope="module")
def variables(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"UPSTREAM_RESPONSES": request.param}


@pytest.fixture
def kind(variables: dict[str, str]) -> Kind:
    return cast("Kind", variables["UPSTREAM_RESPONSES"])


@pytest.mark.parametrize("body", [HELLO, UNKEPT, UNKEPT | {"stream": True}], ids=["kept", "unkept", "unkept stream"])
@pytest.mark.parametrize("leave", EVERY_WAY)
async def test_whoever_leaves_before_the_first_byte_pays_for_the_prompt(
    stage: Stage, leave: Leaving, body: Json
) -> None:
    stage.upstream.hangs()
    before = await stored(stage.running)
    client = await Client.asking(stage.running, body, path=PATH)
    received = await stage.upstream.received()

    leave(client)

    await received.gone.wait()
    (record,) = await stage.records()
    assert told(record) == LEFT
    assert record.prompt_tokens > 0
    assert record.completion_tokens == 0
    assert await stored(stage.running) == before
    client.writer.close()


@pytest.mark.parametrize("leave", WAYS)
async def test_whoever_leaves_within_a_whole_answer_pays_for_the_prompt(stage: Stage, leave: Leaving) -> None:
    sent = asyncio.Event()
    stage.upstream.raw(head(200, content_type="application/json", content_length="99"), b'{"id": ', sent, Hang)
    sent.set()
    client = await Client.asking(stage.running, HELLO, path=PATH)
    received = await stage.upstream.received()

    leave(client)

    await received.gone.wait()
    assert await stage.told() == [LEFT]


@pytest.mark.parametrize("leave", EVERY_WAY)
async def test_a_stream_that_is_not_kept_is_cut_and_charged_for_what_had_come(
    stage: Stage, kind: Kind, leave: Leaving
) -> None:
    stage.upstream.streams(*saying(kind, "word ", "word "), Hang)
    before = await stored(stage.running)
    client = await Client.asking(stage.running, UNKEPT | {"stream": True}, path=PATH)
    await client.events(6)

    leave(client)

    await stage.upstream.requests[0].gone.wait()
    (record,) = await stage.records()
    assert told(record) == LEFT_WITHIN
    assert record.completion_tokens == 3
    assert record.prompt_tokens > 0
    assert await stored(stage.running) == before
    client.writer.close()


@pytest.mark.parametrize("events", [0, 2, 5], ids=["at once", "at the first events", "within its text"])
@pytest.mark.parametrize("leave", EVERY_WAY)
async def test_a_stream_that_is_kept_goes_on_without_its_client(
    stage: Stage, kind: Kind, leave: Leaving, events: int
) -> None:
    # Row 33
    goes_on = asyncio.Event()
    items = said(kind, "Hel", "lo")
    begins = 0 if not events else len(saying(kind, "Hel"))
    stage.upstream.streams(*items[:begins], goes_on, *items[begins:], Cut)
    before = await stored(stage.running)
    client = await Client.asking(stage.running, HELLO | {"stream": True}, path=PATH)
    await stage.upstream.received()
    await client.events(events)

    exchange = stage.exchange

    leave(client)
    while not exchange.is_abandoned:  # noqa: ASYNC110 (it has no event to tell that)
        await asyncio.sleep(0)
    goes_on.set()

    assert await stage.told() == [("completed", "reported", None)]
    (made,) = set(await stored(stage.running)) - set(before)
    found = await kept(stage.running, made)
    assert (found.response["status"], found.text) == ("completed", "Hello")
    client.writer.close()
