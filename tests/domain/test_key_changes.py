"""What keys may do, and how that and their budgets go on when they change."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from llm_backend.domain.account_budgets import AccountBudgets
from llm_backend.domain.allowances import Allowance
from llm_backend.domain.audit import SERVER
from llm_backend.domain.key_terms import KeyChanges
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import InvalidRequest, NotFound
from llm_backend.storage import accounts, audit, budgets
from llm_backend.storage import keys as stored_keys
from llm_backend.storage.moments import db_now
from tests.databases import ON_POSTGRESQL
from tests.domain.parts import MASTER, Parts


async def test_a_caller_bears_the_models_and_limits_of_its_key_and_its_account(parts: Parts) -> None:
    alice, _ = await parts.accounts.create_with_key("alice", parts.keys, requests_per_minute=60)
    made = await parts.keys.create(alice.id, models=["small", "small", "large"], tokens_per_minute=7)

    caller = await parts.authentication.account(made.text)

    assert caller.models == frozenset({"small", "large"})
    assert caller.limits_of_key == Allowance(tokens_per_minute=7)
    assert caller.limits_of_account == Allowance(requests_per_minute=60)
    assert caller.allows("small")
    assert not caller.allows("other")


async def test_a_key_for_all_models_may_use_any(parts: Parts) -> None:
    _, made = await parts.alice()

    caller = await parts.authentication.account(made.text)

    assert caller.allows("whatever")
    assert (caller.models, caller.limits_of_key, caller.limits_of_account) == (None, Allowance(), Allowance())


async def test_what_is_given_of_a_key_is_changed_and_nothing_else(parts: Parts) -> None:
    alice, _ = await parts.alice()
    made = await parts.keys.create(alice.id, "laptop", models=["small"], requests_per_minute=5)

    changed = await parts.keys.update(made.key.public_id, {"models": None, "name": "desk", "scopes": ["models"]})

    assert (changed.name, changed.models, changed.scopes, changed.requests_per_minute) == ("desk", None, ["models"], 5)
    assert await parts.keys.find(made.key.public_id) == changed


async def test_a_revoked_key_is_changed_no_more_and_an_expired_one_may_live_on(parts: Parts) -> None:
    alice, revoked = await parts.alice()
    await parts.keys.revoke(revoked.key.public_id)
    expired = await parts.keys.create(alice.id, expires_at=parts.clock.now() - timedelta(days=1))

    await parts.keys.update(expired.key.public_id, {"expires_at": None})

    assert await parts.authentication.recognises(expired.text)
    with pytest.raises(InvalidRequest, match="not in use"):
        await parts.keys.update(revoked.key.public_id, {"expires_at": None})


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"models": []}, "models"),
        ({"models": ["a\x00"]}, "models"),
        ({"models": [str(n) for n in range(1001)]}, "models"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"tokens_per_minute": 2**53}, "tokens_per_minute"),
        ({"scopes": ["root"]}, "scopes"),
        ({"name": "x" * 81}, "name"),
    ],
)
async def test_what_no_key_may_be_is_refused_by_the_name_of_its_field(
    parts: Parts, wrong: KeyChanges, param: str
) -> None:
    _, made = await parts.alice()

    with pytest.raises(InvalidRequest) as refused:
        await parts.keys.update(made.key.public_id, wrong)

    assert refused.value.param == param


async def test_a_rotated_key_may_do_what_the_old_one_might(parts: Parts) -> None:
    alice, _ = await parts.alice()
    old = await parts.keys.create(alice.id, "laptop", models=["small"], scopes=["inference"], concurrent_requests=2)

    new = await parts.keys.rotate(old.key.public_id)

    for name in ("name", "models", "scopes", "concurrent_requests", "expires_at"):
        assert getattr(new.key, name) == getattr(old.key, name)


async def spend(parts: Parts, account_id: int, subject: str, tokens: int) -> None:
    async with parts.database.begin() as session:
        budget = await budgets.find(session, account_id, subject)
        assert budget is not None
        [period] = await budgets.periods(session, budget.id)
        await budgets.charge(session, period.id, tokens, 0)


async def standing(parts: Parts, account_id: int, key_id: str) -> tuple[int | None, int]:
    """A key's limit and what was used of it."""
    found = await AccountBudgets(parts.database, parts.clock).of(account_id, f"key:{key_id}")
    assert found.period is not None
    return found.budget.token_limit, found.period.used_tokens


