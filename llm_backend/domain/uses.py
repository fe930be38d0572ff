"""On which day each key was last used: noted beside the requests, which do not wait for it."""

from llm_backend.domain.clock import Clock
from llm_backend.storage import keys
from llm_backend.storage.database import Database
from llm_backend.storage.keys import Key


class Uses:
    """Notes a key once a day. What is to be noted while a note is being written is the next, all of it together."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._unwritten: set[str] = set()
        self._is_writing = False

    def note(self, key: Key) -> None:
        """It is used now."""
        if key.last_used_on is not None and key.last_used_on >= self._clock.now().date():
            return
        self._unwritten.add(key.public_id)
        if not self._is_writing:
            self._is_writing = True
            self._database.start(self._write_all())

    async def _write_all(self) -> None:
        try:
            while self._unwritten:
                some, self._unwritten = self._unwritten, set()
                today = self._clock.now().date()
                await self._database.write(keys.noting(some, today, is_sqlite=self._database.is_sqlite))
        finally:
            self._is_writing = False
