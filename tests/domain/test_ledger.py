"""The ledger: what it lets through, what it charges, and that both happen once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.entries import Beside, Done, Granted, Void
from llm_backend.errors import BudgetExhausted, Unauthenticated
from llm_backend.storage import accounts
from llm_backend.storage.accounts import Account
from llm_backend.storage.database import Database
from llm_backend.storage.tables import budget, budget_period, webhook_event
from tests.domain.booked import Books
from tests.storage.records import NOON

BROKEN: Any = {"status": "broken"}
"""What no database takes."""


async def test_what_is_reserved_is_held_back_until_it_is_settled_at_what_was_used(database: Database) -> None:
    books = await Books.of(database, token_limit=100)

    attempt = await books.reserved(10)
    held = await books.sums()
    await books.ledger.enter(books.settles(attempt))

    assert held == (0, 10)
    assert await books.sums() == (5, 0)
    assert await books.states() == ["settled"]
    [record] = await books.records()
    assert (record.total_tokens, record.basis, record.overrun) == (5, "reported", False)
    assert await books.day() == (1, 5)


async def test_of_two_hundred_that_race_for_the_last_hundred_tokens_as_many_get_some_as_fit(database: Database) -> None:
    # Row 60
    books = await Books.of(database, token_limit=100)
    entries = [books.asks(9) for _ in range(200)]

    outcomes = await asyncio.gather(*(books.ledger.reserve(entry) for entry in entries), return_exceptions=True)

    granted = [outcome for outcome in outcomes if isinstance(outcome, Granted)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, BudgetExhausted)]
    assert (len(granted), len(refused)) == (11, 189)
    # Only running requests stand in the way.
    assert all(refusal.should_retry for refusal in refused)
    assert await books.sums() == (0, 99)


async def test_what_the_budget_itself_does_not_allow_is_refused_for_good(database: Database) -> None:
    books = await Books.of(database, token_limit=100)
    await books.ledger.enter(books.settles(await books.reserved(100), 45, 50))

    with pytest.raises(BudgetExhausted) as refused:
        await books.ledger.reserve(books.asks(10))

    assert refused.value.should_retry is False
    assert str(refused.value) == "This request may come to 10 tokens; 5 of 100 are left to this account."
    assert refused.value.headers["x-budget-remaining-tokens"] == "5"
    assert await books.sums() == (95, 0)


async def test_settled_twice_is_charged_once(database: Database) -> None:
    books = await Books.of(database)
    attempt = await books.reserved()

    await asyncio.gather(*(books.ledger.enter(books.settles(attempt)) for _ in range(20)))

    assert await books.sums() == (5, 0)
    assert len(await books.records()) == 1


async def test_one_entry_that_breaks_the_transaction_breaks_none_of_those_beside_it(database: Database) -> None:
    books = await Books.of(database, token_limit=1000)
    attempts = [await books.reserved() for _ in range(9)]
    entries = [books.settles(attempt) for attempt in attempts]
    entries[4] = entries[4]._replace(record=entries[4].record._replace(**BROKEN))

    outcomes = await asyncio.gather(*map(books.ledger.enter, entries), return_exceptions=True)

    assert [isinstance(outcome, Done) for outcome in outcomes] == [index != 4 for index in range(9)]
    assert await books.sums() == (40, 10)


async def test_who_else_writes_has_a_turn_however_many_entries_come(database: Database) -> None:
    books = await Books.of(database)
    others: list[Account] = []
    most = 50

    async def keep_coming(later: int) -> None:
        await ticks(later)
        for _ in range(most):
            if not others:
                await books.ledger.enter(books.settles(await books.reserved()))

    async def write(later: int) -> None:
        await ticks(later)
        async with database.begin() as session:
            others.append(await accounts.add(session, "bob", NOON))

    # Half of them come while the transaction of the others runs: there is always somebody who waits.
    await asyncio.gather(*(keep_coming(later) for later in (0, 4) * 4), write(2))

    assert len(await books.records()) < most


async def test_what_is_written_with_a_settlement_is_written_with_it_or_not_at_all(database: Database) -> None:
    books = await Books.of(database)
    attempt = await books.reserved()

    async def fails(session: AsyncSession) -> None:
        await accounts.add(session, "written along", NOON)
        raise ValueError("poisoned")

    with pytest.raises(ValueError, match="poisoned"):
        await books.ledger.enter(books.settles(attempt)._replace(beside=Beside(fails)))

    assert await books.sums() == (0, 10)
    async with database.reading() as session:
        assert await accounts.find_active(session, "written along") is None


async def test_a_reservation_that_is_voided_leaves_nothing(database: Database) -> None:
    books = await Books.of(database, token_limit=10)
    attempt = await books.reserved(10)

    await books.ledger.enter(Void(attempt, books.account.id))
    await books.ledger.enter(Void(attempt, books.account.id))

    assert await books.sums() == (0, 0)
    assert await books.records() == []
    assert await books.reserved(10)


async def test_the_account_of_a_closed_door_reserves_nothing(database: Database) -> None:
    books = await Books.of(database)
    async with database.begin() as session:
        await accounts.close(session, books.account.id)

    with pytest.raises(Unauthenticated):
        await books.ledger.reserve(books.asks())

    assert await books.states() == []


async def test_more_than_was_reserved_is_charged_and_flagged(database: Database) -> None:
    # Row 22
    books = await Books.of(database, token_limit=10)

    await books.ledger.enter(books.settles(await books.reserved(10), 5, 8))

    [record] = await books.records()
    assert record.overrun
    assert await books.sums() == (13, 0)


async def test_what_overshoots_is_let_in_with_anything_left_and_refused_with_nothing(database: Database) -> None:
    books = await Books.of(database, token_limit=10)
    entry = books.asks(1000)
    overshoots = entry._replace(ask=entry.ask._replace(overshoots=True))

    granted = await books.ledger.reserve(overshoots)
    await books.ledger.enter(books.settles(entry.attempt_id, 400, 400))
    late = books.asks(1000)
    with pytest.raises(BudgetExhausted) as refused:
        await books.ledger.reserve(late._replace(ask=late.ask._replace(overshoots=True)))

    assert (granted.grant.reserved_tokens, granted.grant.output_tokens) == (10, 667)
    assert await books.sums() == (800, 0)
    assert refused.value.should_retry is False


async def test_what_may_be_shortened_gets_what_is_left(database: Database) -> None:
    books = await Books.of(database, token_limit=50)
    entry = books.asks(1000)
    flexible = entry._replace(ask=entry.ask._replace(prompt_tokens=20, choices=2, least_output_tokens=1))

    granted = await books.ledger.reserve(flexible)

    assert (granted.grant.output_tokens, granted.grant.reserved_tokens) == (15, 50)


async def test_every_ceiling_has_to_allow_it_or_none_is_touched(database: Database) -> None:
    # Row 61
    books = await Books.of(database, token_limit=100)
    await _bounds(books, "model:echo", 20)

    first = await books.ledger.reserve(books.asks(15))
    with pytest.raises(BudgetExhausted):
        await books.ledger.reserve(books.asks(15))
    elsewhere = await books.ledger.reserve(books.asks(15, model="another"))

    assert first.grant.reserved_tokens == elsewhere.grant.reserved_tokens == 15
    async with database.reading() as session:
        rows = await session.execute(select(budget_period.c.reserved_tokens).order_by(budget_period.c.id))
        assert list(rows.scalars()) == [30, 15]


async def test_a_charge_belongs_to_the_period_of_its_reservation_although_the_next_has_begun(
    database: Database,
) -> None:
    books = await Books.of(database, token_limit=10, renewal="day")
    attempt = await books.reserved(10)
    async with database.begin() as session:
        held = update(budget_period).where(budget_period.c.reserved_tokens > 0)
        await session.execute(held.values(starts_at=NOON + timedelta(days=1), ends_at=NOON + timedelta(days=2)))

    later = await books.reserved(10)
    await books.ledger.enter(books.settles(attempt))

    async with database.reading() as session:
        columns = budget_period.c.used_tokens, budget_period.c.reserved_tokens
        rows = await session.execute(
            select(*columns).where(columns[0] + columns[1] > 0).order_by(budget_period.c.starts_at)
        )
        assert [tuple(row) for row in rows] == [(5, 0), (0, 10)]
    assert later != attempt


async def test_passing_the_soft_limit_is_told_once(database: Database) -> None:
    books = await Books.of(database, token_limit=10)

    for prompt, completion in ((2, 3), (1, 2), (1, 1)):
        await books.ledger.enter(books.settles(await books.reserved(1), prompt, completion))

    async with database.reading() as session:
        events = list((await session.execute(select(webhook_event.c.payload))).scalars())
    assert len(events) == 1
    assert b'"currency":"tokens","limit":10,"used":8' in events[0]


async def _bounds(books: Books, subject: str, tokens: int) -> None:
    async with books.database.begin() as session:
        made = budget.insert().values(account_id=books.account.id, subject=subject, token_limit=tokens, created_at=NOON)
        await session.execute(made)


async def ticks(count: int) -> None:
    """Let everyone who can go on do so, so many times."""
    for _ in range(count):
        await asyncio.sleep(0)
