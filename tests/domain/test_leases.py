"""What becomes of reservations whose process died, was slow, or knows nothing of them any more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from llm_backend.domain.backlog import Backlog
from llm_backend.domain.clock import SystemClock, uuid7
from llm_backend.domain.entries import Entry, Settle
from llm_backend.domain.ledger import Ledger
from llm_backend.domain.metering import Metering
from llm_backend.domain.prices import Prices
from llm_backend.domain.usage import Price, Units, Usage
from llm_backend.domain.work import Details, Ending
from llm_backend.metrics import Metrics
from llm_backend.storage import accounts
from llm_backend.storage.database import Database
from llm_backend.storage.ledger_rows import Abandoned
from llm_backend.storage.tables import reservation
from tests.domain.booked import TERMS, Books
from tests.storage.records import NOON


async def test_what_a_dead_process_left_is_charged_at_what_was_seen(database: Database) -> None:
    # Rows 47, 64
    books = await Books.of(database)
    attempt = await books.reserved(30)
    await books.ledger.beat([attempt], {attempt: 4})
    await _outlives(database)

    swept = [await books.ledger.sweep(_crashed(books)) for _ in range(2)]

    assert swept == [1, 0]
    assert await books.sums() == (14, 0)
    [record] = await books.records()
    assert (record.basis, record.prompt_tokens, record.completion_tokens) == ("crash", 10, 4)


async def test_the_truth_that_comes_after_the_sweep_is_charged_in_the_end(database: Database) -> None:
    # Row 64
    books = await Books.of(database)
    attempt = await books.reserved(30)
    await _outlives(database)
    await books.ledger.sweep(_crashed(books))

    for _ in range(2):
        await books.ledger.enter(books.settles(attempt, 2, 3))

    assert await books.sums() == (5, 0)
    assert [record.kind for record in await books.records()] == ["charge", "adjustment"]
    assert await books.day() == (1, 5)


async def test_who_is_alive_keeps_what_it_runs(database: Database) -> None:
    books = await Books.of(database)
    attempt = await books.reserved(30)
    await _outlives(database)

    await books.ledger.beat([attempt], {})
    swept = await books.ledger.sweep(_crashed(books))

    assert swept == 0
    assert await books.states() == ["dispatched"]


async def test_what_nobody_knows_any_more_is_settled_although_its_process_lives(database: Database) -> None:
    books = await Books.of(database)
    known, forgotten = await books.reserved(30), await books.reserved(30)
    await _outlives(database)

    await books.ledger.beat([known], {})
    swept = await books.ledger.sweep(_crashed(books))

    assert swept == 1
    assert [record.attempt_id for record in await books.records()] == [forgotten]


async def test_alone_on_its_database_a_process_settles_what_its_predecessors_left_at_once(database: Database) -> None:
    books = await Books.of(database)
    await books.reserved(30)
    successor = Ledger(database, replace(TERMS, owner="the next process"))

    assert await successor.sweep(_crashed(books), others=True) == 1
    assert await books.states() == ["settled"]


async def test_the_beat_tells_what_is_no_longer_allowed(database: Database) -> None:
    # Row 62
    books = await Books.of(database)
    attempt = await books.reserved()
    before = await books.ledger.beat([attempt], {})
    async with database.begin() as session:
        await accounts.close(session, books.account.id)

    assert (before, await books.ledger.beat([attempt], {})) == (set(), {attempt})


async def test_what_was_settled_long_ago_is_forgotten_and_what_runs_is_not(database: Database) -> None:
    books = await Books.of(database)
    await books.ledger.enter(books.settles(await books.reserved(attempt_id=uuid7(NOON))))
    running = await books.reserved(attempt_id=uuid7(NOON))
    await books.ledger.enter(books.settles(await books.reserved()))

    await books.ledger.prune()

    async with database.reading() as session:
        rows = await session.execute(select(reservation.c.attempt_id).order_by(reservation.c.attempt_id))
        left = list(rows.scalars())
    assert left[0] == running
    assert len(left) == 2
    assert len(await books.records()) == 2


async def test_a_reservation_that_cannot_be_read_is_voided_and_the_others_are_settled(
    database: Database, tmp_path: Path
) -> None:
    books, metrics = await Books.of(database), Metrics()
    metering = Metering(
        books.ledger, Backlog(books.ledger, tmp_path, metrics), Prices({}), SystemClock(), metrics, is_lone=bool
    )
    await books.reserved(30, details=b"{}")
    await books.reserved(30)
    await _outlives(database)

    swept = await books.ledger.sweep(metering.crashed)

    assert swept == 2
    assert sorted(await books.states()) == ["settled", "voided"]


async def test_what_is_sold_by_the_piece_is_charged_of_what_was_sent_and_corrected_by_the_truth(
    database: Database, tmp_path: Path
) -> None:
    books, metrics = await Books.of(database), Metrics()
    metering = Metering(
        books.ledger, Backlog(books.ledger, tmp_path, metrics), Prices({}), SystemClock(), metrics, is_lone=bool
    )
    sold = books.details()._replace(units=Units(seconds=7), price=Price(seconds_microusd=2_000_000))
    attempt = await books.reserved(30, details=sold.as_json())
    await _outlives(database)

    await books.ledger.sweep(metering.crashed)
    await books.ledger.enter(books.settles(attempt, 2, 3, seconds=5, cost_microusd=10))

    records = await books.records()
    assert [(record.basis, record.seconds, record.cost_microusd) for record in records] == [
        ("crash", 7, 14),
        ("reported", -2, -4),
    ]


async def _outlives(database: Database) -> None:
    """All leases are over."""
    async with database.begin() as session:
        await session.execute(update(reservation).values(lease_until=NOON))


def _crashed(books: Books) -> Any:
    def settled(found: Abandoned) -> Entry:
        seen = Usage(found.observed_prompt_tokens, found.observed_completion_tokens)
        details = Details.from_json(found.details)
        return Settle(details.record(found.attempt_id, seen, "crash", Ending("incomplete"), NOON))

    return settled
