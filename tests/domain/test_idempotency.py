"""Who has an idempotency key: one request at a time, and after one that died nobody before its costs are known."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import orjson
import pytest
from sqlalchemy import func, insert, select, update

from llm_backend.domain.idempotency import Idempotency, Keyed, Once
from llm_backend.domain.results import Told
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import ClientLeft, Draining, IdempotencyConflict, Internal, LLMBackendError, UpstreamTimedOut
from llm_backend.storage import idempotency as storage
from llm_backend.storage import usage
from llm_backend.storage.database import Database
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import idempotency_key, reservation
from tests.domain.parts import MASTER
from tests.storage.records import NOON, a_record, an_account, its_period

FINGERPRINT = b"\1" * 32
ANSWER = Told(200, "application/json", b'{"said": "Hello"}')
ATTEMPT = "019cae00-0000-7000-8000-000000000001"


def tell(error: LLMBackendError) -> Told:
    return Told(504, "application/json", str(error).encode())


class Door:
    """Where the requests of an account come in; each is believed to have died as soon as it began, if `dying`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.lasting = Idempotency(database, Secrets(MASTER))
        self.dying = Idempotency(database, Secrets(MASTER), lease_seconds=0)
        self.begun: list[Once] = []

    async def asks(
        self, account_id: int | None = 1, *, key: str = "k-1", request_id: str = "req_1", dies: bool = False
    ) -> Once | Told:
        keyed = Keyed(account_id, key, FINGERPRINT, request_id)
        claimed = await (self.dying if dies else self.lasting).claim(keyed, tell)
        if isinstance(claimed, Once):
            self.begun.append(claimed)
            if dies:
                claimed.leave()
        return claimed

    async def begins(self, account_id: int | None = 1, *, request_id: str = "req_1", dies: bool = False) -> Once:
        once = await self.asks(account_id, request_id=request_id, dies=dies)
        assert isinstance(once, Once)
        return once

    async def code(self, account_id: int) -> str | None:
        with pytest.raises(IdempotencyConflict) as refused:
            await self.asks(account_id)
        return refused.value.code


@pytest.fixture
async def door(database: Database) -> AsyncIterator[Door]:
    opened = Door(database)
    yield opened
    for once in opened.begun:
        once.leave()


async def test_a_request_that_died_before_it_cost_anything_is_run_again_and_comes_back_too_late(door: Door) -> None:
    # Row 45
    died = await door.begins(dies=True)
    second = await door.begins(request_id="req_2")

    await died.answered(Told(200, "text/plain", b"too late"))
    await died.refused(None)
    await second.answered(ANSWER)

    assert await door.asks() == ANSWER


async def test_of_many_that_come_after_one_that_died_one_runs(door: Door) -> None:
    # Row 45
    await door.begins(dies=True)

    came = await asyncio.gather(*(door.asks() for _ in range(20)), return_exceptions=True)

    refused = [each.code for each in came if isinstance(each, IdempotencyConflict)]
    assert refused == ["idempotency_in_progress"] * 19
    assert sum(isinstance(each, Once) for each in came) == 1


async def test_after_one_that_died_nobody_runs_before_its_reservation_is_settled(
    door: Door, database: Database
) -> None:
    # Row 45
    account = await an_account(database)
    await door.begins(account.id, dies=True)
    await _reserve(database, account.id)
    waits = await door.code(account.id)

    period = await its_period(database, account.id)
    async with database.begin() as session:
        await session.execute(update(reservation).values(state="settled"))
        now = (await session.execute(select(db_now()))).scalar_one()
        record = a_record(account.id, basis="crash", account_period_id=period, started_at=now, ended_at=now)
        await usage.add(session, record)

    assert waits == "idempotency_in_progress"
    assert [await door.code(account.id) for _ in range(2)] == ["previous_attempt_incomplete"] * 2


async def test_after_one_that_died_the_next_runs_when_its_reservation_is_voided(door: Door, database: Database) -> None:
    # Row 45
    account = await an_account(database)
    await door.begins(account.id, dies=True)
    await _reserve(database, account.id)
    waits = await door.code(account.id)

    async with database.begin() as session:
        await session.execute(update(reservation).values(state="voided"))
    again = await door.asks(account.id)

    assert waits == "idempotency_in_progress"
    assert isinstance(again, Once)


