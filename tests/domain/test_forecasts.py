"""On PostgreSQL an entry is decided on what the process remembers, and written where that holds; else as ever."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from asyncpg.prepared_stmt import PreparedStatement
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.entries import Granted, Outcome, Settle
from llm_backend.domain.ledger import Ledger
from llm_backend.errors import BudgetExhausted, Unauthenticated
from llm_backend.storage import accounts, invariants, keys
from llm_backend.storage.database import Database
from llm_backend.storage.invariants import Violation
from llm_backend.storage.ledger_rows import Abandoned
from llm_backend.storage.tables import api_key, budget, budget_period, reservation, webhook_event
from tests.databases import ON_POSTGRESQL
from tests.domain.booked import TERMS, Books
from tests.domain.test_late_commits import waiting_or_done
from tests.storage.records import NOON

pytestmark = ON_POSTGRESQL

KEY_ID = "abcdefghijkl"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the driver is given, a round trip each."""
    given: list[str] = []
    execute, fetch = asyncpg.Connection.execute, PreparedStatement.fetch

    async def executed(self: Any, text: str, *values: Any, **options: Any) -> Any:
        given.append(text)
        return await execute(self, text, *values, **options)

    async def fetched(self: Any, *values: Any, **options: Any) -> Any:
        given.append(self.get_query())
        return await fetch(self, *values, **options)

    monkeypatch.setattr(asyncpg.Connection, "execute", executed)
    monkeypatch.setattr(PreparedStatement, "fetch", fetched)
    return given


async def keyed(database: Database, **rules: Any) -> Books:
    """An account with a key, of which the ledger knows the budgets."""
    books = await Books.of(database, **rules)
    key = {"name": "", "last4": "0000", "digest": b"", "pepper_version": 1, "scopes": [], "created_at": NOON}
    async with database.begin() as session:
        await session.execute(insert(api_key).values(public_id=KEY_ID, account_id=books.account.id, **key))
    await books.ledger.enter(books.settles(await books.reserved(key_id=KEY_ID), key_id=KEY_ID))
    return books


def beside(books: Books) -> Ledger:
    """Another process's."""
    return Ledger(books.database, replace(TERMS, owner="another process"))


async def wrong(database: Database) -> list[Violation]:
    async with database.reading() as session:
        return await invariants.violations(session)


@pytest.mark.parametrize("key_id", [None, KEY_ID])
async def test_a_reservation_and_its_settlement_are_a_round_trip_each(
    database: Database, asked: list[str], key_id: str | None
) -> None:
    books = await keyed(database, token_limit=1000)
    asked.clear()

    attempts = [await books.reserved(key_id=key_id) for _ in range(3)]
    reserved = len(asked)
    for attempt in attempts:
        await books.ledger.enter(books.settles(attempt, key_id=key_id))

    assert (reserved, len(asked)) == (3, 6)
    assert await books.sums() == (4 * 5, 0)
    assert await wrong(database) == []


async def test_the_balance_is_that_of_the_database_and_not_what_was_remembered(database: Database) -> None:
    books = await keyed(database, token_limit=1000)
    another = replace(books, ledger=beside(books))
    await another.reserved(100)

    granted = await books.ledger.reserve(books.asks(10))
    assert granted.balance.tokens is not None
    done = await books.ledger.enter(books.settles(await another.reserved(100)))

    assert granted.balance.tokens.remaining == 1000 - 5 - 100 - 10
    assert done.balance is not None
    assert done.balance.tokens is not None
    assert done.balance.tokens.remaining == 1000 - 5 - 100 - 10 - 5


async def test_what_others_have_taken_is_not_granted_and_the_refusal_tells_what_is_left(database: Database) -> None:
    books = await keyed(database, token_limit=105)
    await replace(books, ledger=beside(books)).reserved(95)

    with pytest.raises(BudgetExhausted, match="may come to 10 tokens; 5 of 105 are left"):
        await books.ledger.reserve(books.asks(10))
    assert isinstance(await books.ledger.reserve(books.asks(5)), Granted)
    assert await books.sums() == (5, 100)
    assert await wrong(database) == []


async def test_two_processes_grant_what_there_is_and_no_more(database: Database) -> None:
    # Rows 60, 61
    books = await keyed(database, token_limit=5 + 200)
    ledgers = [books.ledger, beside(books), beside(books)]
    for each in ledgers:
        await each.enter(books.settles((await _reserve(each, books, 9))[0], 0, 0, key_id=KEY_ID))

    async def uses(ledger: Ledger) -> int:
        attempt, outcome = await _reserve(ledger, books, 9)
        if not isinstance(outcome, Granted):
            assert isinstance(outcome, BudgetExhausted)
            return 0
        await ledger.enter(books.settles(attempt, 4, 5, key_id=KEY_ID))
        return 9

    used = await asyncio.gather(*(uses(ledgers[number % 3]) for number in range(120)))

    assert sum(used) <= 200
    assert await books.sums() == (5 + sum(used), 0)
    # Those who were refused met others who ran; what they left behind is there for the next.
    assert 200 - sum(used) < 9 or isinstance((await _reserve(ledgers[0], books, 9))[1], Granted)
    assert await wrong(database) == []


