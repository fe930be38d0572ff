"""Whatever a server executes while it serves finds its rows by an index, on both databases.

No list of statements is kept: every operation is asked, and what the drivers were given is explained.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, combinations
from pathlib import Path

import pytest
from sqlalchemy import text

from llm_backend.database_urls import is_sqlite
from llm_backend.storage.database import Database
from llm_backend.storage.driver import Hot
from llm_backend.storage.ledger import Statements, statements
from llm_backend.storage.ledger_forecasts import Forecasts
from llm_backend.storage.ledger_sums import LockedSums
from llm_backend.storage.ledger_writes import PARTS, Together
from llm_backend.storage.sought import Sought
from llm_backend.storage.state_writes import state_writes
from tests.databases import ON_POSTGRESQL
from tests.serving import serving
from tests.storage.busy import MODELS, ask_everything, forget, keep_books, keep_responses
from tests.storage.plans import complaints
from tests.storage.watching import Watched, watching
from tests.whole.access import world_on

WHO_RESERVES = [("keys",), ("accounts",), ("keys", "accounts")]

READ_WHOLE = {
    "listAccounts": "it answers with everyone there is, and the client chooses no page",
    "listUsers": "it answers with everyone there is, and the client chooses no page",
    "exportAccount": "it is asked for once in an account's life; no index is worth its cost with each request for that",
    "eraseAccount": "as exportAccount",
    "eraseUser": "a person may be named in any account; as exportAccount",
}
"""Operations that may read through a table, and why."""


MISSED_BY = {
    "ix_usage_record_account_id_ended_at": "explainBudget",
    "ix_usage_day_day": "getUsage",
    "ix_reservation_open": "the ledger",
    "ix_api_key_account_id_id": "listKeys",
    "ix_api_key_adopted": "createChatCompletion",
    "ix_item_account_id": "eraseAccount",
    "ix_account_retention_days": "the retention",
    "ix_response_events_until": "the retention",
    "ix_response_account_id_created_at": "the retention",
}
"""Indexes, and who would read through a table without them."""


@pytest.fixture
async def watched(database_url: str, tmp_path: Path) -> Watched:
    """All that a server has executed that did everything once."""
    with watching() as seen:
        async with serving(database_url, tmp_path, toml=MODELS) as running, world_on(running) as world:
            await ask_everything(world, seen)
            await keep_books(running.database, seen)
            await keep_responses(running.database, seen)
            await forget(running.database, seen)
    return seen


def hot_ones(of: Statements) -> list[Hot]:
    """But for what PostgreSQL writes, which is put together of parts: see `put_together`."""
    return [*_hot_in(vars(of)), *_hot_in(of._write)]


def _hot_in(parts: Mapping[str, object]) -> Iterator[Hot]:
    for each in parts.values():
        if isinstance(each, Hot):
            yield each
        elif isinstance(each, Sought | LockedSums):
            yield from _hot_in(vars(each))


def put_together() -> Watched:
    """What PostgreSQL would be given to write, of whatever parts: each combination is a statement of its own."""
    together, forecasts, every = Together(), Forecasts(), Watched()
    for parts in chain.from_iterable(combinations(PARTS, number) for number in range(1, len(PARTS) + 1)):
        every.see(Hot(together._statement(parts), is_sqlite=False).text)
        if "events" in parts:
            continue
        for callers in WHO_RESERVES if "reservations" in parts else [()]:
            for is_one in (False, True) if len(callers) <= 1 else (False,):
                every.see(Hot(forecasts.statement(callers, parts, is_one=is_one), is_sqlite=False).text)
    return every


async def test_each_statement_finds_its_rows_by_an_index(watched: Watched, database_url: str) -> None:
    wrong = await complaints(database_url, watched)
    hot = hot_ones(statements(is_sqlite=is_sqlite(database_url)))
    hot += _hot_in(vars(state_writes(is_sqlite=is_sqlite(database_url))))

    # None is hot that nobody asked for here: its plan would not be known.
    assert {each.text for each in hot} - set(watched.statements) == set()
    assert len(hot) >= 10
    assert {
        statement: why for statement, why in wrong.items() if not watched.asked_by[statement] <= set(READ_WHOLE)
    } == {}
    # Who needs no excuse any more has none.
    assert set(READ_WHOLE) == {operation for statement in wrong for operation in watched.asked_by[statement]}


@ON_POSTGRESQL
async def test_whatever_is_written_together_finds_its_rows_by_an_index(watched: Watched, database_url: str) -> None:
    every = put_together()

    assert await complaints(database_url, every, each_request=True) == {}
    assert len(every.statements) == (2 ** len(PARTS) - 1) + (3 * 16 + 15) + (2 * 16 + 15)
    # And these are what the server was given.
    given = {each for each in watched.statements if "_written AS" in each}
    assert len(given) >= 2
    assert given - set(every.statements) == set()


async def test_an_index_that_is_missing_is_missed(watched: Watched, database: Database) -> None:
    async with database.begin() as session:
        for index in MISSED_BY:
            await session.execute(text(f"DROP INDEX {index}"))

    wrong = await complaints(database.url, watched)

    missing = {operation for statement in wrong for operation in watched.asked_by[statement]}
    assert set(MISSED_BY.values()) <= missing
