"""Where the events of all responses of a process are kept, and who is told that there are more."""

import asyncio

from llm_backend.domain.responses.arrivals import Arrivals, within
from llm_backend.domain.responses.turns import Turns
from llm_backend.storage.database import Database
from llm_backend.storage.notices import Notices

LOOK_SECONDS = 0.25
"""How often is looked for what another process has kept, of which nobody may have told."""


class EventLog:
    """Of one process."""

    def __init__(self, database: Database, owner: str, look_seconds: float = LOOK_SECONDS) -> None:
        """`owner`: what this process is known by; `look_seconds`: how often who waits looks, told of more or not."""
        self.database = database
        self.owner = owner
        self.look_seconds = look_seconds
        self.turns = Turns(database, owner)
        """What is to be kept of all of them waits for these."""
        self.is_closed = False
        """Whether nobody reads here any more."""
        self.arrivals = Arrivals()
        """Who waits here for more of them."""
        self._notices: Notices | None = None
        if not database.is_sqlite:
            self._notices = Notices(database, owner, self.arrivals.wake, self.arrivals.wake_all)

    async def more(self, arrival: asyncio.Event, owner: str | None) -> None:
        """Returns when `arrival`, of a response that `owner` makes, is there, or when it is time to look again."""
        if self._notices is not None and owner != self.owner:
            self._notices.listen()
        await within(arrival, self.look_seconds)

    def wake(self, public_id: str, *, elsewhere: bool = True) -> None:
        """Tell whoever waits that there is more. `elsewhere`: of what others may have known before."""
        self.arrivals.wake(public_id)
        if self._notices is not None and elsewhere:
            self._notices.tell(public_id)

    def close(self) -> None:
        """Have whoever reads read elsewhere."""
        self.is_closed = True
        self.arrivals.wake_all()

    async def disconnect(self) -> None:
        """Hear no more of other processes."""
        if self._notices is not None:
            await self._notices.close()
