"""Each invariant: a row is damaged by hand, and that invariant is reported, and no other."""

import re
import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import ClauseElement, ColumnElement, delete, insert, text, update

from llm_backend.storage import usage
from llm_backend.storage.database import Database
from llm_backend.storage.invariants import Violation, violations
from llm_backend.storage.tables import (
    api_key,
    budget,
    budget_period,
    item,
    reservation,
    response,
    usage_day,
    usage_record,
)
from tests.storage.ledgers import (
    ALICE,
    AN_HOUR_AGO,
    BOB,
    CRASHED,
    KEY_ID,
    NOW,
    OF_BOB,
    OPEN,
    SETTLED,
    WHOLE,
    a_reservation,
    keep,
    keep_a_sound_ledger,
)
from tests.storage.records import a_record

FOURTH = "019cae00-0000-7000-8000-000000000004"


def of(attempt_id: str, table: Any = reservation) -> ColumnElement[bool]:
    its: ColumnElement[bool] = table.c.attempt_id == attempt_id
    return its


def settled(**values: Any) -> ClauseElement:
    """The charge of the attempt that ended well, damaged."""
    return update(usage_record).where(of(SETTLED, usage_record)).values(**values)


def held(attempt_id: str = SETTLED, **values: Any) -> ClauseElement:
    """A reservation, damaged."""
    return update(reservation).where(of(attempt_id)).values(**values)


def answered(**values: Any) -> ClauseElement:
    """A response that was kept, damaged."""
    return update(response).values(**values)


def a_charge(**different: Any) -> ClauseElement:
    """Another charge, of nothing: no sum is any the worse for it."""
    nothing = {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "cost_microusd": 0,
    }
    usual = {"attempt_id": FOURTH, "request_id": "req_4", "basis": "estimated", "raw_usage": None, "key_id": KEY_ID}
    when = {"started_at": AN_HOUR_AGO, "ended_at": AN_HOUR_AGO}
    made = a_record(ALICE, **nothing | usual | when | {"account_period_id": WHOLE} | different)
    return insert(usage_record).values({name: getattr(made, name) for name in usage.FIELDS})


ONE_REQUEST = update(usage_day).values(requests=usage_day.c.requests + 1)

