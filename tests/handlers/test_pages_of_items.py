"""Pages of items: each item once, in either direction; no more bytes on one than it may have."""

from collections.abc import Collection

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import pages
from llm_backend.errors import Json
from llm_backend.storage import items
from llm_backend.storage.items import Item
from tests.handlers.conversing import Talker, says
from tests.handlers.responding import Asked

THOUGHT = {"type": "reasoning", "id": "rs_theirs", "summary": [], "encrypted_content": "sealed"}
OTHER = THOUGHT | {"id": "rs_other"}
GIVEN: list[Json] = [says("a"), THOUGHT, says("b"), THOUGHT, OTHER, says("c"), THOUGHT]
ONCE = ["a", "rs_theirs", "b", "rs_other", "c"]
LONG = 1000


async def paged(client: httpx.AsyncClient, path: str, order: str, limit: int) -> list[list[Json]]:
    """All pages."""
    found: list[list[Json]] = []
    query: dict[str, str | int] = {"order": order, "limit": limit}
    has_more = True
    while has_more:
        answer = await client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        has_more = page["has_more"]
        found.append(page["data"])
        query |= {"after": page["last_id"] or ""}
        assert len(found) <= len(GIVEN), "the pages have no end"
    return found


def named(shown: Json) -> str:
    """What a message says; of what else there is, its id."""
    said: str = shown["content"][0]["text"] if shown["type"] == "message" else shown["id"]
    return said


@pytest.mark.parametrize("where", ["a response", "one in the background", "a conversation"])
@pytest.mark.parametrize("asked", ["native"], indirect=True)
async def test_each_item_is_listed_once_on_pages_of_any_length_in_either_direction(asked: Asked, where: str) -> None:
    path = await given(asked, where)

    for limit in range(1, len(GIVEN) + 1):
        for order, wanted in (("asc", ONCE), ("desc", ONCE[::-1])):
            some = await paged(asked.client, path, order, limit)
            assert [named(each) for page in some for each in page] == wanted
            assert [len(page) for page in some[:-1]] == [limit] * (len(some) - 1)


async def given(asked: Asked, where: str) -> str:
    """The path of a list that has what is given, in the midst of other things."""
    if where == "one in the background":
        asked.upstream.hangs()
        made = await asked.client.post("/responses", json={"model": "m", "input": GIVEN, "background": True})
        return f"/responses/{made.json()['id']}/input_items"
    if where == "a response":
        before = await asked.made({"input": [THOUGHT]})
        made = await asked.made({"input": GIVEN, "previous_response_id": before["id"]})
        await asked.made({"input": [THOUGHT], "previous_response_id": made["id"]})
        return f"/responses/{made['id']}/input_items"
    talk = await Talker(asked.client).talk()
    [said] = (await asked.made({"input": GIVEN, "conversation": talk}))["output"]
    await Talker(asked.client).ask("DELETE", f"/{talk}/items/{said['id']}")
    return f"/conversations/{talk}/items"


@pytest.mark.parametrize("asked", ["native"], indirect=True)
async def test_a_page_ends_where_it_has_bytes_enough_and_says_that_there_is_more(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 3 * LONG)
    numbered, read = items.numbered, []

    async def reading(session: AsyncSession, account_id: int, numbers: Collection[int]) -> list[Item]:
        found = await numbered(session, account_id, numbers)
        read.append(sum(len(each.content) for each in found))
        return found

    monkeypatch.setattr(items, "numbered", reading)
    texts = ["a" * LONG, "b" * LONG, "c" * LONG, "d" * 5 * LONG, "e", "f"]
    made = await asked.made({"input": [says(text) for text in texts]})
    talk = await Talker(asked.client).talk(*map(says, texts))

    for path in (f"/responses/{made['id']}/input_items", f"/conversations/{talk}/items"):
        some = await paged(asked.client, path, "asc", 100)
        assert [[named(each)[0] for each in page] for page in some] == [["a", "b"], ["c"], ["d"], ["e", "f"]]
        back = await paged(asked.client, path, "desc", 100)
        assert [[named(each)[0] for each in page] for page in back] == [["f", "e"], ["d"], ["c", "b"], ["a"]]
    assert max(read) < 6 * LONG
