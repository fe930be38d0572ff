"""What items bring that a request refers to: each of them a copy, and no more of them than a request may have."""

from collections.abc import Collection

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.items import MOST_BYTES
from llm_backend.errors import Json
from llm_backend.storage import items
from llm_backend.storage.items import Item
from tests.databases import ON_SQLITE
from tests.handlers.conversing import Talker, says
from tests.handlers.responding import Asked

LONG = MOST_BYTES // 19
"""Of this size nineteen are too much, with what is around their texts."""


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many items are read at each time."""
    counts: list[int] = []
    numbered = items.numbered

    async def reading(session: AsyncSession, account_id: int, numbers: Collection[int]) -> list[Item]:
        found = await numbered(session, account_id, numbers)
        counts.append(len(found))
        return found

    monkeypatch.setattr(items, "numbered", reading)
    return counts


def refers(item: Json) -> Json:
    return {"type": "item_reference", "id": item["id"]}


@pytest.mark.parametrize("asked", ["native"], indirect=True)
async def test_a_request_that_refers_to_too_much_is_refused_before_any_of_it_is_read(
    asked: Asked, read: list[int]
) -> None:
    talker = Talker(asked.client)
    [long] = await talker.add(await talker.talk(), says("a" * LONG))
    rows = await asked.rows()

    answer = await asked.client.post("/responses", json={"model": "m", "input": [says("so"), *[refers(long)] * 300]})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input[19].id")
    assert (read, asked.upstream.requests, await asked.rows()) == ([], [], rows)


async def test_a_conversation_takes_no_more_by_reference_than_a_request_may_bring(
    talker: Talker, read: list[int]
) -> None:
    talk = await talker.talk()
    [long] = await talker.add(talk, says("a" * LONG))
    many = {"items": [refers(long)] * 20}

    assert await talker.refused("POST", "", many) == ("invalid_value", "items[18].id")
    assert await talker.refused("POST", f"/{talk}/items", many) == ("invalid_value", "items[18].id")
    assert read == []
    assert len(await talker.items(talk)) == 1


@ON_SQLITE
@pytest.mark.parametrize("asked", ["native"], indirect=True)
async def test_what_is_referred_to_often_is_read_once(asked: Asked, read: list[int]) -> None:
    talker = Talker(asked.client)
    one, two = await talker.add(await talker.talk(), says("one"), says("two"))
    asked.will_say()

    given = [refers(one), refers(two)] * 50
    answer = await asked.client.post("/responses", json={"model": "m", "input": given})

    assert answer.status_code == 200, answer.text
    sent = [each["content"][0]["text"] for each in asked.upstream.requests[-1].json["input"]]
    assert (sent, read) == (["one", "two"] * 50, [2])
