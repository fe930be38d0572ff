"""Chat completions whose streams can be resumed: begun, and read on from any event by their account."""

import re
from collections.abc import AsyncGenerator
from functools import partial
from typing import NamedTuple

from llm_backend.domain.clock import Clock
from llm_backend.domain.completions.gathering import GatheredCompletion
from llm_backend.domain.completions.keeping import ID_PREFIX
from llm_backend.domain.completions.resumable import Record, ResumableCompletion
from llm_backend.domain.completions.stored import StoredCompletions, without_ours
from llm_backend.domain.exchanges import Exchanges
from llm_backend.domain.responses.making import Made, Making
from llm_backend.domain.responses.reading import Reader
from llm_backend.domain.trades import CHAT
from llm_backend.domain.work import Work
from llm_backend.errors import InvalidRequest, NotFound
from llm_backend.storage import responses
from llm_backend.storage.responses import Response

LAST_EVENT_ID, RESUMABLE = "last-event-id", "x-resumable"
"""The headers that ask for the rest of a stream, and for one that can be resumed."""

_PLACE = re.compile(rf"({ID_PREFIX}[A-Za-z0-9]{{1,64}})(?::([0-9]{{1,15}}))?")


class Place(NamedTuple):
    """Where a client stands."""

    stream_id: str
    last: int
    """The number of the last event that it has; -1 for none."""

    @classmethod
    def of(cls, written: str) -> "Place":
        """What `last-event-id` says. Raises InvalidRequest."""
        found = _PLACE.fullmatch(written)
        if found is None:
            message = "This is no event's id: it is a stream's, a colon and a number; or a stream's alone."
            raise InvalidRequest(message, param=LAST_EVENT_ID)
        return cls(found[1], -1 if found[2] is None else int(found[2]))


class ResumableCompletions:
    """Those of one database. One of another account is as none."""

    def __init__(self, stored: StoredCompletions, exchanges: Exchanges, making: Making, clock: Clock) -> None:
        self._stored = stored
        self._exchanges = exchanges
        self._making = making
        self._clock = clock

    async def stream(self, work: Work) -> ResumableCompletion:
        """A new one. Raises InvalidRequest where the account keeps nothing, ModelNotFound and PermissionDenied."""
        caller, body = work.caller, work.body
        if not caller.stores:
            raise InvalidRequest(f"This account keeps no answers: ask without '{RESUMABLE}'.", param=RESUMABLE)
        written = self._stored.written(caller, body) if body.get("store") else None
        record = Record(self._making.log, caller.account_id, body["model"], written, self._clock)
        asked = work._replace(
            body=without_ours(body),
            keep=record.keep,
            answer_id=record.stream_id,
            gathering=GatheredCompletion if written else None,
        )
        make = partial(ResumableCompletion, record, limits=self._exchanges.limits)
        exchange = await self._exchanges.begun(asked, CHAT, make)
        self._making.begin(Made(exchange, record.events))
        return exchange

    async def rest(self, account_id: int, last_event_id: str) -> AsyncGenerator[bytes, None]:
        """What follows that event, framed, to the end of its stream; while that is made, as it is kept.

        Raises InvalidRequest for what is no event's id, and NotFound.
        """
        place = Place.of(last_event_id)
        found = await self._making.log.database.detached(self._found(account_id, place.stream_id))
        return Reader(self._making.log, found, place.last).blocks()

    async def _found(self, account_id: int, stream_id: str) -> Response:
        async with self._making.log.database.reading() as session:
            found = await responses.find(session, account_id, stream_id)
        is_chat = found is not None and found.kind == responses.COMPLETION
        if found is None or not is_chat or found.events_until is None or found.events_until <= self._clock.now():
            raise NotFound.of(LAST_EVENT_ID)
        return found
