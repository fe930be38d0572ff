"""A server that hung may commit what was given up: what was reserved so is let go of all the same."""

import asyncio

import pytest
from asyncpg import UniqueViolationError
from sqlalchemy import text

from llm_backend.domain import budgets
from llm_backend.domain.entries import Granted, Void
from llm_backend.domain.transaction import Transaction
from llm_backend.errors import DatabaseUnavailable
from llm_backend.storage import accounts, invariants
from llm_backend.storage import budgets as stored_budgets
from llm_backend.storage.database import Database, Limits
from llm_backend.storage.driver import run
from llm_backend.storage.ledger import statements
from tests.databases import ON_POSTGRESQL
from tests.domain.booked import TERMS, Books
from tests.storage.records import NOON

WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


@ON_POSTGRESQL
async def test_a_reservation_that_is_committed_after_it_was_given_up_is_let_go_of(database: Database) -> None:
    # Row 52
    books = await Books.of(database, token_limit=100)
    entry = books.asks(10)
    async with database.begin() as session:
        await run(session, Transaction(statements(is_sqlite=False), TERMS, [entry]).plan())

        voiding = asyncio.create_task(books.ledger.enter(Void(entry.attempt_id, books.account.id)))
        await waiting_or_done(database, voiding)
    await voiding

    assert await books.states() == ["voided"]
    assert await books.sums() == (0, 0)


async def test_what_was_never_reserved_is_given_up_once_and_for_all(database: Database) -> None:
    books = await Books.of(database, token_limit=100)
    entry = books.asks(10)

    for _ in range(2):
        await books.ledger.enter(Void(entry.attempt_id, books.account.id))

    assert await books.states() == ["voided"]
    assert await books.sums() == (0, 0)
    async with database.reading() as session:
        assert await invariants.violations(session) == []


@ON_POSTGRESQL
async def test_a_statement_that_comes_when_it_was_given_up_reserves_nothing(database: Database) -> None:
    # Row 52
    books = await Books.of(database, token_limit=100)
    await books.ledger.enter(books.settles(await books.reserved(10)))
    entry = books.asks(10)
    assert books.ledger._memory is not None
    known = books.ledger._memory.take([entry])
    assert known is not None
    on_its_way = Transaction(statements(is_sqlite=False), TERMS, [entry]).forecast(known)

    await books.ledger.enter(Void(entry.attempt_id, books.account.id))
    with pytest.raises(UniqueViolationError):
        await database.write_one(on_its_way)

    assert await books.states() == ["settled", "voided"]
    assert await books.sums() == (5, 0)


@ON_POSTGRESQL
async def test_whose_sums_somebody_holds_waits_for_them_and_nobody_else_does(database: Database) -> None:
    impatient = Database(database.url, Limits(lock_seconds=0.2))
    books = await Books.of(impatient, token_limit=100)
    async with impatient.begin() as session:
        neighbour = await accounts.add(session, "bob", NOON)
        await budgets.begin(session, neighbour, {}, NOON)
    blocked, free = books.asks(10), books.asks(10, account_id=neighbour.id)

    async with database.begin() as session:
        [whole] = await stored_budgets.of_account(session, books.account.id)
        await stored_budgets.period_at(session, whole.id, NOON)
        outcomes = await books.ledger._outcomes([blocked, free])
    await impatient.close()

    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable, Granted]


async def waiting_or_done(database: Database, voiding: asyncio.Task[object]) -> None:
    """Returns when it waits for another transaction, or has not had to."""
    while not voiding.done():
        async with database.reading() as session:
            if (await session.execute(WAITS)).scalar_one():
                return
