"""A chat completion as events that are numbered and kept: whoever loses the stream reads on, and nobody asks again."""

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.bench import Bench
from llm_backend.domain.clock import Clock
from llm_backend.domain.completions.keeping import ID_PREFIX, Written
from llm_backend.domain.keeping import HTTP_OK, Kept
from llm_backend.domain.piped import StreamLimits
from llm_backend.domain.public_ids import random_part
from llm_backend.domain.responses.event_log import EventLog
from llm_backend.domain.responses.recording import Recorder
from llm_backend.domain.streams import StreamedAnswer
from llm_backend.domain.trades import Events, Trade
from llm_backend.domain.work import Ending, Status, Work
from llm_backend.errors import Internal, Json, LLMBackendError, Unavailable
from llm_backend.storage import responses
from llm_backend.storage.driver import run
from llm_backend.storage.state_writes import state_writes
from llm_backend.streaming.admitted import Admitted
from llm_backend.streaming.mould import Cast
from llm_backend.streaming.sse import ascii_json, frame
from llm_backend.upstream.routing import Plan
from llm_backend.upstream.wire import Reply

STREAM_ID = "x-stream-id"
"""The header that tells under which id a stream is asked for again."""

DIED = "The server stopped while this answer was streamed."

log = structlog.get_logger("llm_backend.completions")


class Record:
    """What is kept of one stream: its events, and the completion where that is stored."""

    def __init__(self, log: EventLog, account_id: int, model: str, written: Written | None, clock: Clock) -> None:
        """`written`: writes the completion; None where only the events are kept."""
        self.stream_id = written.answer_id if written else ID_PREFIX + random_part()
        now = clock.now()
        self._opened = {
            "public_id": self.stream_id,
            "account_id": account_id,
            "kind": responses.COMPLETION,
            # For its account it is not there before it is whole.
            "is_stored": False,
            "status": "in_progress",
            "model": model,
            "body": b"{}",
            "metadata": {},
            "created_at": now,
        }
        self.events = Recorder(log, self.stream_id, account_id, self._opened, now)
        self._log = log
        self._writes = state_writes(is_sqlite=log.database.is_sqlite)
        self._account_id = account_id
        self._written = written
        self._clock = clock

    async def keep(self, session: AsyncSession, attempt_id: str | None, told: Json) -> None:
        """In the transaction that settles it; `told`: its status, and the completion where that is whole.

        `attempt_id`: None where nothing is settled.
        """
        if not await run(session, self.events.is_ours(self._writes)):
            return
        values, completion = self._over(told["status"]) | {"attempt_id": attempt_id}, told["completion"]
        if self._written is not None and completion is not None:
            values |= await self._written.columns(session, attempt_id, completion)
            await self._end(session, values)
        elif self.events.events_until is not None:
            await self._end(session, values)
        elif self.events.number is not None:
            # There is nothing to come back for: too many events to be kept, and no completion.
            await responses.remove(session, self._account_id, self.events.number)

    async def fail(self) -> None:
        """Write that nothing came of it, where anybody may ask: nothing is settled with that."""
        await self.events.stop()
        if self.events.number is None:
            return
        try:
            async with self._log.database.begin() as session:
                await self.keep(session, None, {"status": "failed", "completion": None})
        except Unavailable:
            # Its lease will be over: then it has failed as well.
            log.warning("stream_unwritten", stream_id=self.stream_id)

    def close(self) -> None:
        """Tell whoever reads it that it has ended."""
        self.events.close()

    async def _end(self, session: AsyncSession, values: Mapping[str, Any]) -> None:
        """Write how it ended, by column, and the last of its events."""
        values, number = {**values, "events_until": self.events.events_until}, self.events.number
        if number is None:
            number = await responses.add(session, {**self._opened, **values})
        else:
            await responses.change(session, self._account_id, self.stream_id, values)
        await run(session, self.events.kept(self._writes, number))

    def _over(self, status: Status) -> dict[str, Json]:
        return {"status": status, "ended_at": self._clock.now(), **responses.LET_GO}


