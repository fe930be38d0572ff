"""Brief transactions of SQLite run in the loop's thread: two that take turns at one interpreter cost more than they do.

The driver's thread waits for the disk, so that nobody is held up who does not wait for it too. Whoever is alone in the
process waits for it here: there is nobody to be held up, and neither thread has to be woken by the other.
"""

import sqlite3
import time
from typing import Any, TypeVar

from sqlalchemy import PoolProxiedConnection

from llm_backend.storage.driver import Plan, run_through, written

T = TypeVar("T")

SLOW_SECONDS = 0.05
"""A commit that takes longer than this belongs into the driver's thread, whoever is alone."""
WARY_SECONDS = 60.0
"""How long that holds for the commits after it."""
IS_PATIENT = "is_patient"
"""Under this name a connection has whether it waits for another process that has the file."""
HAS_LOG = "has_log"
"""Under this name a connection has whether its file has a write-ahead log: without one, readers are waited for too."""


class Brief:
    """Of one database."""

    def __init__(self) -> None:
        self._wary_until = 0.0

    async def written(self, lent: PoolProxiedConnection, plan: Plan[T], busy_seconds: float) -> T:
        """As `driver.written`, of a few statements on a few rows: they run here, the driver's thread has the disk."""
        driver: Any = lent.driver_connection
        connection = driver._conn  # noqa: SLF001
        if not _has_begun(lent, connection):
            return await waiting(lent, plan, busy_seconds)
        result = run_through(connection, plan)
        await driver._execute(connection.execute, "COMMIT")  # noqa: SLF001
        return result

    @property
    def is_quick(self) -> bool:
        """Whether nothing is known against waiting for the disk here."""
        return time.monotonic() >= self._wary_until

    def written_at_once(self, lent: PoolProxiedConnection, plan: Plan[T]) -> T | None:
        """What `plan` returns, which is not None, committed; None where somebody may have to be waited for.

        Raises what the driver does; then the transaction may be open still.
        """
        driver: Any = lent.driver_connection
        connection = driver._conn  # noqa: SLF001
        if not _has_begun(lent, connection):
            return None
        result = run_through(connection, plan)
        begun = time.monotonic()
        connection.execute("COMMIT")
        now = time.monotonic()
        if now - begun > SLOW_SECONDS:
            self._wary_until = now + WARY_SECONDS
        return result


async def waiting(lent: PoolProxiedConnection, plan: Plan[T], busy_seconds: float) -> T:
    """As `driver.written`, with as much patience for another process that has the file."""
    driver: Any = lent.driver_connection
    if text := patience(lent.info, busy_seconds):
        driver._conn.execute(text)  # noqa: SLF001
    return await written(lent, plan, is_sqlite=True)


def patience(info: dict[Any, Any], busy_seconds: float) -> str | None:
    """What tells a connection to wait for the file that was told not to; None where it does."""
    if info.get(IS_PATIENT, True):
        return None
    info[IS_PATIENT] = True
    return f"PRAGMA busy_timeout={int(busy_seconds * 1000)}"


def _has_begun(lent: PoolProxiedConnection, connection: Any) -> bool:
    """Whether a transaction could begin at once, which then ends without waiting for anybody but the disk."""
    if not lent.info[HAS_LOG]:
        return False
    if lent.info.get(IS_PATIENT, True):
        lent.info[IS_PATIENT] = False
        connection.execute("PRAGMA busy_timeout=0")
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True
