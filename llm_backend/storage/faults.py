"""Which failures of a driver mean that the database is away, and which are faults of our own."""

import sqlite3
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimedOut

from llm_backend.errors import DatabaseUnavailable, Overloaded

SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)

POSTGRESQL_AWAY = (
    "08",  # the connection
    "25P0",  # idle in a transaction for too long
    "28",  # our credentials are refused
    "3D",  # the database is gone
    "40",  # deadlock, serialisation
    "53",  # out of connections, disk or memory
    "55P03",  # lock_timeout
    "57",  # statement_timeout, shutdown, start-up
    "58",  # the server's own system
)
"""Beginnings of SQLSTATEs that say nothing against the statement itself."""

CONTENTION = frozenset({"55P03", "40P01"})
"""PostgreSQL's lock_timeout and deadlock: the connection is as good as before."""

LOCKED_RETRY_SECONDS = 1


class _Told:
    """A context in which failures become errors of ours. One for all, and without a generator: it is on the hot way."""

    __slots__ = ("_tell",)

    def __init__(self, tell: Callable[[BaseException], None]) -> None:
        """`tell` raises what a failure means; where it returns, the failure passes as it is."""
        self._tell = tell

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            self._tell(error)


def _tell(error: BaseException) -> None:
    if isinstance(error, PoolTimedOut):
        raise Overloaded("Too many requests wait for the database.") from error
    if isinstance(error, DBAPIError) and _is_away(error):
        raise _locked_or_away(error.orig) from error
    if isinstance(error, ConnectionError | TimeoutError):
        raise DatabaseUnavailable from error


def _tell_of_driver(error: BaseException) -> None:
    # By what it says and not by its class: asyncpg is loaded only where it is used.
    if _says_away(error):
        raise _locked_or_away(error) from error


def _tell_of_connecting(error: BaseException) -> None:
    if isinstance(error, OSError):
        raise DatabaseUnavailable from error


TOLD = _Told(_tell)
"""Failures of database, driver and pool are DatabaseUnavailable or Overloaded; others pass."""
TOLD_BY_DRIVER = _Told(_tell_of_driver)
"""As `TOLD`, for statements that go to the driver without SQLAlchemy between."""
TOLD_ON_CONNECTING = _Told(_tell_of_connecting)
"""As `TOLD`, where every failure of the system (no route, no such host or socket) means the same."""


def is_broken(error: BaseException) -> bool:
    """Whether the connection that failed so is not to be spoken to again, not even to roll back."""
    return isinstance(error, DatabaseUnavailable) and isinstance(error.__cause__, OSError)


def is_contention(error: Exception) -> bool:
    """Whether the database is there, and only what the transaction wanted was held by another for too long."""
    cause = error.__cause__
    state = getattr(cause.orig if isinstance(cause, DBAPIError) else cause, "sqlstate", None)
    return state in CONTENTION


def is_no_database(error: DatabaseUnavailable) -> bool:
    """Whether the file is something else than a SQLite database."""
    orig = getattr(error.__cause__, "orig", None)
    return isinstance(orig, sqlite3.Error) and _sqlite_code(orig) == sqlite3.SQLITE_NOTADB


def _is_away(error: DBAPIError) -> bool:
    return error.connection_invalidated or _says_away(error.orig)


def _says_away(error: BaseException | None) -> bool:
    """Of the driver's own errors."""
    if isinstance(error, sqlite3.Error):
        return _sqlite_code(error) in SQLITE_AWAY
    state = getattr(error, "sqlstate", None)
    if state is None:
        # asyncpg speaks without the server only where there is no server to speak to.
        return type(error).__name__ in {"InterfaceError", "InternalClientError"}
    return str(state).startswith(POSTGRESQL_AWAY)


def _locked_or_away(error: BaseException | None) -> DatabaseUnavailable:
    if isinstance(error, sqlite3.Error) and _sqlite_code(error) == sqlite3.SQLITE_BUSY:
        return DatabaseUnavailable("The database is locked.", retry_after_seconds=LOCKED_RETRY_SECONDS)
    return DatabaseUnavailable()


def _sqlite_code(error: sqlite3.Error) -> int:
    """The primary result code: extended ones have it in their low byte."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF
