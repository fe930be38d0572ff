"""Conversations over HTTP: kept here, with their items, for the account that made them."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import func, insert, select

from llm_backend.domain.public_ids import public_id
from llm_backend.errors import Json
from llm_backend.storage.state_tables import conversation, item, response, response_event
from tests.databases import ON_SQLITE
from tests.handlers.conversing import Talker, says, texts
from tests.serving import Running

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOWHERE = "conv_of_another"


async def test_a_conversation_is_made_with_items_and_found_again(talker: Talker) -> None:
    made = await talker.ask("POST", body={"items": [says("Hello")], "metadata": {"topic": "trees"}})

    assert made["id"].startswith("conv_")
    assert (made["object"], made["metadata"]) == ("conversation", {"topic": "trees"})
    assert await talker.ask("GET", f"/{made['id']}") == made
    [kept] = await talker.items(made["id"])
    assert kept == {
        "id": kept["id"],
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hello"}],
    }
    assert await talker.ask("GET", f"/{made['id']}/items/{kept['id']}") == kept


async def test_a_conversation_may_begin_with_nothing(talker: Talker) -> None:
    made = await talker.ask("POST")

    assert made["metadata"] == {}
    told = await talker.ask("GET", f"/{made['id']}/items")
    assert told == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_metadata_are_replaced(talker: Talker) -> None:
    talk = await talker.talk(metadata={"a": "1", "b": "2"})

    changed = await talker.ask("POST", f"/{talk}", {"metadata": {"b": "3"}})
    emptied = await talker.ask("POST", f"/{talk}", {"metadata": None})

    assert (changed["metadata"], emptied["metadata"]) == ({"b": "3"}, {})
    assert (await talker.ask("GET", f"/{talk}"))["metadata"] == {}


TOO_MUCH: list[tuple[Json, str]] = [
    ({f"key {n}": "" for n in range(17)}, "metadata"),
    ({"k" * 65: ""}, "metadata"),
    ({"a\x00": ""}, "metadata"),
    ({"a": "\x00"}, "metadata.a"),
    ({"a": "v" * 513}, "metadata.a"),
]


@ON_SQLITE
@pytest.mark.parametrize(("metadata", "param"), TOO_MUCH)
async def test_metadata_beyond_their_bounds_are_refused_by_name(talker: Talker, metadata: Json, param: str) -> None:
    talk = await talker.talk()

    made = await talker.refused("POST", "", {"metadata": metadata})
    changed = await talker.refused("POST", f"/{talk}", {"metadata": metadata})

    assert (made[1].startswith(param), changed[1].startswith(param)) == (True, True)


async def test_items_are_answered_as_they_were_added(talker: Talker) -> None:
    talk = await talker.talk(says("one"))

    told = await talker.ask("POST", f"/{talk}/items", {"items": [says("two"), says("three", "assistant")]})

    assert texts(told["data"]) == ["two", "three"]
    assert (told["first_id"], told["last_id"], told["has_more"]) == (*(each["id"] for each in told["data"]), False)
    assert told["data"][1]["content"][0]["type"] == "output_text"
    assert texts(await talker.items(talk)) == ["three", "two", "one"]


async def test_pages_follow_each_other_in_either_direction(talker: Talker) -> None:
    talk = await talker.talk(*(says(f"{n}") for n in range(5)))

    for order, wanted in (("asc", ["0", "1", "2", "3", "4"]), ("desc", ["4", "3", "2", "1", "0"])):
        found: list[Json] = []
        after: dict[str, str] = {}
        more = True
        while more:
            page = await talker.ask("GET", f"/{talk}/items", query={"order": order, "limit": 2, **after})
            found += page["data"]
            after, more = {"after": page["last_id"]}, page["has_more"]
        assert (texts(found), len(found)) == (wanted, 5)


async def test_a_page_has_twenty_items_where_nothing_else_is_asked(talker: Talker) -> None:
    talk = await talker.talk(*(says(f"{n}") for n in range(20)))
    await talker.add(talk, says("20"))

    usual = await talker.ask("GET", f"/{talk}/items")
    everything = await talker.ask("GET", f"/{talk}/items", query={"limit": 100})

    assert (len(usual["data"]), usual["has_more"]) == (20, True)
    assert (len(everything["data"]), everything["has_more"]) == (21, False)


@ON_SQLITE
@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"order": "up"}, "order"), ({"include[]": "all"}, "include")],
)
async def test_a_page_that_cannot_be_is_refused_by_name(talker: Talker, query: dict[str, Any], param: str) -> None:
    talk = await talker.talk()

    _, named = await talker.refused("GET", f"/{talk}/items", query=query)

    assert named.startswith(param)


@pytest.mark.parametrize("after", ["msg_of_another", "a\x00b", ""])
async def test_a_page_behind_no_item_of_the_conversation_is_not_found(talker: Talker, after: str) -> None:
    talk, other = await talker.talk(says("here")), await talker.talk(says("elsewhere"))
    [elsewhere] = await talker.items(other)

    for wrong in (after, elsewhere["id"]):
        assert await talker.refused("GET", f"/{talk}/items", status=404, query={"after": wrong}) == (
            "not_found",
            "after",
        )


async def test_at_most_twenty_items_are_added_at_once_and_at_least_one(talker: Talker) -> None:
    talk = await talker.talk()
    many = [says("again")] * 21

    refused = [
        await talker.refused("POST", "", {"items": many}),
        await talker.refused("POST", f"/{talk}/items", {"items": many}),
        await talker.refused("POST", f"/{talk}/items", {"items": []}),
    ]

    assert [param for _, param in refused] == ["items"] * 3
    assert await talker.items(talk) == []


async def test_items_added_at_once_all_find_a_place(running: Running, talker: Talker) -> None:
    talk = await talker.talk()

    await asyncio.gather(*(talker.add(talk, says(f"{n} a"), says(f"{n} b")) for n in range(12)))

    said = texts(await talker.items(talk, order="asc", limit=100))
    assert sorted(said) == sorted(f"{n} {letter}" for n in range(12) for letter in "ab")
    assert all(first[:-1] == second[:-1] for first, second in zip(said[::2], said[1::2], strict=True))
    async with running.database.reading() as session:
        assert (await session.execute(select(conversation.c.next_sequence))).scalar_one() == 24


async def test_a_deleted_item_is_gone_and_the_conversation_answered(running: Running, talker: Talker) -> None:
    talk = await talker.talk(says("one"), says("two"))
    two, one = await talker.items(talk)

    left = await talker.ask("DELETE", f"/{talk}/items/{one['id']}")

    assert left == await talker.ask("GET", f"/{talk}")
    assert await talker.items(talk) == [two]
    for method in ("GET", "DELETE"):
        assert await talker.refused(method, f"/{talk}/items/{one['id']}", status=404) == ("not_found", "item_id")
    assert texts(await talker.add(talk, says("three"))) == ["three"]
    async with running.database.reading() as session:
        kept = (await session.execute(select(item.c.content).order_by(item.c.sequence))).scalars().all()
    assert [orjson.loads(each)[0]["text"] for each in kept] == ["two", "three"]


async def test_a_deleted_conversation_leaves_nothing_behind(running: Running, talker: Talker) -> None:
    talk, other = await talker.talk(says("secret")), await talker.talk(says("elsewhere"))
    await answered(running, talk)
    await answered(running, other)

    told = await talker.ask("DELETE", f"/{talk}")

    assert told == {"id": talk, "object": "conversation.deleted", "deleted": True}
    assert await talker.refused("GET", f"/{talk}", status=404) == ("not_found", "conversation_id")
    async with running.database.reading() as session:
        tables = (conversation, item, response, response_event)
        counts = [(await session.execute(select(func.count()).select_from(table))).scalar_one() for table in tables]
    assert counts == [1, 1, 1, 1]
    assert texts(await talker.items(other)) == ["elsewhere"]


async def test_what_is_added_while_a_conversation_is_deleted_goes_with_it(running: Running, talker: Talker) -> None:
    talk = await talker.talk(says("one"))

    answers = await asyncio.gather(
        *(talker.client.post(f"/conversations/{talk}/items", json={"items": [says("more")]}) for _ in range(4)),
        talker.client.delete(f"/conversations/{talk}"),
        *(talker.client.post(f"/conversations/{talk}/items", json={"items": [says("more")]}) for _ in range(4)),
    )

    assert {answer.status_code for answer in answers} <= {200, 404}
    async with running.database.reading() as session:
        assert (await session.execute(select(func.count()).select_from(item))).scalar_one() == 0


async def answered(running: Running, talk: str) -> None:
    """An answer in a conversation, with an event of its stream."""
    own = {"account_id": running.account_id}
    answer = {**own, "public_id": public_id("resp"), "kind": "response", "is_stored": True, "status": "completed"}
    async with running.database.begin() as session:
        number = (await session.execute(select(conversation.c.id).where(conversation.c.public_id == talk))).scalar_one()
        answer |= {"model": "echo", "conversation_id": number, "body": b"{}", "metadata": {}, "created_at": NOON}
        made = (await session.execute(insert(response).values(answer).returning(response.c.id))).scalar_one()
        await session.execute(
            insert(response_event).values({**own, "response_id": made, "first": 0, "last": 0, "frames": b""})
        )


async def test_what_is_anothers_is_answered_as_what_is_not_there(talker: Talker, stranger: Talker) -> None:
    talk = await talker.talk(says("secret"), metadata={"topic": "trees"})
    [kept] = await talker.items(talk)
    own = await stranger.talk()
    asked: list[tuple[str, str, Json]] = [
        ("GET", "", None),
        ("POST", "", {"metadata": {}}),
        ("DELETE", "", None),
        ("GET", "/items", None),
        ("POST", "/items", {"items": [says("mine")]}),
        ("GET", f"/items/{kept['id']}", None),
        ("DELETE", f"/items/{kept['id']}", None),
    ]

    for method, path, body in asked:
        told = [await stranger.ask(method, f"/{each}{path}", body, 404) for each in (talk, NOWHERE)]
        assert told[0] == told[1]
        assert (told[0]["error"]["code"], told[0]["error"]["param"]) == ("not_found", "conversation_id")
    for method in ("GET", "DELETE"):
        assert await stranger.refused(method, f"/{own}/items/{kept['id']}", status=404) == ("not_found", "item_id")
    assert texts(await talker.items(talk)) == ["secret"]


async def test_a_conversation_is_made_once_for_an_idempotency_key(talker: Talker) -> None:
    talker.client.headers["idempotency-key"] = "once"

    made = [await talker.talk(says("Hello")) for _ in range(2)]

    assert made[0] == made[1]
    assert len(await talker.items(made[0])) == 1
