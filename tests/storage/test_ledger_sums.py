"""Which sums are locked, whichever of its statements a database is given for that."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from llm_backend.storage.database import Database
from llm_backend.storage.driver import Plan
from llm_backend.storage.ledger import read, statements
from llm_backend.storage.ledger_rows import Sums
from llm_backend.storage.tables import budget_period
from tests.storage.ledgers import ALICE, AN_HOUR_AGO, BOB, NOW, OF_BOB, OF_KEY, OF_MODEL, WHOLE, keep_a_sound_ledger


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