class ResumableCompletion(StreamedAnswer):
    """One stream. Once its client may know of it, it is made to its end, whoever leaves."""

    def __init__(  # noqa: PLR0913, PLR0917 (what an exchange is made of, and what is kept of it)
        self, record: Record, work: Work, trade: Trade, plan: Plan, bench: Bench, limits: StreamLimits
    ) -> None:
        self._record = record
        self._number = 0
        self._last = b""
        self._is_known = False
        super().__init__(work, trade, plan, bench, limits)

    async def begun(self) -> Mapping[str, str]:
        """The same, with the id of the stream."""
        headers = await super().begun()
        if not self._begun.done():
            await self._record.events.open()
        self._is_known = True
        return {**headers, STREAM_ID: self._record.stream_id}

    def abandon(self) -> None:
        """The client has gone. What it may ask for again goes on; else nobody ever could."""
        if self._is_known:
            self._pipe.abandon()
            self._is_left = True
        else:
            super().abandon()

    def _new_events(self) -> Events:
        """What came of an upstream that failed before anything was sent is forgotten with it."""
        self._number = 0
        return super()._new_events()

    def _familiar(self, piece: bytes) -> Cast | None:  # noqa: ARG002 (each event has a number of its own)
        return None

    def _frames(self, admitted: Admitted) -> list[bytes]:
        return [self._numbered(frame(payload, admitted.name)) for payload in admitted.payloads]

    def _conclusion(self) -> list[bytes]:
        return [*map(self._numbered, super()._conclusion())]

    async def _send(self, frames: list[bytes], reply: Reply) -> None:
        if frames and not self._begun.done():
            await self._record.events.open()
        await super()._send(frames, reply)

    async def _deliver(self, block: bytes) -> None:
        self._record.events.add(block, self._number)
        await super()._deliver(block)

    async def _talk(self) -> LLMBackendError | None:
        ended_by = await super()._talk()
        if ended_by is not None and not self._begun.done():
            self._last = self._error(ended_by)
            self._record.events.add(self._last, self._number)
            await self._record.fail()
        return ended_by

    async def _settle_stream(self, ended_by: LLMBackendError | None) -> None:
        if ended_by is not None and not self._begun.done():
            await super()._settle_stream(ended_by)
            return
        status: Status = "completed" if ended_by is None or self._events.finished else "incomplete"
        # With the charge: whoever has read it to its end has been charged for it.
        last = self._numbered(self._events.ending) if ended_by is None else self._error(ended_by)
        self._record.events.add(last, self._number)
        await self._record.events.stop()
        whole = self._gathered.whole(self._events.usage) if self._gathered and status == "completed" else None
        kept = Kept({"status": status, "completion": whole})
        await self._attempts.settle_answered(Ending(status, ended_by, HTTP_OK), self._report, self._tally.text, kept)
        self._last = last

    def _end(self, error: LLMBackendError | None) -> None:
        if error is not None:
            self._fail(error)
            self._last = self._last or self._error(error)
        self._pipe.close(self._last)
        self._record.close()

    def _error(self, error: LLMBackendError) -> bytes:
        return self._numbered(frame(ascii_json(error.envelope())))

    def _numbered(self, framed: bytes) -> bytes:
        number, self._number = self._number, self._number + 1
        return numbered(self._record.stream_id, number, framed)


def numbered(stream_id: str, number: int, framed: bytes) -> bytes:
    """An event with the id that it is named by in `last-event-id`."""
    return b"id: %b:%d\n%b" % (stream_id.encode(), number, framed)


def died(stream_id: str, number: int) -> bytes:
    """The last event of a stream whose process is gone."""
    return numbered(stream_id, number, frame(ascii_json(Internal(DIED).envelope())))
