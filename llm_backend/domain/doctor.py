"""Looks whether the books are as they have to be, and changes nothing."""

from llm_backend.domain.snapshots import snapshot
from llm_backend.storage import invariants
from llm_backend.storage.database import Database
from llm_backend.storage.invariants import Violation

__all__ = ["Doctor", "Violation"]


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
