"""Databases for tests: each test gets its own, migrated and empty.

On SQLite it is a copy of a file that was migrated once. PostgreSQL is the server on 127.0.0.1:5432, tried with
`SERVERS=1` or `CI=true` only. Its databases have random names; one test after the other is lent them, and they are
dropped at the end.
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from llm_backend.storage import schema
from llm_backend.storage.database import Database

SERVER = f"{os.environ.get('PGUSER', 'postgres')}@127.0.0.1:5432"

SERVERS_ARE_TRIED = os.environ.get("CI") == "true" or os.environ.get("SERVERS") == "1"

BOTH = [
    "sqlite",
    pytest.param(
        "postgresql",
        marks=pytest.mark.skipif(not SERVERS_ARE_TRIED, reason="PostgreSQL is tried with SERVERS=1 or CI=true"),
    ),
]

ON_SQLITE = pytest.mark.parametrize("database_url", BOTH[:1], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", BOTH[1:], indirect=True)
"""For what only one of the two can show."""


EMPTY = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid();
SET session_replication_role = replica;
SET synchronous_commit = off;
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
    PERFORM setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace;
END $$
"""
"""Ends what still uses the database, takes all rows, whatever refers to them, and takes the counters back."""

SHAPE = """
SELECT string_agg(row, ' ' ORDER BY row) FROM (
    SELECT concat('relation', oid, ' ', xmin) FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat('column', attrelid, ' ', attnum, ' ', a.xmin)
      FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat('rule', oid, ' ', xmin) FROM pg_constraint
    UNION ALL SELECT concat('trigger', oid, ' ', xmin) FROM pg_trigger
    UNION ALL SELECT concat('function', oid, ' ', xmin) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat('setting', setdatabase, ' ', xmin) FROM pg_db_role_setting
    UNION ALL SELECT concat('schema', oid, ' ', xmin) FROM pg_namespace WHERE nspname NOT LIKE 'pg_temp_%'
    UNION ALL SELECT query_to_xml('TABLE alembic_version', false, false, '')::text
     WHERE to_regclass('alembic_version') IS NOT NULL
) AS rows (row)
"""
"""Changes with every change of a table, a column, a rule or a setting, even one that was taken back."""


@dataclass(frozen=True, slots=True)
class Emptied:
    """A database, and the connection that empties it: one for each time would take ten times as long."""

    url: str
    connection: Any
    shape: str
    """Of its tables, as it was made."""


class Lending:
    """Migrated databases on PostgreSQL, emptied after each test: making one takes longer than most tests do."""

    def __init__(self, template: str, stack: ExitStack) -> None:
        """New ones are as `template` is, and dropped with `stack`."""
        self._template = template
        self._stack = stack
        self._runner = stack.enter_context(asyncio.Runner(loop_factory=asyncio.new_event_loop))
        """Of the connections, which outlive the loops of the tests."""
        self._free: list[Emptied] = []

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The URL of one that nobody else uses. It is lent again where its tables are still what they were."""
        one = self._free.pop() if self._free else self._new()
        yield one.url
        if self._runner.run(_emptied(one.connection)) == one.shape:
            self._free.append(one)

    def _new(self) -> Emptied:
        url = self._stack.enter_context(postgresql_database(self._template))
        connection = self._runner.run(asyncpg.connect(url))
        self._stack.callback(lambda: self._runner.run(connection.close()))
        return Emptied(url, connection, self._runner.run(_emptied(connection)))


@contextmanager
def postgresql_database(template: str = "template1") -> Iterator[str]:
    """The URL of a new database of a random name, as `template` is; dropped at the end."""
    name = f"llm_backend_test_{secrets.token_hex(6)}"
    asyncio.run(_order(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield f"postgresql://{SERVER}/{name}"
    finally:
        asyncio.run(_order(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema, to be copied."""
    file = tmp_path_factory.mktemp("template") / "migrated.db"
    asyncio.run(schema.upgrade(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def lending() -> Iterator[Lending]:
    """PostgreSQL databases with the newest schema."""
    with postgresql_database() as url, ExitStack() as stack:
        asyncio.run(schema.upgrade(url))
        yield Lending(url.rpartition("/")[2], stack)


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database, on SQLite and on PostgreSQL in turn."""
    if request.param == "sqlite":
        file = tmp_path / "test.db"
        shutil.copy(request.getfixturevalue("migrated_file"), file)
        yield f"sqlite:///{file}"
        return
    lending: Lending = request.getfixturevalue("lending")
    with lending.lent() as url:
        yield url


@pytest.fixture(params=BOTH)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database in which nothing is yet; the SQLite file does not even exist."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with postgresql_database() as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database, closed after the test."""
    opened = Database(database_url)
    yield opened
    await opened.close()


async def _emptied(connection: Any) -> str:
    """The shape of the database, in which there is no row any more; what is left of it where it cannot be emptied."""
    await connection.execute(EMPTY)
    return str(await connection.fetchval(SHAPE))


async def _order(statement: str) -> None:
    """Have the server make or drop a database: statements that take no parameters and no transaction."""
    connection = await asyncpg.connect(f"postgresql://{SERVER}/postgres")
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
