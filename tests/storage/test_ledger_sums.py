"""Which sums are locked, whichever of its statements a database is given for that."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from llm_backend.storage.database import Database, Limits
from llm_backend.storage.driver import Plan
from llm_backend.storage.ledger import read, statements
from llm_backend.storage.ledger_rows import Sums
from llm_backend.storage.tables import budget_period
from tests.databases import ON_POSTGRESQL
from tests.storage.ledgers import ALICE, AN_HOUR_AGO, BOB, NOW, OF_BOB, OF_KEY, OF_MODEL, WHOLE, keep_a_sound_ledger
from tests.storage.sessions import opened


@pytest.fixture
async def ledger(database: Database) -> Database:
    await keep_a_sound_ledger(database)
    return database


async def locked(database: Database, accounts: list[int], periods: list[int]) -> list[Sums]:
    def plan() -> Plan[list[Sums]]:
        return read(Sums, (yield statements(is_sqlite=database.is_sqlite).sums(accounts, periods)))

    return await database.write(plan())


@pytest.mark.parametrize(
    ("accounts", "periods", "found"),
    [
        ([ALICE], [], [WHOLE, OF_KEY, OF_MODEL]),
        ([BOB], [], [OF_BOB]),
        ([ALICE, BOB], [], [WHOLE, OF_KEY, OF_MODEL, OF_BOB]),
        ([], [OF_BOB, WHOLE], [WHOLE, OF_BOB]),
        ([BOB], [OF_KEY, OF_BOB], [OF_KEY, OF_BOB]),
        ([BOB + 1], [], []),
        ([], [], []),
    ],
)
async def test_they_are_those_of_the_accounts_and_those_that_are_named(
    ledger: Database, accounts: list[int], periods: list[int], found: list[int]
) -> None:
    assert [sums.id for sums in await locked(ledger, accounts, periods)] == found


async def test_an_accounts_are_the_same_alone_and_beside_others(ledger: Database) -> None:
    alone = await locked(ledger, [ALICE], [])
    beside = [sums for sums in await locked(ledger, [ALICE, BOB], []) if sums.account_id == ALICE]

    assert alone == beside
    assert {(sums.is_current, sums.budgets) for sums in alone} == {(True, len(alone))}


async def test_what_has_ended_or_not_begun_is_not_current(ledger: Database) -> None:
    async with ledger.begin() as session:
        await session.execute(update(budget_period).where(budget_period.c.id == OF_KEY).values(ends_at=AN_HOUR_AGO))
        later = NOW + timedelta(days=1)
        await session.execute(update(budget_period).where(budget_period.c.id == OF_MODEL).values(starts_at=later))

    assert [sums.id for sums in await locked(ledger, [ALICE], [])] == [WHOLE]
    assert [sums.id for sums in await locked(ledger, [ALICE, BOB], [])] == [WHOLE, OF_BOB]
    named = await locked(ledger, [ALICE, BOB], [OF_KEY])
    assert [(sums.id, bool(sums.is_current)) for sums in named] == [(WHOLE, True), (OF_KEY, False), (OF_BOB, True)]


@ON_POSTGRESQL
@pytest.mark.parametrize(
    ("accounts", "periods"),
    [([ALICE, BOB], []), ([], [WHOLE, OF_KEY, OF_BOB]), ([ALICE], [OF_BOB, WHOLE]), ([BOB], [WHOLE, OF_KEY, OF_MODEL])],
)
async def test_a_row_that_another_process_moves_meanwhile_is_found_as_it_left_it(
    ledger: Database, database_url: str, accounts: list[int], periods: list[int]
) -> None:
    expected = [sums.id for sums in await locked(ledger, accounts, periods)]
    async with opened(database_url, Limits()) as another:
        moves = update(budget_period).values(used_tokens=budget_period.c.used_tokens + 7)
        async with another.begin() as session:
            await session.execute(moves.where(budget_period.c.id.in_([WHOLE, OF_BOB])))
            waiting = asyncio.create_task(locked(ledger, accounts, periods))
            await _waits_for_a_lock(ledger)
        found = await waiting

    before = {sums.id: sums.used_tokens for sums in await locked(ledger, accounts, periods)}
    assert [sums.id for sums in found] == expected
    assert {sums.id: sums.used_tokens for sums in found} == before


async def _waits_for_a_lock(database: Database) -> None:
    async with database.reading() as session:
        waiting = "wait_event_type = 'Lock' AND datname = current_database()"
        asked = text(f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}")  # noqa: S608 (a constant of a test)
        while not (await session.execute(asked)).scalar_one():  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.005)
