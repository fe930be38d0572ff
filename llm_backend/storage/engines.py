"""Engines as each database wants them: time limits everywhere, one writer on SQLite."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiosqlite
from sqlalchemy import URL, Connection, PoolResetState, event, make_url
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from llm_backend.database_urls import is_sqlite
from llm_backend.storage.brief import HAS_LOG, patience
from llm_backend.storage.urls import driver_arguments


@dataclass(frozen=True, slots=True)
class Limits:
    """How long anything may take, in seconds, and how many connections there are."""

    connect_seconds: float = 3.0
    statement_seconds: float = 5.0
    lock_seconds: float = 2.0
    idle_in_transaction_seconds: float = 10.0
    busy_seconds: float = 5.0
    """SQLite: how long another process may hold the file."""
    pool_wait_seconds: float = 2.0
    pool_size: int = 10
    """Connections; on SQLite those that read."""


ONE_AT_A_TIME = Limits(pool_size=1)

UNHURRIED = Limits(statement_seconds=0, lock_seconds=0, idle_in_transaction_seconds=0, busy_seconds=60.0, pool_size=1)
"""For migrations: 0 is no limit. They wait for one another, and a large table takes its time."""

PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
"""PostgreSQL: each statement is planned once for every value, and by its index however little a table holds.

Else it plans some at each execution, and others while a table is nearly empty: those go on to read all of it when it is
full, until its statistics are gathered.
"""


def sqlite_writer(url: str, limits: Limits, *, foreign_keys: bool = True) -> AsyncEngine:
    """The one connection of this process that writes.

    Waiting for it includes waiting for the file, which its holder may be doing.
    """
    wait = limits.pool_wait_seconds + limits.busy_seconds
    engine = _engine(url, 1, wait, _sqlite_arguments(limits))
    _prepare_sqlite(
        engine,
        limits,
        "BEGIN IMMEDIATE",
        "PRAGMA journal_mode=WAL",
        # A power cut may not undo what a client was told or charged.
        "PRAGMA synchronous=FULL",
        f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}",
    )
    return engine


def sqlite_reader(url: str, limits: Limits) -> AsyncEngine:
    """Connections that see one state of the file each and can never write to it.

    SQLite before 3.51.3 may lose data when two connections of a file write or checkpoint at once: these do neither.
    """
    engine = _engine(url, limits.pool_size, limits.pool_wait_seconds, _sqlite_arguments(limits))
    _prepare_sqlite(engine, limits, "BEGIN", "PRAGMA query_only=ON")
    return engine


def postgresql(url: str, limits: Limits, planned: Mapping[str, str] = PLANNED_ONCE) -> AsyncEngine:
    """Connections to a server, with limits kept by it and, should it fall silent, by the driver."""
    plain, arguments = _postgresql_arguments(url, limits, planned)
    engine = _engine(plain.render_as_string(hide_password=False), limits.pool_size, limits.pool_wait_seconds, arguments)
    event.listen(engine.sync_engine, "checkout", _refuse_a_closed_connection)
    return engine


async def connect_alone(url: str, limits: Limits) -> Any:
    """A connection of asyncpg that is in no pool. Raises what the driver does."""
    import asyncpg  # noqa: PLC0415 (loaded where it is used only)

    plain, arguments = _postgresql_arguments(url, limits, {})
    _, where = PGDialect_asyncpg().create_connect_args(plain)  # type: ignore[no-untyped-call]
    return await asyncpg.connect(**where, **arguments)


def _postgresql_arguments(url: str, limits: Limits, planned: Mapping[str, str]) -> tuple[URL, dict[str, Any]]:
    plain, tls = driver_arguments(make_url(url))
    answer = limits.statement_seconds + 1 if limits.statement_seconds else None
    return plain, {
        "timeout": limits.connect_seconds,
        "command_timeout": answer,
        "server_settings": {
            "application_name": "llm-backend",
            "statement_timeout": _milliseconds(limits.statement_seconds),
            "lock_timeout": _milliseconds(limits.lock_seconds),
            "idle_in_transaction_session_timeout": _milliseconds(limits.idle_in_transaction_seconds),
            # Statements here are short: compiling them costs more than it saves.
            "jit": "off",
            **planned,
        },
        **tls,
    }


def _engine(url: str, size: int, wait_seconds: float, arguments: dict[str, Any]) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait_seconds,
        connect_args=arguments,
        # A statement's values are people's data; an error that quotes them would end in a log.
        hide_parameters=True,
        # `_end_what_is_open` does.
        pool_reset_on_return=None if is_sqlite(url) else "rollback",
    )


def _sqlite_arguments(limits: Limits) -> dict[str, Any]:
    # Its turns are in the driver's thread or in the loop's, one after the other.
    return {"timeout": limits.busy_seconds, "check_same_thread": False, "async_creator_fn": _open_file}


async def _open_file(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    """A connection of aiosqlite; where none can be made, its thread has ended too.

    Left alone, that thread would report to a loop that may be closed by then, and say so on standard error.
    """
    opening = aiosqlite.connect(*arguments, **options)
    thread = opening._thread  # noqa: SLF001 (the driver offers no way to wait for it)
    # A thread in the middle of a statement does not keep the process from ending.
    thread.daemon = True
    try:
        return await opening
    except Exception:
        await asyncio.to_thread(thread.join)
        raise


def _prepare_sqlite(engine: AsyncEngine, limits: Limits, begin: str, *pragmas: str) -> None:
    def connected(connection: Any, record: ConnectionPoolEntry) -> None:
        # The driver's own guess would begin a transaction late, and without the lock.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.execute("PRAGMA journal_mode")
        # Some file systems cannot have the log.
        record.info[HAS_LOG] = cursor.fetchone() == ("wal",)
        cursor.close()

    def begun(connection: Connection) -> None:
        if text := patience(connection.info, limits.busy_seconds):
            connection.exec_driver_sql(text)
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begun)
    event.listen(engine.sync_engine, "reset", _end_what_is_open)


def _end_what_is_open(connection: Any, _record: object, state: PoolResetState) -> None:
    """Most are given back after their end: those cost no turn of the driver's thread to be told so."""
    if state.asyncio_safe and connection.driver_connection.in_transaction:
        connection.rollback()


def _refuse_a_closed_connection(connection: Any, _record: object, _proxy: object) -> None:
    """A server that restarted has closed its connections: the pool makes new ones, and no request pays for it."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
