"""After an erasure nobody is there to be found, and every sum is what it was."""

import orjson
import pytest

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.erasure import Erased, Erasure, StillRunning
from llm_backend.errors import NotFound, Unauthenticated
from llm_backend.storage import tables
from tests.domain.belongings import ADMIN, furnished, rows, running, violations
from tests.domain.parts import Parts

THE_BOOKS = {"account", "budget", "budget_period", "reservation", "usage_record", "usage_day"}


@pytest.fixture
def erasure(parts: Parts) -> Erasure:
    return Erasure(parts.database, Accounts(parts.database, parts.clock), parts.clock)


async def test_of_an_erased_account_the_books_stay_and_nothing_else(parts: Parts, erasure: Erasure) -> None:
    key = (await parts.accounts.create_with_key("bob", parts.keys))[1]
    await furnished(parts, ended_for=("s1", "s2", None, "s1"))
    [sums] = [row for row in await rows(parts.database, "budget_period", "account_id", "used_tokens") if row[0] == 2]

    erased = await erasure.account(2, ADMIN)

    assert erased == Erased(
        conversations=1, items=1, responses=1, keys=1, users=1, results=1, objects=1, events=1, names=3
    )
    for table in set(tables.metadata.tables.values()) - {tables.account}:
        if "account_id" in table.c and table.name not in THE_BOOKS:
            assert [row for row in await rows(parts.database, table.name, "account_id") if row == (2,)] == []
    assert await rows(parts.database, "idempotency_key", "holder") == []
    account = (await rows(parts.database, "account", "name", "active", "course"))[1]
    assert account == ("erased-2", False, None)
    assert sums in await rows(parts.database, "budget_period", "account_id", "used_tokens")
    assert await violations(parts.database) == []
    assert {name for (name,) in await rows(parts.database, "usage_day", "end_user")} == {""}
    assert {details for (details,) in await rows(parts.database, "reservation", "details")} == {b"{}"}
    *_, noted = await rows(parts.database, "audit_record", "actor", "operation", "target_kind", "target_id", "fields")
    assert noted == (
        "admin",
        "erase",
        "account",
        "2",
        ["conversations", "events", "items", "keys", "names", "objects", "responses", "results", "users"],
    )
    # Of others, nothing went.
    assert (await parts.authentication.account(key.text)).account_name == "bob"


async def test_an_account_is_erased_again_and_nothing_more_happens(parts: Parts, erasure: Erasure) -> None:
    account, key = await parts.alice()
    await erasure.account(account.id, ADMIN)

    again = await erasure.account(account.id, ADMIN)

    assert again == Erased()
    with pytest.raises(Unauthenticated):
        await parts.authentication.account(key.text)


async def test_an_account_whose_requests_run_is_closed_and_erased_when_they_have_ended(
    parts: Parts, erasure: Erasure
) -> None:
    account_id = await furnished(parts)
    await running(parts.database, account_id, None)

    with pytest.raises(StillRunning) as refused:
        await erasure.account(account_id, ADMIN)

    assert (refused.value.code, refused.value.retry_after_seconds) == ("requests_running", 20)
    assert await rows(parts.database, "account", "name", "active") == [("alice", False)]
    assert len(await rows(parts.database, "item")) == 1


async def test_of_an_erased_user_no_name_is_left_anywhere(parts: Parts, erasure: Erasure) -> None:
    await furnished(parts, ended_for=("alice-1", "alice-1", "s2", None))
    await furnished(parts, "bob", ended_for=("alice-1",))
    user = await erasure.known("alice-1")
    details = orjson.dumps({"end_user": "alice-1"})
    async with parts.database.begin() as session:
        await session.execute(tables.reservation.update().values(details=details))

    erased = await erasure.user(user.id, ADMIN)

    assert erased == Erased(users=1, names=3)
    assert await rows(parts.database, "account_user", "code") == [("bob-1",)]
    assert {name for (name,) in await rows(parts.database, "usage_record", "end_user")} == {None, "s2"}
    assert [row for row in await rows(parts.database, "reservation", "attempt_id") if row[0] == "alice-0"]
    kept = dict(await rows(parts.database, "reservation", "attempt_id", "details"))
    assert {attempt for attempt, known in kept.items() if known == details} == {"alice-2", "alice-3"}
    assert await violations(parts.database) == []
    assert len(await rows(parts.database, "item")) == 2
    with pytest.raises(NotFound):
        await erasure.user(user.id, ADMIN)


async def test_a_user_for_whom_a_request_runs_is_not_erased(parts: Parts, erasure: Erasure) -> None:
    account_id = await furnished(parts)
    await running(parts.database, account_id, "alice-1")

    with pytest.raises(StillRunning):
        await erasure.user((await erasure.known("alice-1")).id, ADMIN)

    assert await rows(parts.database, "account_user", "code") == [("alice-1",)]


async def test_nobody_is_not_erased(erasure: Erasure) -> None:
    for work in (erasure.account(7, ADMIN), erasure.user(7, ADMIN), erasure.known("nobody")):
        with pytest.raises(NotFound):
            await work