async def test_a_rotated_key_goes_on_with_the_budget_and_its_sums(parts: Parts) -> None:
    alice, old = await parts.alice()
    subject = f"key:{old.key.public_id}"
    await AccountBudgets(parts.database, parts.clock).put(alice.id, subject, {"token_limit": 100})
    await spend(parts, alice.id, subject, 30)

    new = await parts.keys.rotate(old.key.public_id)

    assert await standing(parts, alice.id, new.key.public_id) == (100, 30)
    with pytest.raises(NotFound):
        await standing(parts, alice.id, old.key.public_id)


async def test_in_its_grace_an_old_key_has_no_more_than_was_left(parts: Parts) -> None:
    alice, old = await parts.alice()
    subject = f"key:{old.key.public_id}"
    await AccountBudgets(parts.database, parts.clock).put(alice.id, subject, {"token_limit": 100})
    await spend(parts, alice.id, subject, 30)

    new = await parts.keys.rotate(old.key.public_id, grace_seconds=60)

    assert await standing(parts, alice.id, old.key.public_id) == (70, 0)
    assert await standing(parts, alice.id, new.key.public_id) == (100, 30)


async def test_the_time_of_a_revocation_is_the_databases(parts: Parts) -> None:
    _, made = await parts.alice()

    async def now() -> datetime:
        async with parts.database.reading() as session:
            return (await session.execute(select(db_now()))).scalar_one()

    before = await now()
    revoked = await parts.keys.revoke(made.key.public_id)

    assert revoked.revoked_at is not None
    assert before <= revoked.revoked_at <= await now()


WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


@ON_POSTGRESQL
@pytest.mark.parametrize("right", ["key", "account"])
async def test_a_right_is_taken_away_only_where_no_reservation_is_being_made(parts: Parts, right: str) -> None:
    alice, made = await parts.alice()
    async with parts.database.begin() as reserving:
        await accounts.lock_periods(reserving, alice.id)
        taking: asyncio.Task[object] = asyncio.create_task(
            parts.keys.revoke(made.key.public_id) if right == "key" else parts.accounts.close(alice.id)
        )
        async with parts.database.reading() as session:
            while not taking.done() and (await session.execute(WAITS)).scalar_one() == 0:
                pass
        still = (await parts.keys.find(made.key.public_id)).revoked_at, (await parts.accounts.find("alice")).active

    await taking

    assert still == (None, True)
    assert not await parts.authentication.recognises(made.text)


async def test_a_recoverable_key_is_read_again_and_each_reading_is_audited(parts: Parts) -> None:
    keys = Keys(parts.database, Secrets(MASTER), parts.clock, recoverable=True)
    alice = await parts.accounts.create("alice")
    made = await keys.create(alice.id)
    older = await parts.keys.create(alice.id)

    read = await keys.read(await keys.of_account(alice.id), SERVER)

    assert read == {made.key.public_id: made.text}
    assert older.key.sealed is None
    async with parts.database.reading() as session:
        [last, *_] = await audit.newest(session, 1)
    assert (last.operation, last.target_kind, last.target_id) == ("read", "key", made.key.public_id)
    assert await parts.keys.read(await keys.of_account(alice.id), SERVER) == {}


async def test_what_was_sealed_for_one_key_opens_for_no_other_and_is_gone_with_it(parts: Parts) -> None:
    keys = Keys(parts.database, Secrets(MASTER), parts.clock, recoverable=True)
    alice = await parts.accounts.create("alice")
    first, second = await keys.create(alice.id), await keys.create(alice.id)
    assert first.key.sealed is not None
    assert first.text.encode()[-8:] not in first.key.sealed
    async with parts.database.begin() as session:
        await stored_keys.change(session, second.key.public_id, {"sealed": first.key.sealed})

    revoked = await keys.revoke(first.key.public_id)

    assert revoked.sealed is None
    assert await keys.read(await keys.of_account(alice.id), SERVER) == {}
