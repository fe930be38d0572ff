"""What a response in the background was given, before it has ended: as it is listed ever after."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llm_backend.errors import Json
from tests.handlers.resuming import Asker, asking, echoing

LAST = "two [[fault hang-mid-stream after=1]]"
SEALED = {"type": "reasoning", "id": "rs_theirs", "summary": [], "encrypted_content": "sealed"}
INCLUDED = "include[]=reasoning.encrypted_content"
GIVEN: list[Json] = [{"role": "user", "content": "one"}, SEALED, {"role": "user", "content": LAST}]


@pytest.fixture
async def asker(database_url: str, tmp_path: Path) -> AsyncIterator[Asker]:
    async with echoing(database_url, tmp_path) as running, asking(running) as client:
        yield client


async def test_it_is_listed_from_the_beginning_under_the_ids_that_it_keeps(asker: Asker) -> None:
    path = await begun(asker)
    early = await asker.ask("GET", f"{path}?order=asc")
    await asker.ask("POST", f"{path.removesuffix('/input_items')}/cancel")

    late = await asker.ask("GET", f"{path}?order=asc")

    assert early == late
    assert [each["type"] for each in early["data"]] == ["message", "reasoning", "message"]
    assert early["data"][1]["id"] == "rs_theirs"
    assert "encrypted_content" not in early["data"][1]
    [shown] = (await asker.ask("GET", f"{path}?after={early['data'][2]['id']}&limit=1&{INCLUDED}"))["data"]
    assert shown["encrypted_content"] == "sealed"


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_it_comes_in_pages(asker: Asker, order: str) -> None:
    path = await begun(asker)
    whole = await asker.ask("GET", f"{path}?order={order}")

    first = await asker.ask("GET", f"{path}?order={order}&limit=2")
    second = await asker.ask("GET", f"{path}?order={order}&limit=2&after={first['last_id']}")

    assert first["data"] + second["data"] == whole["data"]
    assert (first["has_more"], second["has_more"], whole["has_more"]) == (True, False, False)


async def test_nothing_comes_behind_what_it_was_not_given(asker: Asker) -> None:
    refused = await asker.ask("GET", f"{await begun(asker)}?after=msg_none", status=404)

    assert refused["error"]["param"] == "after"


async def begun(asker: Asker) -> str:
    """The path of what one was given that does not end by itself."""
    made = await asker.ask("POST", "", {"model": "echo", "background": True, "input": GIVEN})
    return f"/{made['id']}/input_items"
