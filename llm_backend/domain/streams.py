"""Answers that come as events: the pump that owns one, from the upstream's first event to the settlement."""

import asyncio
from collections.abc import Iterable, Mapping
from uuid import uuid4

import orjson

from llm_backend.domain.bench import Bench
from llm_backend.domain.contents import is_json, read_whole
from llm_backend.domain.keeping import HTTP_OK, Kept
from llm_backend.domain.piped import PipedAnswer, StreamLimits
from llm_backend.domain.tally import Tally
from llm_backend.domain.trades import Events, Trade
from llm_backend.domain.usage import Usage
from llm_backend.domain.work import Ending, Gathering, Status, Work
from llm_backend.errors import Json, LLMBackendError, RanAway, UpstreamInvalid
from llm_backend.streaming.admitted import Admitted
from llm_backend.streaming.mould import Cast
from llm_backend.streaming.sse import Event, Splitter, ascii_json, frame, is_done
from llm_backend.upstream.bodies import whole
from llm_backend.upstream.routing import Plan
from llm_backend.upstream.wire import Reply

MEDIA_TYPE = "text/event-stream; charset=utf-8"


class StreamedAnswer(PipedAnswer):
    """One answer as events: framed anew, with comments between them where it is silent for long."""

    def __init__(self, work: Work, trade: Trade, plan: Plan, bench: Bench, limits: StreamLimits) -> None:
        self._tally = Tally()
        self._gathered: Gathering | None = None
        """What is to be kept, as far as it has come."""
        self._cut_at: int | None = None
        self._event_bytes = trade.event_bytes
        super().__init__(work, trade, plan, bench, limits)
        self._created = int(bench.clock.now().timestamp())
        self._events = self._new_events()

    async def begun(self) -> Mapping[str, str]:
        """The upstream's headers, once its first event is here; none where that takes too long for a client to wait."""
        done, _ = await asyncio.wait((self._begun,), timeout=self._limits.keep_alive_seconds)
        return self._begun.result() if done else {}

    @property
    def seen_tokens(self) -> int:
        """What of the answer has come so far, at least: what is charged should this process die."""
        return self._attempts.guess(self._tally.text_bytes).completion_tokens

    def _at_least(self, likely: Usage) -> Usage:
        # A chunk with text has a token at least, whatever was held back.
        return likely._replace(completion_tokens=max(likely.completion_tokens, self._tally.deltas))

    def _interrupt(self) -> None:
        if self._events.finished:
            timer = asyncio.get_running_loop().call_later(self._limits.drain_seconds, super()._interrupt)
            self.task.add_done_callback(lambda _: timer.cancel())
        else:
            super()._interrupt()

    def _new_events(self) -> Events:
        """The judge of one upstream's events."""
        make = self._trade.events
        if make is None:
            raise AssertionError("Only what streams is asked for as a stream.")
        options = self.work.body.get("stream_options") or {}
        return make(
            wants_usage=bool(options.get("include_usage")),
            model=self._alias,
            created=self._created,
            new_id=lambda: uuid4().hex,
            answer_id=self.work.answer_id,
        )

    async def _relay(self, reply: Reply) -> None:
        """Pass events on until the last one."""
        self._tally, self._events = Tally(), self._new_events()
        self._gathered = self.work.gathering() if self.work.gathering else None
        if is_json(reply):
            await self._pass_on([await self._in_one(reply)], reply)
            return
        self._event_bytes = self._trade.event_bytes
        splitter = Splitter(self._event_bytes)
        pieces = reply.chunks()
        self._cut_at = self._attempts.cut_at
        is_between = False
        while True:
            try:
                with self._interruption.listening():
                    piece = await pieces.__anext__()  # `anext` would wrap it once more, for each piece
            except StopAsyncIteration:
                splitter.close()
                break
            cast = self._familiar(piece) if is_between else None
            if cast is not None:
                self._tally.hear(cast.texts)
                await self._deliver(cast.frames)
                piece = cast.rest
            if piece:
                if await self._pass_on(splitter.feed(piece), reply):
                    break
                is_between = splitter.is_between
        if not self._events.finished:
            raise UpstreamInvalid("The upstream's answer ended before it was complete.")
        owed = self._conclusion()
        if owed:
            await self._deliver(b"".join(owed))

    async def _in_one(self, reply: Reply) -> Event:
        """The event that a whole answer is."""
        with self._interruption.listening():
            raw = await whole(reply.chunks(), self._trade.answer_bytes)
        content = read_whole(raw, self._trade.contents, self._attempts.route.upstream.refusals)[0]
        return Event(orjson.dumps({**content, "type": self._trade.whole_as}))

    def _familiar(self, piece: bytes) -> Cast | None:
        """The events that `piece` begins with, as far as they need no judging; None where the first one does."""
        mould = self._events.mould
        if mould is None or self._is_read or len(piece) > self._event_bytes:
            return None
        cast = mould.take(piece)
        if not cast.texts or (self._cut_at is not None and self._tally.deltas + len(cast.texts) > self._cut_at):
            return None
        return cast

    @property
    def _is_read(self) -> bool:
        """Whether somebody reads what every event says."""
        return self.work.holdings.note is not None or self._gathered is not None

    async def _pass_on(self, events: Iterable[Event], reply: Reply) -> bool:
        """Send what the client gets of these events, in one block; true where they end the answer."""
        frames: list[bytes] = []
        try:
            is_over = await self._judge(events, frames)
        except LLMBackendError:
            await self._send(frames, reply)  # those before the one that ended it are good
            raise
        await self._send(frames, reply)
        return is_over

    async def _judge(self, events: Iterable[Event], frames: list[bytes]) -> bool:
        """Add what the client gets of these events to `frames`; true where they end the answer."""
        for event in events:
            if is_done(event):
                self._events.done()
                return True
            frames += await self._judged(event)
        return False

    async def _send(self, frames: list[bytes], reply: Reply) -> None:
        if frames:
            self._begin(reply)
            await self._deliver(b"".join(frames))

    async def _judged(self, event: Event) -> list[bytes]:
        """What the client gets of `event`. Raises what it says went wrong, or is wrong with it."""
        admitted = self._events.admit(event.data, event.name)
        if admitted.error is not None:
            found = self._attempts.route.upstream.refusals.told(admitted.error)
            raise found or UpstreamInvalid("The upstream's stream ended in an error.")
        self._tally.see(admitted.chunk)
        if self._cut_at is not None and self._tally.deltas > self._cut_at:
            raise RanAway
        if self._gathered is not None:
            self._gathered.see(admitted.chunk)
        await self._note(admitted.chunk)
        return self._frames(admitted)

    def _frames(self, admitted: Admitted) -> list[bytes]:
        """What the client gets of an event."""
        return [frame(payload, admitted.name) for payload in admitted.payloads]

    def _conclusion(self) -> list[bytes]:
        """What it gets behind the last one, where nothing is missing."""
        return [frame(payload) for payload in self._events.conclude()]

    async def _settle_stream(self, ended_by: LLMBackendError | None) -> None:
        status: Status = "completed"
        if ended_by is not None and not self._events.finished:
            status = "incomplete" if self._tally.has_come else "failed"
        gathered = self._gathered if status == "completed" else None
        kept = Kept(gathered.whole(self._events.usage) if gathered else None, MEDIA_TYPE, ending=self._events.ending)
        await self._attempts.settle_answered(Ending(status, ended_by, HTTP_OK), self._report, self._tally.text, kept)

    @property
    def _report(self) -> Json:
        """What the upstream says it used; of an answer that was cut off, only where that covers what had come."""
        raw = self._events.usage
        reported = None if self._events.finished else Usage.reported(raw)
        # Some tell what they have used so far in their first events.
        is_early = reported is not None and reported.completion_tokens < self._tally.deltas
        return None if is_early else raw

    def _end(self, error: LLMBackendError | None) -> None:
        """The last event: what the API ends in, or the error where it can no longer be a status."""
        if error is not None:
            self._fail(error)
        elif not self._begun.done():
            self._begun.set_result({})
        self._pipe.close(self._events.ending if error is None else frame(ascii_json(error.envelope())))