async def test_a_soft_limit_that_others_brought_near_is_told_once(database: Database) -> None:
    books = await keyed(database, token_limit=100)
    another = replace(books, ledger=beside(books))
    running = await books.reserved(20)
    await another.ledger.enter(books.settles(await another.reserved(60), 30, 30))

    told = []
    for settlement in (books.settles(running, 5, 10), books.settles(await another.reserved(5))):
        await books.ledger.enter(settlement)
        async with database.reading() as session:
            told.append(len(list(await session.execute(select(webhook_event.c.id)))))

    assert told == [1, 1]
    assert await books.sums() == (5 + 60 + 15 + 5, 0)


async def test_who_settles_what_was_swept_meanwhile_adds_the_truth(database: Database) -> None:
    # Row 64
    books = await keyed(database)
    attempt = await books.reserved(30)
    async with database.begin() as session:
        await session.execute(update(reservation).values(lease_until=NOON))

    def crashed(left: Abandoned) -> Settle:
        return books.settles(left.attempt_id, 10, 0, basis="crash")

    assert await beside(books).sweep(crashed) == 1
    await books.ledger.enter(books.settles(attempt, 2, 3))

    assert sorted(record.kind for record in await books.records()) == ["adjustment", "charge", "charge"]
    assert await books.sums() == (5 + 5, 0)
    assert await wrong(database) == []


async def _revokes(session: AsyncSession, _books: Books) -> None:
    await keys.revoke(session, KEY_ID)


async def _closes(session: AsyncSession, books: Books) -> None:
    await accounts.close(session, books.account.id)


async def _lowers(session: AsyncSession, _books: Books) -> None:
    await session.execute(update(budget_period).values(token_limit=9))


@pytest.mark.parametrize(
    ("change", "refusal"), [(_revokes, Unauthenticated), (_closes, Unauthenticated), (_lowers, BudgetExhausted)]
)
async def test_nothing_is_reserved_by_who_waited_while_the_right_to_it_was_taken_away(
    database: Database, change: Callable[[AsyncSession, Books], Awaitable[None]], refusal: type[Exception]
) -> None:
    books = await keyed(database, token_limit=1000)
    async with database.begin() as session:
        await accounts.lock_periods(session, books.account.id)
        await change(session, books)
        reserving = asyncio.create_task(books.ledger.reserve(books.asks(key_id=KEY_ID)))
        await waiting_or_done(database, reserving)
        assert not reserving.done()

    with pytest.raises(refusal):
        await reserving
    assert await books.sums() == (5, 0)


async def test_a_budget_that_is_new_bounds_who_knew_of_none(database: Database) -> None:
    books = await keyed(database)
    made = {"account_id": books.account.id, "subject": f"key:{KEY_ID}", "token_limit": 20, "created_at": NOON}
    async with database.begin() as session:
        await session.execute(insert(budget).values(**made))

    await books.reserved(15, key_id=KEY_ID)

    with pytest.raises(BudgetExhausted, match="5 of 20 are left to this key"):
        await books.ledger.reserve(books.asks(10, key_id=KEY_ID))


async def test_a_period_that_is_over_is_followed_by_the_next_and_keeps_what_was_reserved_on_it(
    database: Database,
) -> None:
    books = await keyed(database, token_limit=100, renewal="day")
    running = await books.reserved(50)
    async with database.begin() as session:
        over = update(budget_period).where(budget_period.c.ends_at > func.now())
        await session.execute(over.values(ends_at=func.clock_timestamp()))

    await books.reserved(30)
    assert await books.sums() == (0, 30)
    await books.ledger.enter(books.settles(running, 20, 20))
    assert await books.sums() == (0, 30)
    assert await wrong(database) == []


async def test_what_breaks_one_entry_breaks_none_of_those_beside_it(database: Database, asked: list[str]) -> None:
    books = await keyed(database, token_limit=1000)
    attempts = [await books.reserved() for _ in range(5)]
    entries = [books.settles(attempt) for attempt in attempts]
    entries[2] = books.settles(attempts[2], status="broken")

    outcomes = await asyncio.gather(*(books.ledger.enter(each) for each in entries), return_exceptions=True)

    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, False, True, False, False]
    await books.ledger.enter(books.settles(attempts[2]))
    assert await books.sums() == (6 * 5, 0)
    assert await wrong(database) == []


async def test_who_waits_for_another_waits_within_one_round_trip(database: Database, asked: list[str]) -> None:
    books = await keyed(database)
    async with database.begin() as session:
        await session.execute(select(budget_period.c.id).with_for_update())
        asked.clear()
        reserving = asyncio.create_task(books.ledger.reserve(books.asks()))
        await waiting_or_done(database, reserving)
        held = [text for text in asked if "locked_sums" in text]
        await session.execute(update(budget_period).values(used_tokens=7))

    assert isinstance(await reserving, Granted)
    assert len(held) == len([text for text in asked if "locked_sums" in text]) == 1
    assert await books.sums() == (7, 10)


async def _reserve(ledger: Ledger, books: Books, tokens: int) -> tuple[str, Outcome]:
    entry = books.asks(tokens, key_id=KEY_ID)
    try:
        return entry.attempt_id, await ledger.reserve(entry)
    except BudgetExhausted as refusal:
        return entry.attempt_id, refusal
