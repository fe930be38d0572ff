"""The ledger writes the same on both databases, though their statements are not the same."""

import shutil
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, insert, select

from llm_backend.domain.end_users import EndUser, EndUserTerms
from llm_backend.domain.entries import Entry, Settle, Void
from llm_backend.storage.database import Database
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.tables import (
    api_key,
    budget,
    budget_period,
    reservation,
    usage_day,
    usage_record,
    webhook_event,
)
from tests.databases import ON_POSTGRESQL
from tests.domain.booked import TERMS, Books
from tests.storage.records import NOON

BATCHES = 80
KEY_ID = "abcdefghijkl"
SUBJECTS = (f"key:{KEY_ID}", "model:echo")
USER = EndUser("alice", EndUserTerms(token_limit=1500))

BY_THE_CLOCK = {
    reservation: (reservation.c.created_at, reservation.c.lease_until),
    webhook_event: (webhook_event.c.created_at, webhook_event.c.next_try_at),
    budget_period: (budget_period.c.starts_at,),
}
"""What each database's own clock says."""

WRITTEN = (reservation, usage_record, usage_day, webhook_event, budget_period)


class Busy:
    """An account's requests, as they come and end in any order."""

    def __init__(self, books: Books, seed: int) -> None:
        self._books = books
        self._random = Random(seed)  # noqa: S311 (the same for both, nothing secret)
        self._running: list[str] = []
        self._crashed: list[str] = []

    def batch(self) -> list[Entry]:
        """What waits at the same moment: of each attempt no more than one entry, as whoever runs it enters one."""
        entries: list[Entry] = []
        for attempts in (self._running, self._crashed):
            self._random.shuffle(attempts)
        ending = min(len(self._running), self._random.randint(0, 3))
        entries += [self._ends(self._running.pop()) for _ in range(ending)]
        if self._crashed and self._random.random() < 0.3:
            # Its owner lives: what was charged in its place is put right.
            entries.append(self._settles(self._crashed.pop(0), "reported"))
        began = [self._begins() for _ in range(self._random.randint(0 if entries else 1, 3))]
        self._random.shuffle(entries)
        return [*entries, *began]

    def _begins(self) -> Entry:
        attempt = str(UUID(int=self._random.getrandbits(128), version=4))
        self._running.append(attempt)
        whose = {
            "key_id": self._random.choice((None, KEY_ID)),
            "model": self._random.choice(("echo", "other")),
            "end_user": self._random.choice((None, USER)),
        }
        return self._books.asks(self._random.randint(1, 60), attempt_id=attempt, details=b'"\xc3\xa9"', **whose)

    def _ends(self, attempt: str) -> Entry:
        kind = self._random.choice(("reported", "reported", "estimated", "crash", "void", "never sent"))
        if kind == "never sent":
            return Void(attempt, self._books.account.id)
        if kind == "crash":
            self._crashed.append(attempt)
        return self._settles(attempt, kind)

    def _settles(self, attempt: str, basis: str) -> Settle:
        used = {name: self._random.randint(0, 9) for name in DAILY_SUMS[2:]}
        if basis == "void":
            used = dict.fromkeys(used, 0)
        day = NOON.replace(day=self._random.randint(1, 3))
        prompt, completion = (0, 0) if basis == "void" else (self._random.randint(30, 60), self._random.randint(20, 60))
        end_user, key = self._random.choice((None, "alice")), self._random.choice((None, KEY_ID))
        return self._books.settles(
            attempt, prompt, completion, basis=basis, ended_at=day, end_user=end_user, key_id=key, **used
        )


@ON_POSTGRESQL
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("remembers", [False, True])
async def test_the_same_batches_leave_the_same_rows_on_both(
    database: Database, migrated_file: Path, tmp_path: Path, foretold: list[bool], seed: int, *, remembers: bool
) -> None:
    async with _copy(migrated_file, tmp_path) as file:
        books = [await _books(each) for each in (database, file)]
        if not remembers:
            books[0].ledger._memory = None
        busy_ones = [Busy(each, seed) for each in books]
        came_of_it = Counter[str]()
        for number in range(BATCHES):
            on_server, on_file = [
                await _entered(each, busy.batch()) for each, busy in zip(books, busy_ones, strict=True)
            ]
            assert on_server == on_file, number
            came_of_it.update(said.partition("(")[0] for said in on_file)

        for table in WRITTEN:
            server_rows, file_rows = await _rows(database, table), await _rows(file, table)
            assert server_rows == file_rows
            assert file_rows
        assert any("adjustment" in row for row in await _rows(file, usage_record))
        # Refused for its budget, granted, done, and of nothing that was reserved.
        assert came_of_it.keys() >= {"BudgetExhausted", "Granted", "Done", "LookupError"}
        for each in (database, file):
            await _by_the_clock(each)
        # Some were as they were foretold, and some were not.
        assert set(foretold) == ({False, True} if remembers else set())


@pytest.fixture
def foretold(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each transaction that was tried on what was remembered, whether that held."""
    held: list[bool] = []
    write_one = Database.write_one

    async def noted(self: Database, plan: Any) -> Any:
        outcomes = await write_one(self, plan)
        held.append(outcomes is not None)
        return outcomes

    monkeypatch.setattr(Database, "write_one", noted)
    return held


@asynccontextmanager
async def _copy(migrated_file: Path, folder: Path) -> AsyncIterator[Database]:
    shutil.copy(migrated_file, folder / "test.db")
    database = Database(f"sqlite:///{folder / 'test.db'}")
    try:
        yield database
    finally:
        await database.close()


async def _books(database: Database) -> Books:
    """With budgets that some of what is asked does not fit into, each with its period."""
    books = await Books.of(database, token_limit=4000, microusd_limit=200)
    async with database.begin() as session:
        key = {"name": "", "last4": "0000", "digest": b"", "pepper_version": 1, "scopes": [], "created_at": NOON}
        await session.execute(insert(api_key).values(public_id=KEY_ID, account_id=books.account.id, **key))
        for subject in SUBJECTS:
            made = {"account_id": books.account.id, "subject": subject, "token_limit": 2000, "created_at": NOON}
            await session.execute(insert(budget).values(**made))
    # Whoever asks first has the periods begun.
    first = await books.reserved(1, attempt_id="first", end_user=USER)
    await books.ledger.enter(books.settles(first))
    return books


async def _entered(books: Books, entries: Sequence[Entry]) -> list[str]:
    """What came of one transaction, each outcome as it says itself."""
    return [repr(outcome) for outcome in await books.ledger._together(entries)]


async def _rows(database: Database, table: Table) -> list[tuple[Any, ...]]:
    """All rows, but for what the database's clock says."""
    columns = [each for each in table.c if each not in set(BY_THE_CLOCK.get(table, ()))]
    async with database.reading() as session:
        return sorted((tuple(row) for row in await session.execute(select(*columns))), key=repr)


async def _by_the_clock(database: Database) -> None:
    """A lease is as long as it has to be, and an event is due at once; to the millisecond that SQLite tells."""
    async with database.reading() as session:
        for table, seconds in ((reservation, TERMS.lease_seconds), (webhook_event, 0)):
            for begun, until in await session.execute(select(*BY_THE_CLOCK[table])):
                assert abs((until - begun).total_seconds() - seconds) < 0.1
