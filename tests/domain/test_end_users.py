"""End users of a trusted frontend: each has a budget of its own, made when it is first seen."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select

from llm_backend.domain import budgets, end_users
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.end_users import EndUser, EndUserTerms
from llm_backend.domain.entries import Granted, Reserve
from llm_backend.domain.exports import Exports
from llm_backend.domain.ledger import Ledger
from llm_backend.domain.users import Users
from llm_backend.errors import BudgetExhausted, TooManyEndUsers
from llm_backend.storage import budgets as stored
from llm_backend.storage.database import Database
from llm_backend.storage.dumps import Scope
from llm_backend.storage.invariants import violations
from llm_backend.storage.tables import budget, budget_period, usage_record
from tests.domain.booked import TERMS, Books
from tests.storage.records import NOON

DAY = timedelta(days=1)
TEN = EndUserTerms(token_limit=10)


def asks(books: Books, tokens: int, user: str, terms: EndUserTerms = TEN) -> Reserve:
    return books.asks(tokens, end_user=EndUser(user, terms))


async def standing(books: Books) -> dict[str, tuple[int | None, int, int]]:
    """Limit, used and reserved of each budget's newest period, by subject; an older one is overwritten."""
    columns = budget_period.c.token_limit, budget_period.c.used_tokens, budget_period.c.reserved_tokens
    found = select(budget.c.subject, *columns).join_from(budget_period, budget).order_by(budget_period.c.id)
    async with books.database.reading() as session:
        return {subject: (limit, used, held) for subject, limit, used, held in await session.execute(found)}


async def is_sound(books: Books) -> bool:
    async with books.database.reading() as session:
        return await violations(session) == []


async def test_one_end_user_has_nothing_left_and_the_other_is_served(database: Database) -> None:
    books = await Books.of(database, token_limit=100)
    first = await books.ledger.reserve(asks(books, 10, "alice"))

    with pytest.raises(BudgetExhausted) as refused:
        await books.ledger.reserve(asks(books, 1, "alice"))
    other = await books.ledger.reserve(asks(books, 10, "bob"))

    assert "0 of 10 are left to this user" in str(refused.value)
    assert refused.value.headers["x-budget-limit-tokens"] == "10"
    assert [each.balance.tokens and each.balance.tokens.limit for each in (first, other)] == [10, 10]
    assert await standing(books) == {"": (100, 0, 20), "user:alice": (10, 0, 10), "user:bob": (10, 0, 10)}
    assert await is_sound(books)


async def test_what_an_end_user_is_charged_is_the_accounts_charge_too(database: Database) -> None:
    books = await Books.of(database, token_limit=100)
    entry = asks(books, 10, "alice")
    await books.ledger.reserve(entry)

    done = await books.ledger.enter(books.settles(entry.attempt_id))

    assert done.balance
    assert done.balance.tokens
    assert done.balance.tokens.remaining == 5
    assert await standing(books) == {"": (100, 5, 0), "user:alice": (10, 5, 0)}
    async with database.reading() as session:
        charged = (await session.execute(select(usage_record.c.user_period_id))).scalar_one()
    assert charged is not None
    assert await is_sound(books)


async def test_the_accounts_budget_bounds_all_of_them_together(database: Database) -> None:
    books = await Books.of(database, token_limit=15)
    await books.ledger.reserve(asks(books, 10, "alice"))

    with pytest.raises(BudgetExhausted, match="left to this account"):
        await books.ledger.reserve(asks(books, 10, "bob"))


async def test_many_first_requests_at_once_make_one_budget_and_as_many_pass_as_fit(database: Database) -> None:
    books = await Books.of(database)
    other = Database(database.url)
    servers = [books.ledger, Ledger(other, replace(TERMS, owner="another process"))]
    entries = [asks(books, 3, "alice") for _ in range(20)]

    outcomes = await asyncio.gather(
        *(servers[index % 2].reserve(entry) for index, entry in enumerate(entries)), return_exceptions=True
    )
    await other.close()

    assert sum(isinstance(outcome, Granted) for outcome in outcomes) == 3
    assert sum(isinstance(outcome, BudgetExhausted) for outcome in outcomes) == 17
    assert await standing(books) == {"": (None, 0, 9), "user:alice": (10, 0, 9)}
    assert await is_sound(books)


async def test_who_is_not_limited_has_no_budget_until_one_is_given(database: Database) -> None:
    books = await Books.of(database)
    free = EndUserTerms()
    await books.ledger.reserve(asks(books, 50, "alice", free))
    assert set(await standing(books)) == {""}

    async with database.begin() as session:
        await budgets.begin(session, books.account, {"token_limit": 7}, NOON, "user:alice")

    with pytest.raises(BudgetExhausted, match="7 of 7 are left to this user"):
        await books.ledger.reserve(asks(books, 8, "alice", free))


async def test_a_budget_of_an_end_user_renews_without_the_others(database: Database) -> None:
    books = await Books.of(database)
    daily = EndUserTerms(token_limit=10, renewal="day")
    await books.ledger.reserve(asks(books, 10, "alice", daily))
    async with database.begin() as session:
        known = await stored.find(session, books.account.id, "user:alice")
        assert known
        [period] = await stored.periods(session, known.id)
        assert period.ends_at
        yesterday = {"starts_at": period.starts_at - DAY, "ends_at": period.ends_at - DAY}
        await stored.change_period(session, period.id, yesterday)

    again = await books.ledger.reserve(asks(books, 10, "alice", daily))

    assert isinstance(again, Granted)
    assert await standing(books) == {"": (None, 0, 20), "user:alice": (10, 0, 10)}


async def test_an_account_has_no_more_end_users_than_it_may(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_users, "MOST_OF_ACCOUNT", 2)
    books = await Books.of(database)
    await books.ledger.reserve(asks(books, 1, "alice"))
    await books.ledger.reserve(asks(books, 1, "bob"))

    with pytest.raises(TooManyEndUsers):
        await books.ledger.reserve(asks(books, 1, "carol"))

    assert await books.ledger.reserve(asks(books, 1, "bob"))
    assert set(await standing(books)) == {"", "user:alice", "user:bob"}


async def test_what_is_known_of_one_user_has_the_end_users_budget_and_nobody_elses(
    database: Database, tmp_path: Path
) -> None:
    books = await Books.of(database, token_limit=100)
    for name in ("alice", "bob"):
        await books.ledger.reserve(asks(books, 1, name))
    await Users(database, SystemClock()).create("alice", "Alice", books.account.id)

    with (tmp_path / "file").open("wb") as out:
        await Exports(database, SystemClock()).write(Scope(user_code="alice"), out)

    lines = [orjson.loads(line) for line in (tmp_path / "file").read_bytes().splitlines()]
    told = {line["kind"]: line["row"] for line in lines[1:-1]}
    assert (told["budget"]["subject"], told["budget_period"]["reserved_tokens"]) == ("user:alice", 1)
    assert (lines[-1]["counts"]["budget"], lines[-1]["counts"]["budget_period"]) == (1, 1)


async def test_a_request_of_a_key_that_is_not_trusted_costs_no_statement_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = await Books.of(database, token_limit=100)
    asked: list[str] = []
    monkeypatch.setattr(type(books.ledger._statements), "end_users", lambda *_: asked.append("end users"))

    await books.reserved(10)

    assert asked == []
