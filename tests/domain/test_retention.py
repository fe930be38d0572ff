"""What is kept no longer goes, and what is kept stays, whoever uses it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from llm_backend.domain.clock import SystemClock
from llm_backend.domain.retention import Retention
from llm_backend.storage import conversations, retention
from llm_backend.storage.database import Database
from llm_backend.storage.tables import conversation, item, response, response_event
from tests.databases import ON_POSTGRESQL
from tests.domain.belongings import a_response, furnished, rows, violations
from tests.domain.parts import Parts
from tests.storage.records import NOON

DAYS = 30
NOW = SystemClock().now()
OLD, RECENT = NOW - timedelta(days=DAYS + 1), NOW - timedelta(days=DAYS - 1)


@pytest.fixture
async def alice(parts: Parts) -> int:
    """An account for which things are kept for so many days."""
    account, _ = await parts.alice()
    await parts.accounts.update(account.id, {"retention_days": DAYS})
    return account.id


async def keep(database: Database, account_id: int, name: str, said_at: list[datetime], **different: Any) -> int:
    """A conversation in which something was said at these times: its number."""
    usual = {
        "public_id": name,
        "account_id": account_id,
        "kind": "conversation",
        "settings": b"{}",
        "next_sequence": len(said_at),
        "created_at": OLD,
    }
    async with database.begin() as session:
        made = insert(conversation).values(usual | different).returning(conversation.c.id)
        number: int = (await session.execute(made)).scalar_one()
        for sequence, moment in enumerate(said_at):
            message = {
                "public_id": f"msg_{name}_{sequence}",
                "conversation_id": number,
                "account_id": account_id,
                "kind": "message",
                "status": "completed",
                "content": b'"hello"',
                "sequence": sequence,
                "created_at": moment,
            }
            await session.execute(insert(item).values(message))
    return number


async def answer(database: Database, account_id: int, name: str, **different: Any) -> int:
    """A response with one piece of its events: its number."""
    async with database.begin() as session:
        made = insert(response).values(a_response(account_id, name) | different).returning(response.c.id)
        number: int = (await session.execute(made)).scalar_one()
        event = {"response_id": number, "account_id": account_id, "first": 0, "last": 1, "frames": b"data"}
        await session.execute(insert(response_event).values(event))
    return number


async def names(database: Database, table: str = "conversation") -> list[str]:
    return [name for (name,) in await rows(database, table, "public_id")]


async def test_events_go_when_they_are_told_no_longer_and_with_them_what_was_not_stored(parts: Parts) -> None:
    account, _ = await parts.alice()
    over, later = {"events_until": OLD}, {"events_until": NOW + timedelta(hours=1)}
    kept = [
        await answer(parts.database, account.id, "stored", **over),
        await answer(parts.database, account.id, "told", is_stored=False, **later),
        await answer(parts.database, account.id, "made", is_stored=False, **over, lease_until=NOW),
    ]
    await answer(parts.database, account.id, "gone", is_stored=False, **over)

    await Retention(parts.database).tidy()

    assert await names(parts.database, "response") == ["stored", "told", "made"]
    assert [number for (number,) in await rows(parts.database, "response_event", "response_id")] == kept[1:]
    assert [until for (until,) in await rows(parts.database, "response", "events_until")] == [
        None,
        later["events_until"],
        OLD,
    ]


async def test_without_days_all_of_it_stays(parts: Parts) -> None:
    account, _ = await parts.alice()
    chat = await keep(parts.database, account.id, "a", [NOON], kind="chat", created_at=NOON)
    await answer(parts.database, account.id, "r", conversation_id=chat)

    await Retention(parts.database).tidy()

    assert [len(await rows(parts.database, table)) for table in ("conversation", "item", "response")] == [1, 1, 1]


async def test_what_an_account_does_not_want_kept_any_longer_goes(parts: Parts, alice: int) -> None:
    for kind in ("chat", "conversation", "response", "completion"):
        old = await keep(parts.database, alice, f"old {kind}", [OLD, OLD], kind=kind)
        recent = await keep(parts.database, alice, f"recent {kind}", [OLD, RECENT], kind=kind)
        await answer(parts.database, alice, f"old {kind}", conversation_id=old, created_at=OLD)
        await answer(parts.database, alice, f"recent {kind}", conversation_id=recent, created_at=RECENT)
    await answer(parts.database, alice, "old in a recent one", conversation_id=recent, created_at=OLD)

    await Retention(parts.database).tidy()

    left = [f"recent {kind}" for kind in ("chat", "conversation", "response", "completion")]
    assert await names(parts.database) == await names(parts.database, "response") == left
    assert len(await rows(parts.database, "item")) == 8
    assert len(await rows(parts.database, "response_event")) == 4


async def test_a_conversation_that_was_changed_lately_stays(parts: Parts, alice: int) -> None:
    await keep(parts.database, alice, "renamed", [OLD], updated_at=RECENT)
    await keep(parts.database, alice, "renamed long ago", [OLD], updated_at=OLD)
    await keep(parts.database, alice, "new and empty", [], created_at=RECENT)
    await keep(parts.database, alice, "empty", [])

    await Retention(parts.database).tidy()

    assert await names(parts.database) == ["renamed", "new and empty"]


async def test_what_another_conversation_goes_on_from_stays_as_long_as_that_one(parts: Parts, alice: int) -> None:
    await keep(parts.database, alice, "first", [OLD])
    await keep(parts.database, alice, "second", [OLD], parent_id="first", parent_sequence=1)
    third = await keep(parts.database, alice, "third", [RECENT], parent_id="second", parent_sequence=1)

    await Retention(parts.database).tidy()
    stayed = await names(parts.database)
    async with parts.database.begin() as session:
        await session.execute(update(item).where(item.c.conversation_id == third).values(created_at=OLD))
    await Retention(parts.database).tidy()

    assert stayed == ["first", "second", "third"]
    assert await names(parts.database) == []


async def test_what_is_being_made_is_left_to_whoever_makes_it(parts: Parts, alice: int) -> None:
    where = await keep(parts.database, alice, "a", [OLD])
    number = await answer(parts.database, alice, "r", conversation_id=where, created_at=OLD, lease_until=NOW)

    await Retention(parts.database).tidy()
    stayed = await names(parts.database), await names(parts.database, "response")
    async with parts.database.begin() as session:
        await session.execute(update(response).where(response.c.id == number).values(lease_until=None))
    await Retention(parts.database).tidy()

    assert stayed == (["a"], ["r"])
    assert await names(parts.database) == await names(parts.database, "response") == []


async def test_of_an_account_that_wants_nothing_kept_the_books_stay(parts: Parts) -> None:
    account_id = await furnished(parts)
    await furnished(parts, "bob")
    books = [await rows(parts.database, table) for table in ("usage_record", "usage_day", "budget_period")]
    await parts.accounts.update(account_id, {"retention_days": 0})

    await Retention(parts.database).tidy()

    for table in ("conversation", "item", "response", "response_event"):
        assert await rows(parts.database, table, "account_id") == [(account_id + 1,)]
    assert [await rows(parts.database, table) for table in ("usage_record", "usage_day", "budget_period")] == books
    assert await violations(parts.database) == []


async def test_more_than_is_taken_away_at_once_goes_too(
    parts: Parts, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("RESPONSES_AT_ONCE", "CONVERSATIONS_AT_ONCE", "ITEMS_AT_ONCE"):
        monkeypatch.setattr(retention, limit, 2)
    for number in range(5):
        where = await keep(parts.database, alice, f"{number}", [OLD] * 3)
        await answer(parts.database, alice, f"a{number}", conversation_id=where, created_at=RECENT, events_until=OLD)
        await answer(parts.database, alice, f"b{number}", created_at=OLD)

    await Retention(parts.database).tidy()

    assert [await rows(parts.database, table) for table in ("conversation", "item", "response")] == [[], [], []]


async def test_nobody_finds_or_writes_to_what_has_expired_and_what_was_begun_is_ended(parts: Parts, alice: int) -> None:
    number = await keep(parts.database, alice, "a", [OLD], kind="chat")
    async with parts.database.begin() as session:
        assert await retention.expire(session, alice, NOW) == 1

    async with parts.database.begin() as session:
        found = await conversations.find(session, alice, "chat", number)
        first = await conversations.advance(session, alice, number, 1)

    assert (found, first) == (None, None)
    assert await violations(parts.database) == []
    await Retention(parts.database).tidy()
    assert await rows(parts.database, "item") == await rows(parts.database, "conversation") == []


@ON_POSTGRESQL
async def test_a_conversation_that_somebody_writes_to_at_this_moment_stays(parts: Parts, alice: int) -> None:
    number = await keep(parts.database, alice, "a", [OLD])
    async with parts.database.begin() as session:
        await conversations.advance(session, alice, number, 1)
        async with asyncio.timeout(10):
            await Retention(parts.database).tidy()

    assert await names(parts.database) == ["a"]