DAMAGES: dict[str, tuple[str, list[ClauseElement]]] = {
    "used tokens are lost": ("I1", [update(budget_period).where(budget_period.c.id == WHOLE).values(used_tokens=1)]),
    "used money is lost": ("I1", [update(budget_period).where(budget_period.c.id == WHOLE).values(used_microusd=1)]),
    "a record is another account's": (
        "I1",
        [
            a_charge(kind="adjustment", attempt_id=SETTLED, basis="estimated", account_period_id=OF_BOB),
        ],
    ),
    "a reservation leaks": ("I2", [update(budget_period).where(budget_period.c.id == WHOLE).values(reserved_tokens=0)]),
    "a lease is over": ("I3", [held(OPEN, lease_until=NOW - timedelta(minutes=10))]),
    "a charge is missing": (
        "I5",
        [insert(reservation).values(a_reservation(FOURTH, "settled"))],
    ),
    "what is voided is charged": ("I5", [held(state="voided")]),
    "what is charged is open": (
        "I5",
        [
            insert(reservation).values(
                a_reservation(FOURTH, "held", reserved_tokens=0, reserved_microusd=0, key_period_id=None)
                | {"model_period_id": None}
            ),
            a_charge(),
            ONE_REQUEST,
        ],
    ),
    "a charge is to another key": ("I5", [held(key_id="another")]),
    "a charge is without a reservation": ("I5", [a_charge(), ONE_REQUEST]),
    "an adjustment is of no charge": ("I5", [a_charge(kind="adjustment")]),
    "a limit is passed": ("I6", [update(budget_period).where(budget_period.c.id == WHOLE).values(token_limit=21)]),
    "an amount is not the reported one": ("I7", [settled(raw_usage=b'{"prompt_tokens": 8, "completion_tokens": 5}')]),
    "a length is not the reported one": (
        "I7",
        [
            settled(raw_usage=b'{"type": "duration", "seconds": 2.5}', seconds=2),
            update(usage_day).values(seconds=2),
        ],
    ),
    "a late amount is not the reported one": (
        "I7",
        [
            update(usage_record)
            .where(of(CRASHED, usage_record), usage_record.c.kind == "adjustment")
            .values(raw_usage=b'{"prompt_tokens": 7, "completion_tokens": 5}')
        ],
    ),
    "a report is lost": ("I7", [settled(raw_usage=None)]),
    "an overrun is not told": ("I7", [held(reserved_tokens=11)]),
    "a crash is charged too little": ("I7", [held(CRASHED, observed_completion_tokens=6)]),
    "nothing is charged": ("I7", [settled(basis="void")]),
    "a message is lost": ("I8", [delete(item).where(item.c.sequence == 0)]),
    "a message is there twice": ("I8", [update(item).values(role="user")]),
    "a message is another account's": ("I8", [update(item).where(item.c.sequence == 0).values(account_id=BOB)]),
    "a response begins nowhere": ("I8", [answered(first_sequence=None)]),
    "a response ends before it begins": ("I8", [answered(output_sequence=2, end_sequence=1)]),
    "a response answers nothing that was asked": ("I8", [answered(first_sequence=2)]),
    "a response goes on behind its conversation": ("I8", [answered(end_sequence=3)]),
    "a response is another account's": ("I8", [answered(account_id=BOB)]),
    "a response is never ended": ("I3", [answered(status="in_progress", lease_until=NOW - timedelta(minutes=10))]),
    "an answer is unpaid": ("I9", [update(item).where(item.c.sequence == 0).values(attempt_id="unknown")]),
    "a promise is broken": (
        "I10",
        [update(usage_record).where(of(CRASHED, usage_record)).values(request_id="req_1")],
    ),
    "a revoked key was served": ("I11", [update(api_key).values(revoked_at=AN_HOUR_AGO - timedelta(hours=1))]),
    "a day is off": ("usage_day", [update(usage_day).values(prompt_tokens=usage_day.c.prompt_tokens + 1)]),
    "a day has a picture too many": ("usage_day", [update(usage_day).values(images=usage_day.c.images + 1)]),
    "a day is missing": ("usage_day", [delete(usage_day)]),
}


async def found(database: Database, *damages: ClauseElement) -> list[Violation]:
    """The violations after `damages`."""
    async with database.begin() as session:
        for damage in damages:
            await session.execute(damage)  # type: ignore[call-overload] # any statement
    async with database.reading() as session:
        return await violations(session)


async def test_a_sound_ledger_violates_nothing(database: Database) -> None:
    await keep_a_sound_ledger(database)

    assert await found(database) == []


ODD_REPORTS = {
    b'{"type": "duration", "seconds": 2.5}': 3,
    b'{"type": "duration", "seconds": 3, "prompt_tokens": "some"}': 3,
    b'{"prompt_tokens": 7, "completion_tokens": 5, "seconds": 0.4}': 0,
    b'{"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 12}': 0,
    b'{"input_tokens": 7, "output_tokens": 5, "total_tokens": "many"}': 0,
}
"""What tells the same as the sound ledger's 7 + 5 tokens, with so many seconds."""


async def test_what_was_made_of_an_odd_report_is_what_was_reported(database: Database) -> None:
    await keep_a_sound_ledger(database)

    for raw, seconds in ODD_REPORTS.items():
        charged = settled(raw_usage=raw, seconds=seconds), update(usage_day).values(seconds=seconds)
        assert await found(database, *charged) == [], raw


class Undone(Exception):
    """Takes a damage back."""


async def test_each_damage_is_reported_as_what_it_is(database: Database) -> None:
    await keep_a_sound_ledger(database)
    told: dict[str, list[Violation]] = {}

    for damage, (_, statements) in DAMAGES.items():
        with suppress(Undone):
            async with database.begin() as session:
                for statement in statements:
                    await session.execute(statement)  # type: ignore[call-overload] # any statement
                told[damage] = await violations(session)
                raise Undone

    found = {damage: {each.invariant for each in every} for damage, every in told.items()}
    assert found == {damage: {invariant} for damage, (invariant, _) in DAMAGES.items()}
    assert [damage for damage, every in told.items() if not all(each.ids for each in every)] == []


