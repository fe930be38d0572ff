"""Databases for tests: each test gets its own, copied from a template that was migrated once.

PostgreSQL is the server on 127.0.0.1:5432, tried with `SERVERS=1` or `CI=true` only. Its databases have random names
and are dropped when their test ends.
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

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
def migrated_template() -> Iterator[str]:
    """The name of a PostgreSQL database with the newest schema, to be copied."""
    with postgresql_database() as url:
        asyncio.run(schema.upgrade(url))
        yield url.rpartition("/")[2]


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database, on SQLite and on PostgreSQL in turn."""
    if request.param == "sqlite":
        file = tmp_path / "test.db"
        shutil.copy(request.getfixturevalue("migrated_file"), file)
        yield f"sqlite:///{file}"
        return
    with postgresql_database(request.getfixturevalue("migrated_template")) as url:
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


async def _order(statement: str) -> None:
    """Have the server make or drop a database: statements that take no parameters and no transaction."""
    connection = await asyncpg.connect(f"postgresql://{SERVER}/postgres")
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
