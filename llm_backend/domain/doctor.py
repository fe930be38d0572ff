"""Looks whether the books are as they have to be, and changes nothing."""

import structlog

from llm_backend.domain.snapshots import snapshot
from llm_backend.metrics import Metrics
from llm_backend.storage import invariants
from llm_backend.storage.database import Database
from llm_backend.storage.engines import UNHURRIED
from llm_backend.storage.invariants import Violation

__all__ = ["DailyCheck", "Doctor", "Violation"]

log = structlog.get_logger("llm_backend.doctor")


class DailyCheck:
    """Tells the monitoring how many violations there are."""

    def __init__(self, url: str, metrics: Metrics) -> None:
        self._url = url
        self._metrics = metrics

    async def count(self) -> None:
        """Look, and set the gauge. Raises Unavailable."""
        # On a connection of its own: it may take longer than a statement of a request.
        database = Database(self._url, UNHURRIED)
        try:
            found = await Doctor(database).violations()
        finally:
            await database.close()
        self._metrics.violations.set(len(found))
        for violation in found:
            log.error("accounting_violation", invariant=violation.invariant, violation=violation.text)


class Doctor:
    """Asks the database for every violation of an invariant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def violations(self) -> list[Violation]:
        """All of them, as of one moment, by invariant. Raises as `Database.begin`."""
        return await self._database.detached(self._violations())

    async def _violations(self) -> list[Violation]:
        async with snapshot(self._database) as session:
            return await invariants.violations(session)
