"""The events of a response, read again from any of them on: while it is still made, by whichever process, or after."""

from collections.abc import AsyncGenerator

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.responses.event_log import EventLog
from llm_backend.errors import Draining, InvalidRequest, NotFound
from llm_backend.storage import response_events, responses
from llm_backend.storage.response_events import Events
from llm_backend.storage.responses import Response
from llm_backend.streaming.sse import KEEP_ALIVE

SILENT_LOOKS = 60
"""After so many that found nothing, the client is sent a sign of life."""

AT_ONCE = 32
"""Groups of events read at a time."""

FARTHEST = 2**62
"""No response has an event of this number."""


class Reader:
    """One client's."""

    def __init__(self, log: EventLog, found: Response, last: int) -> None:
        """`last`: the number of the last event that the client has; -1 for none.

        Whoever has more than was kept of one that has ended, as its process died, is told the last event of all.

        Raises InvalidRequest where its events are not kept.
        """
        self._log = log
        self._found = found
        self._last = min(last, FARTHEST)
        _refuse_unkept(found)

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Whole events, in order, none twice and none left out.

        Raises Draining when this server stops, and NotFound or InvalidRequest where the rest is gone: whoever reads is
        not to take that for the end.
        """
        with self._log.arrivals.read(self._found.public_id) as arrival:
            looks = 0
            while True:
                # Asked first, both: what ends at the close is told its end, and what comes meanwhile is looked for.
                arrival.clear()
                is_last = self._log.is_closed
                some, is_over = await self._log.database.detached(self._more())
                for events in some:
                    yield _behind(events, self._last)
                    self._last = events.last
                if is_over and len(some) < AT_ONCE:
                    return
                if some:
                    looks = 0
                elif is_last:
                    raise Draining
                else:
                    looks += 1
                    await self._log.more(arrival, self._found.owner)
                if looks == SILENT_LOOKS:
                    looks = 0
                    yield KEEP_ALIVE

    async def _more(self) -> tuple[list[Events], bool]:
        """Some that follow, and whether nothing follows these any more."""
        async with self._log.database.reading() as session:
            # Asked first: all that there will be is there when it has ended.
            is_over = await self._is_over(session)
            some = await self._after(session, self._last)
            return (some or await self._ending(session)) if is_over else some, is_over

    async def _ending(self, session: AsyncSession) -> list[Events]:
        """The last event of one that has ended, where the client has more than was kept; else none."""
        last = await response_events.last(session, self._found.account_id, self._found.id)
        if last >= self._last:
            return []
        self._last = last - 1
        return await self._after(session, self._last)

    async def _after(self, session: AsyncSession, last: int) -> list[Events]:
        return await response_events.after(session, self._found.account_id, self._found.id, last, AT_ONCE)

    async def _is_over(self, session: AsyncSession) -> bool:
        found = await responses.find(session, self._found.account_id, self._found.public_id)
        if found is None:
            raise NotFound.of("response_id")
        _refuse_unkept(found)
        self._found = found
        return found.ended_at is not None


def _refuse_unkept(found: Response) -> None:
    if found.events_until is None:
        message = "The events of this response are not kept: it did not stream, or too long ago, or there are too many."
        raise InvalidRequest(message, param="stream", code="unsupported_value")


def _behind(events: Events, last: int) -> bytes:
    """The frames behind that number: each ends with an empty line, which there is none of within."""
    known = last + 1 - events.first
    if known <= 0:
        return events.frames
    return events.frames.split(b"\n\n", known)[known]