async def test_a_request_that_runs_says_so_for_as_long_as_it_does(door: Door, database: Database) -> None:
    running = Idempotency(database, Secrets(MASTER), lease_seconds=0.03)
    once = await running.claim(Keyed(1, "k-1", FINGERPRINT, "req_1"), tell)
    assert isinstance(once, Once)
    door.begun.append(once)
    before = await _lease(database)

    while (now := await _lease(database)) == before:
        pass  # reading is what lets it go on

    assert now > before


async def test_what_was_not_settled_is_not_kept(door: Door, database: Database) -> None:
    once = await door.begins()

    async def settle() -> None:
        async with database.begin() as session:
            await once.keep(session, 200, "application/json", ANSWER.body)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await settle()

    assert await door.code(1) == "idempotency_in_progress"


async def test_of_several_attempts_the_last_one_is_kept(door: Door, database: Database) -> None:
    once = await door.begins()

    async with database.begin() as session:
        await once.fail(session, UpstreamTimedOut("Too late."), charged=True)
    between = await door.asks()
    async with database.begin() as session:
        await once.keep(session, 200, ANSWER.content_type, ANSWER.body)

    assert between == Told(504, "application/json", b"Too late.")
    assert await door.asks() == ANSWER


@pytest.mark.parametrize("error", [ClientLeft(), Draining(), None])
async def test_what_ended_before_it_had_an_answer_to_tell_is_not_run_again(
    door: Door, database: Database, error: LLMBackendError | None
) -> None:
    once = await door.begins()

    async with database.begin() as session:
        await once.fail(session, error, charged=True)
    await once.refused(error)

    assert await door.code(1) == "previous_attempt_incomplete"


async def test_an_answer_made_from_the_upstreams_is_kept_as_the_client_got_it(door: Door, database: Database) -> None:
    once = await door.begins()
    once.charged()
    async with database.begin() as session:
        await once.keep(session, 200, "application/json", b"as the upstream put it")

    await once.answered(ANSWER)

    assert await door.asks() == ANSWER


async def test_an_answer_that_was_paid_and_never_made_is_not_run_again(door: Door) -> None:
    once = await door.begins()
    once.charged()

    await once.refused(Internal())

    assert await door.code(1) == "previous_attempt_incomplete"


async def test_neither_key_nor_answer_can_be_read_in_the_database_nor_told_to_another(
    door: Door, database: Database
) -> None:
    await (await door.begins()).answered(ANSWER)
    async with database.begin() as session:
        row = (await session.execute(select(idempotency_key))).mappings().one()
        await session.execute(update(idempotency_key).values(holder="account:2"))

    with pytest.raises(Internal):
        await door.asks(2)

    assert b"k-1" not in row["key_hash"]
    assert b"Hello" not in row["result"]


async def test_a_day_later_a_key_is_as_if_never_used(door: Door, database: Database) -> None:
    await (await door.begins()).answered(ANSWER)
    async with database.begin() as session:
        await session.execute(update(idempotency_key).values(expires_at=NOON))

    assert isinstance(await door.asks(), Once)


async def test_old_keys_are_purged_a_bounded_number_at_a_time_and_never_those_that_run(
    door: Door, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PURGED_AT_ONCE", 2)
    for number in range(3):
        done = await door.asks(key=f"done-{number}")
        assert isinstance(done, Once)
        await done.answered(ANSWER)
    await door.asks(key="running")
    async with database.begin() as session:
        await session.execute(update(idempotency_key).values(expires_at=NOON))
    await door.asks(key="young")

    purged = []
    for _ in range(3):
        async with database.begin() as session:
            purged.append(await storage.purge(session))

    assert purged == [2, 1, 0]
    async with database.reading() as session:
        assert (await session.execute(select(func.count()).select_from(idempotency_key))).scalar_one() == 2


async def _reserve(database: Database, account_id: int) -> None:
    period = await its_period(database, account_id)
    async with database.begin() as session:
        await session.execute(
            insert(reservation).values(
                attempt_id=ATTEMPT,
                account_id=account_id,
                state="dispatched",
                owner="a process that died",
                lease_until=NOON,
                created_at=NOON,
                account_period_id=period,
                reserved_tokens=10,
                reserved_microusd=0,
                observed_prompt_tokens=0,
                observed_completion_tokens=0,
                details=orjson.dumps({"request_id": "req_1"}),
            )
        )


async def _lease(database: Database) -> datetime:
    async with database.reading() as session:
        until: datetime = (await session.execute(select(idempotency_key.c.lease_until))).scalar_one()
    return until