async def test_what_is_wrong_is_told_with_its_numbers(database: Database) -> None:
    await keep_a_sound_ledger(database)

    [told] = await found(database, DAMAGES["used tokens are lost"][1][0])

    assert told.ids == {"period_id": WHOLE, "account_id": ALICE}
    assert told.text == ("period 1 of account 1 says 1 tokens and 5 micro-dollars used, its records sum up to 22 and 5")


async def test_what_is_made_or_is_not_kept_needs_no_place_yet(database: Database) -> None:
    await keep_a_sound_ledger(database)
    ahead = NOW + timedelta(days=1)

    for different in ({"status": "in_progress", "lease_until": ahead}, {"is_stored": False}, {"conversation_id": None}):
        kept: dict[str, Any] = {"status": "completed", "lease_until": None, "is_stored": True, "conversation_id": 1}
        assert await found(database, answered(end_sequence=9, **kept | different)) == [], different


@pytest.mark.parametrize(
    "excuse",
    [
        update(usage_record).where(of(SETTLED, usage_record)).values(overrun=True),
        update(budget).values(updated_at=AN_HOUR_AGO),
    ],
    ids=["overrun", "lowered"],
)
async def test_a_limit_may_be_passed_with_a_reason(database: Database, excuse: ClauseElement) -> None:
    await keep_a_sound_ledger(database)

    assert await found(database, excuse, DAMAGES["a limit is passed"][1][0]) == []


async def test_charges_from_before_there_were_reservations_are_sound(database: Database) -> None:
    await keep_a_sound_ledger(database)
    when = {"started_at": AN_HOUR_AGO - timedelta(hours=9), "ended_at": AN_HOUR_AGO}
    early = a_record(ALICE, attempt_id=FOURTH, request_id="req_4", **when)
    async with database.begin() as session:
        await keep(session, [early])

    assert await found(database) == []


async def test_a_day_is_one_of_utc(database: Database) -> None:
    await keep_a_sound_ledger(database)
    midnight = AN_HOUR_AGO.replace(hour=0, minute=0, second=0, microsecond=0)
    moments = [midnight, midnight - timedelta(microseconds=1)]
    early = AN_HOUR_AGO - timedelta(days=2)

    async with database.begin() as session:
        for number, moment in enumerate(moments):
            ids = {"attempt_id": f"early {number}", "request_id": f"early {number}"}
            await keep(session, [a_record(ALICE, started_at=early, ended_at=moment, **ids)])

    assert await found(database) == []


async def test_a_rule_of_the_database_is_there_and_holds(database: Database) -> None:
    await keep_a_sound_ledger(database)
    rule = "ck_reservation_observed_prompt_tokens"
    kept_as = rule if database.is_sqlite else "ck_reservation_amounts"
    await lift(database, "reservation", kept_as)

    told = await found(database, held(observed_prompt_tokens=-1))

    assert [(each.invariant, each.text) for each in told] == [
        ("I13", f"reservation {SETTLED} breaks the rule {rule}"),
        ("I13", f"reservation lacks the rule {kept_as}"),
    ]


async def lift(database: Database, table: str, rule: str) -> None:
    """Take a rule away, as no statement of ours would."""
    if not database.is_sqlite:
        async with database.begin() as session:
            await session.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {rule}"))
        return
    with closing(sqlite3.connect(database.url.partition(":///")[2])) as file:
        file.execute("PRAGMA writable_schema=ON")
        [(sql,)] = file.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,))
        without = re.sub(rf"CONSTRAINT {rule} CHECK \([^()]*\),", "", sql)
        file.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (without, table))
        [(version,)] = file.execute("PRAGMA schema_version")
        # Connections that have the file open read the schema anew.
        file.execute(f"PRAGMA schema_version={version + 1}")
        file.commit()
