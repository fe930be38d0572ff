"""Who is alone is answered at once, as anybody would be."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from llm_backend.domain.entries import Done, Granted, Settle, Void
from llm_backend.errors import BudgetExhausted, DatabaseUnavailable, Unauthenticated
from llm_backend.storage.database import Database
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.domain.booked import Books
from tests.domain.test_ledger import BROKEN
from tests.storage.test_brief import another

T = TypeVar("T")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns, which waits for nothing. Raises what it does."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise AssertionError("It waits.")


async def _books(database: Database, **rules: Any) -> Books:
    books = await Books.of(database, **rules)
    await books.ledger.enter(Void(await books.reserved(), books.account.id))
    await database.settled()
    return books


async def _settlement(books: Books) -> Settle:
    """Of a reservation, when nobody else has anything to write."""
    attempt = await books.reserved()
    await books.database.settled()
    return books.settles(attempt)


@ON_SQLITE
async def test_it_is_reserved_and_settled_without_a_turn_of_the_loop(database: Database) -> None:
    books = await _books(database, token_limit=100)
    entry = books.asks(10)

    assert isinstance(at_once(books.ledger.reserve(entry, is_alone=True)), Granted)
    assert await books.sums() == (0, 10)
    assert isinstance(await books.ledger.enter(books.settles(entry.attempt_id), is_alone=True), Done)

    assert await books.sums() == (5, 0)
    assert await books.states() == ["voided", "settled"]


@ON_SQLITE
async def test_settled_twice_is_charged_once(database: Database) -> None:
    books = await _books(database)
    settlement = await _settlement(books)

    for _ in range(3):
        at_once(books.ledger.enter(settlement, is_alone=True))

    assert await books.sums() == (5, 0)
    assert len(await books.records()) == 1


@ON_SQLITE
async def test_what_is_refused_is_refused_alike(database: Database) -> None:
    books = await _books(database, token_limit=100)

    with pytest.raises(BudgetExhausted) as alone:
        at_once(books.ledger.reserve(books.asks(101), is_alone=True))
    with pytest.raises(BudgetExhausted) as among_others:
        await books.ledger.reserve(books.asks(101))
    await database.settled()
    with pytest.raises(Unauthenticated):
        at_once(books.ledger.reserve(books.asks(key_id="of nobody"), is_alone=True))

    assert (str(alone.value), alone.value.headers) == (str(among_others.value), among_others.value.headers)
    assert await books.sums() == (0, 0)


@ON_SQLITE
async def test_an_entry_that_no_database_takes_leaves_nothing_and_hinders_nobody(database: Database) -> None:
    books = await _books(database)
    settlement = await _settlement(books)

    with pytest.raises(Exception, match="CHECK constraint failed"):
        at_once(books.ledger.enter(settlement._replace(record=settlement.record._replace(**BROKEN)), is_alone=True))
    await books.ledger.enter(settlement, is_alone=True)

    assert await books.sums() == (5, 0)


@ON_SQLITE
async def test_what_the_disk_refuses_is_told_as_a_database_that_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = await _books(database)
    settlement = await _settlement(books)
    monkeypatch.setattr(database, "write_at_once", _away)

    with pytest.raises(DatabaseUnavailable):
        at_once(books.ledger.enter(settlement, is_alone=True))


def _away(_plan: object) -> None:
    raise DatabaseUnavailable


@ON_SQLITE
async def test_who_is_alone_but_for_another_process_waits_for_its_turn(database: Database) -> None:
    books = await _books(database)
    settlement = await _settlement(books)
    with another(database) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AssertionError, match="It waits"):
            at_once(books.ledger.enter(settlement, is_alone=True))
        other.execute("ROLLBACK")
    await books.ledger.enter(settlement, is_alone=True)

    assert await books.sums() == (5, 0)


@ON_POSTGRESQL
async def test_on_a_server_everybody_waits(database: Database) -> None:
    books = await _books(database)
    entry = books.asks(10)

    assert isinstance(await books.ledger.reserve(entry, is_alone=True), Granted)
    assert isinstance(await books.ledger.enter(books.settles(entry.attempt_id), is_alone=True), Done)

    assert await books.sums() == (5, 0)


@ON_POSTGRESQL
async def test_who_comes_while_someone_who_was_alone_waits_is_entered_behind_them(database: Database) -> None:
    books = await _books(database)
    first = asyncio.create_task(books.ledger.reserve(books.asks(10), is_alone=True))
    await asyncio.sleep(0)

    others = await asyncio.gather(*(books.ledger.reserve(books.asks(10)) for _ in range(3)))
    again = await books.ledger.reserve(books.asks(10), is_alone=True)

    assert {type(each) for each in (await first, *others, again)} == {Granted}
    assert await books.sums() == (0, 50)
