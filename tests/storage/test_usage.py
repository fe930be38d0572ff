import asyncio

import orjson
import pytest
from sqlalchemy import Column, update
from sqlalchemy.exc import IntegrityError

from llm_backend.storage import usage
from llm_backend.storage.database import Database
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.tables import budget_period, reservation
from llm_backend.storage.usage import UsageRecord
from tests.storage.ledgers import keep_a_sound_ledger
from tests.storage.records import a_record, an_account


async def add(database: Database, record: UsageRecord) -> bool:
    async with database.begin() as session:
        return await usage.add(session, record)


async def kept(database: Database, account_id: int) -> list[UsageRecord]:
    async with database.reading() as session:
        return await usage.of_account(session, account_id)


async def test_a_record_is_kept_as_it_was_written(database: Database) -> None:
    alice = await an_account(database)
    record = a_record(
        alice.id, end_user="someone", error_code="upstream_timeout", overrun=True, images=1, seconds=2, characters=3
    )

    assert await add(database, record)

    assert await kept(database, alice.id) == [record]
    assert record.total_tokens == 12


async def test_a_second_record_of_an_attempt_changes_nothing(database: Database) -> None:
    alice = await an_account(database)
    first = a_record(alice.id)
    await add(database, first)

    assert not await add(database, a_record(alice.id, prompt_tokens=900, status="failed"))

    assert await kept(database, alice.id) == [first]


async def test_of_many_writers_of_one_attempt_exactly_one_writes(database: Database) -> None:
    alice = await an_account(database)
    versions = [a_record(alice.id, prompt_tokens=7 + n) for n in range(20)]

    written = await asyncio.gather(*(add(database, version) for version in versions))

    winners = [version for version, won in zip(versions, written, strict=True) if won]
    assert len(winners) == 1
    assert await kept(database, alice.id) == winners


async def test_an_adjustment_stands_beside_its_charge_and_may_be_negative(database: Database) -> None:
    alice = await an_account(database)
    charge = a_record(alice.id)
    less = a_record(alice.id, kind="adjustment", prompt_tokens=-3, completion_tokens=-1, cost_microusd=-2)

    assert await add(database, charge)
    assert await add(database, less)

    assert await kept(database, alice.id) == [charge, less]


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: -1} for name in DAILY_SUMS),
        {"prompt_tokens": 1, "cached_tokens": 1, "image_prompt_tokens": 1},
        {"completion_tokens": 1, "reasoning_tokens": 1, "audio_completion_tokens": 1},
        {"status": "odd"},
        {"basis": "guess"},
        {"kind": "gift"},
    ],
)
async def test_what_no_record_may_say_is_refused_and_not_mended(database: Database, wrong: dict[str, object]) -> None:
    alice = await an_account(database)

    with pytest.raises(IntegrityError):
        await add(database, a_record(alice.id, **wrong))

    assert await kept(database, alice.id) == []


@pytest.mark.parametrize(
    "amount",
    [
        budget_period.c.token_limit,
        budget_period.c.microusd_limit,
        budget_period.c.used_tokens,
        budget_period.c.reserved_tokens,
        budget_period.c.used_microusd,
        budget_period.c.reserved_microusd,
        reservation.c.reserved_tokens,
        reservation.c.reserved_microusd,
        reservation.c.observed_prompt_tokens,
        reservation.c.observed_completion_tokens,
    ],
    ids=str,
)
async def test_no_amount_of_the_books_goes_below_zero(database: Database, amount: Column[int]) -> None:
    await keep_a_sound_ledger(database)

    with pytest.raises(IntegrityError):
        async with database.begin() as session:
            await session.execute(update(amount.table).values({amount: -1}))


async def test_a_record_of_no_account_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await add(database, a_record(404))


async def test_names_that_no_database_keeps_do_not_cost_the_record(database: Database) -> None:
    alice = await an_account(database)

    await add(database, a_record(alice.id, model="a\x00b", upstream_model="\ud800", end_user="x" * 10_000))

    [record] = await kept(database, alice.id)
    assert (record.model, record.upstream_model) == ("a\ufffdb", "\ufffd")
    assert record.end_user == "x" * usage.TEXT_LIMIT


async def test_another_accounts_records_are_not_listed(database: Database) -> None:
    alice, bob = await an_account(database), await an_account(database, "bob")
    await add(database, a_record(bob.id))

    assert await kept(database, alice.id) == []


def test_a_record_as_json_is_complete() -> None:
    record = a_record(1)

    written = orjson.loads(orjson.dumps(usage.as_json(record)))

    assert set(written) == set(usage.FIELDS)
    assert written["raw_usage"] == '{"prompt_tokens":7,"completion_tokens":5}'
    assert written["started_at"] == "2026-03-01T12:00:00+00:00"
