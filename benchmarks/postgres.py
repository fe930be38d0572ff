"""Databases on a PostgreSQL that runs already: of random names, dropped at the end."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg

SERVER = "postgresql://postgres@127.0.0.1:5432/postgres"
_SECONDS = 5


def is_reachable(server: str) -> bool:
    """Whether a PostgreSQL answers at `server`, the URL of a database where others can be made from."""
    try:
        asyncio.run(_ordered(server, "SELECT 1"))
    except (OSError, asyncpg.PostgresError):
        return False
    return True


@contextmanager
def database(server: str) -> Iterator[str]:
    """The URL of a new, empty one."""
    name = f"llm_backend_bench_{secrets.token_hex(6)}"
    asyncio.run(_ordered(server, f'CREATE DATABASE "{name}"'))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        asyncio.run(_ordered(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _ordered(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server, timeout=_SECONDS)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
