"""Plans that are transactions of their own, beside sessions that write."""

import asyncio
import sqlite3
from contextlib import closing, suppress

import asyncpg
import pytest
from sqlalchemy import Double, bindparam, column, func, insert, make_url, select, table, text

from llm_backend.errors import DatabaseUnavailable, Overloaded
from llm_backend.storage import accounts
from llm_backend.storage.database import Database
from llm_backend.storage.driver import Hot, Plan
from llm_backend.storage.ledger import statements
from llm_backend.storage.ledger_writes import SUMS, Writes
from llm_backend.storage.tables import account, usage_day
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.storage.records import NOON
from tests.storage.sessions import names, opened
from tests.storage.silence import Passage

BRIEF = pytest.mark.parametrize("turn", [{}, {"is_brief": True}], ids=["handed over", "brief"])
"""SQLite runs what is brief in the loop's thread."""


def adding(database: Database, name: str, *, fails: bool = False) -> Plan[list[str]]:
    """Adds an account and returns whose there are then."""
    values = {"name": name, "created_at": NOON}
    yield Hot(insert(account), is_sqlite=database.is_sqlite, keys=list(values)), [values]
    rows = yield Hot(select(account.c.name).order_by(account.c.id), is_sqlite=database.is_sqlite), {}
    if fails:
        raise LookupError
    return [row[0] for row in rows]


@BRIEF
async def test_what_a_plan_writes_is_kept_and_it_sees_it_at_once(database: Database, turn: dict[str, bool]) -> None:
    seen = [await database.write(adding(database, name), **turn) for name in ("alice", "bob")]

    assert seen == [["alice"], ["alice", "bob"]]
    assert await names(database) == ["alice", "bob"]


@BRIEF
async def test_of_a_plan_that_raises_nothing_is_left_and_the_next_is_not_hindered(
    database: Database, turn: dict[str, bool]
) -> None:
    with pytest.raises(LookupError):
        await database.write(adding(database, "alice", fails=True), **turn)
    with suppress(LookupError):
        await database.write(adding(database, "bob", fails=True), **turn)

    assert await database.write(adding(database, "carol"), **turn) == ["carol"]


@BRIEF
async def test_a_plan_that_its_caller_left_is_kept_or_not_and_leaves_no_transaction_open(
    database: Database, turn: dict[str, bool]
) -> None:
    left = asyncio.create_task(database.write(adding(database, "alice"), **turn))
    await asyncio.sleep(0)
    left.cancel()
    with suppress(asyncio.CancelledError):
        await left

    assert await database.write(adding(database, "bob"), **turn) in (["bob"], ["alice", "bob"])
    async with database.begin() as session:
        await accounts.add(session, "carol", NOON)
    assert (await names(database))[-2:] == ["bob", "carol"]


@BRIEF
@ON_SQLITE
async def test_a_plan_waits_for_the_session_that_writes_no_longer_than_another_session_would(
    database_url: str, turn: dict[str, bool]
) -> None:
    async with opened(database_url) as database:
        async with database.begin():
            with pytest.raises(Overloaded):
                await database.write(adding(database, "alice"), **turn)

        assert await database.write(adding(database, "bob"), **turn) == ["bob"]


@BRIEF
@ON_SQLITE
async def test_a_plan_does_not_get_past_another_process_that_holds_the_file(
    database_url: str, turn: dict[str, bool]
) -> None:
    with closing(sqlite3.connect(str(make_url(database_url).database), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with opened(database_url) as database:
            with pytest.raises(DatabaseUnavailable) as refused:
                await database.write(adding(database, "alice"), **turn)
            other.execute("ROLLBACK")

            assert await database.write(adding(database, "bob"), **turn) == ["bob"]

    assert refused.value.retry_after_seconds == 1


@ON_SQLITE
async def test_nobody_else_waits_while_a_brief_plan_waits_for_another_process(database_url: str) -> None:
    with closing(sqlite3.connect(str(make_url(database_url).database), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with opened(database_url) as database:
            waiting = asyncio.create_task(database.write(adding(database, "alice"), is_brief=True))
            await asyncio.sleep(0.01)
            was_waiting = not waiting.done()
            # Which it could not, were the loop held.
            other.execute("ROLLBACK")

            assert await waiting == ["alice"]
    assert was_waiting


@ON_POSTGRESQL
async def test_a_server_that_falls_silent_takes_no_plan_and_the_next_once_it_is_found_again(database_url: str) -> None:
    async with Passage().listening() as passage:
        url = make_url(database_url).set(port=passage.port).render_as_string(hide_password=False)
        async with opened(url) as database:
            await database.write(adding(database, "alice"))
            passage.is_open.clear()
            with pytest.raises(DatabaseUnavailable):
                await database.write(adding(database, "bob"))
            passage.is_open.set()

            assert await database.write(adding(database, "carol")) == ["alice", "carol"]


@ON_POSTGRESQL
async def test_a_statement_is_planned_by_its_index_while_its_table_is_still_empty(database: Database) -> None:
    some = ", ".join(f"'{number}'" for number in range(20))
    async with database.reading() as session:
        plan = await session.execute(text(f"EXPLAIN SELECT state FROM reservation WHERE attempt_id IN ({some})"))  # noqa: S608

        assert "Seq Scan" not in str(plan.all())
        # And only once, whatever its values are.
        assert (await session.execute(text("SHOW plan_cache_mode"))).scalar_one() == "force_generic_plan"


@pytest.mark.parametrize(("is_sqlite", "steps"), [(True, 3), (False, 1)])
def test_what_a_transaction_writes_takes_a_server_one_statement(is_sqlite: bool, steps: int) -> None:  # noqa: FBT001
    added = {f"add_{name}": 1 for name in SUMS}
    writes = Writes(
        closed=[{"attempt": "a", "to": "settled"}, {"attempt": "b", "to": "voided"}],
        days=[dict.fromkeys(map(str, usage_day.c.keys()), 1)],
        moves=[{"period": 1, "now_warned_tokens": False, "now_warned_microusd": False, **added}],
    )

    assert len(list(statements(is_sqlite=is_sqlite).write(writes))) == steps
    assert list(statements(is_sqlite=is_sqlite).write(Writes())) == []


@ON_POSTGRESQL
async def test_a_statement_whose_table_was_altered_is_asked_as_it_is_now(database: Database) -> None:
    hot = Hot(select(column("what")).select_from(table("altered")), is_sqlite=False)

    def asked() -> Plan[list[object]]:
        rows = yield hot, {}
        return [row[0] for row in rows]

    async with database.begin() as session:
        await session.execute(text("CREATE TABLE altered AS SELECT 1 AS what"))
    before = await database.write_one(asked())
    async with database.begin() as session:
        await session.execute(text("ALTER TABLE altered ALTER what TYPE text"))

    assert before == [1]
    assert [await database.write_one(asked()) for _ in range(2)] == [["1"], ["1"]]


@ON_POSTGRESQL
async def test_a_statement_that_failed_is_prepared_anew_for_the_next(database: Database) -> None:
    hot = Hot(select(func.sqrt(bindparam("of", type_=Double))), is_sqlite=False)

    def asked(of: float) -> Plan[object]:
        rows = yield hot, {"of": of}
        return rows[0][0]

    with pytest.raises(asyncpg.DataError):
        await database.write_one(asked(-1))

    assert await database.write_one(asked(9)) == 3
