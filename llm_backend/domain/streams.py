"""Answers that come as events: the pump that owns one, from the upstream's first event to the settlement."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import uuid4

from llm_backend.domain.bench import Bench
from llm_backend.domain.exchange import Exchange
from llm_backend.domain.keeping import HTTP_OK, Kept
from llm_backend.domain.tally import Tally
from llm_backend.domain.trades import Trade
from llm_backend.domain.usage import Usage
from llm_backend.domain.work import Ending, Status, Work
from llm_backend.errors import Internal, Json, LLMBackendError, RanAway, UpstreamInvalid
from llm_backend.streaming.pipe import Abandoned, Pipe, Stalled
from llm_backend.streaming.sse import DONE, Event, Splitter, ascii_json, frame, is_done
from llm_backend.upstream.catalogue import Route
from llm_backend.upstream.headers import passed_down
from llm_backend.upstream.wire import Reply

MEDIA_TYPE = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How a stream and its reader wait for each other."""

    queue_bytes: int
    stall_seconds: float
    """A reader that takes nothing for so long, while the queue is full, has gone."""
    keep_alive_seconds: float
    """Silence after which a comment is sent, and after which the status is committed."""
    drain_seconds: float = 2.0
    """How long usage is waited for once an answer is complete, with nobody left to read it."""


class StreamedAnswer(Exchange):
    """One answer as events. The response reads `blocks`; the task goes on without it and always settles."""

    def __init__(self, work: Work, trade: Trade, route: Route, bench: Bench, limits: StreamLimits) -> None:
        self._limits = limits
        self._pipe = Pipe(
            limit_bytes=limits.queue_bytes,
            stall_seconds=limits.stall_seconds,
            keep_alive_seconds=limits.keep_alive_seconds,
        )
        self._begun: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._tally = Tally()
        self._reply: Reply | None = None
        self._cut_at: int | None = None
        super().__init__(work, trade, route, bench)
        if trade.events is None:
            raise AssertionError("Only what streams is asked for as a stream.")
        options = work.body.get("stream_options") or {}
        self._events = trade.events(
            wants_usage=bool(options.get("include_usage")),
            model=self._alias,
            created=int(bench.clock.now().timestamp()),
            new_id=lambda: uuid4().hex,
        )

    async def begun(self) -> Mapping[str, str]:
        """The upstream's headers, once its first event is here; none where that takes too long for a client to wait.

        Raises LLMBackendError while there is still a status to say it with.
        """
        done, _ = await asyncio.wait((self._begun,), timeout=self._limits.keep_alive_seconds)
        return self._begun.result() if done else {}

    @property
    def blocks(self) -> AsyncIterator[bytes]:
        """Framed events as they come, keep-alive comments in between."""
        return self._pipe

    def abandon(self) -> None:
        """The client has gone; an answer that is already complete is given a moment to say what it used."""
        self._pipe.abandon()
        super().abandon()

    @property
    def seen_tokens(self) -> int:
        """What of the answer has come so far, at least: what is charged should this process die."""
        return self._attempts.guess(self._tally.text_bytes).completion_tokens

    def _at_least(self, likely: Usage) -> Usage:
        # A chunk with text has a token at least, whatever was held back.
        return replace(likely, completion_tokens=max(likely.completion_tokens, self._tally.deltas))

    def _interrupt(self) -> None:
        if self._events.finished:
            asyncio.get_running_loop().call_later(self._limits.drain_seconds, super()._interrupt)
        else:
            super()._interrupt()

    async def _work(self) -> None:
        ended_by: LLMBackendError | None = Internal()
        try:
            ended_by = await self._talk()
        finally:
            self._end(ended_by)
            await self._let_go(is_whole=ended_by is None)

    async def _talk(self) -> LLMBackendError | None:
        """Ask, pass on, settle. The error that the answer ended in, if any: it is the client's last event."""
        ended_by: LLMBackendError | None = None
        try:
            self._reply = await self._attempts.open()
        except LLMBackendError as error:
            return error
        self._cut_at = self._attempts.cut_at
        try:
            await self._relay(self._reply)
        except LLMBackendError as error:
            ended_by = error
            # Before the settlement, which may take its time: the upstream is not to go on meanwhile.
            await self._reply.close()
        await self._settle_stream(ended_by)
        return ended_by

    async def _let_go(self, *, is_whole: bool) -> None:
        """Close the upstream's answer; a whole one is read to its end before, so that its connection serves again."""
        if self._reply is None:
            return
        if is_whole:
            with suppress(LLMBackendError, TimeoutError):
                async with asyncio.timeout(self._limits.drain_seconds):
                    async for _ in self._reply.chunks():
                        pass
        await self._reply.close()

    async def _relay(self, reply: Reply) -> None:
        """Pass events on until the last one. Raises what broke the stream off, or the reason of `stop`."""
        splitter = Splitter()
        pieces = reply.chunks()
        while True:
            with self._interruption.listening():
                piece = await anext(pieces, None)
            if piece is None:
                splitter.close()
                break
            if await self._pass_on(splitter.feed(piece), reply):
                break
        if not self._events.finished:
            raise UpstreamInvalid("The upstream's answer ended before it was complete.")
        for payload in self._events.conclude():
            await self._deliver(frame(payload))

    async def _pass_on(self, events: Iterable[Event], reply: Reply) -> bool:
        """Send what the client gets of these events; true where they end the answer."""
        for event in events:
            if is_done(event):
                return True
            admitted = self._events.admit(event.data, event.name)
            if admitted.error is not None:
                found = self._attempts.route.upstream.refusals.told(admitted.error)
                raise found or UpstreamInvalid("The upstream's stream ended in an error.")
            self._tally.see(admitted.chunk)
            if self._cut_at is not None and self._tally.deltas > self._cut_at:
                raise RanAway
            if admitted.payloads and not self._begun.done():
                # Before anything is delivered: the pipe may have to wait for its reader.
                self._begun.set_result(passed_down(reply.headers))
            for payload in admitted.payloads:
                await self._deliver(frame(payload))
        return False

    async def _deliver(self, block: bytes) -> None:
        if self.work.once is not None:
            self.work.once.record(block)
        if self.is_abandoned:
            return
        try:
            with self._interruption.listening():
                await self._pipe.put(block)
        except (Abandoned, Stalled):
            self.abandon()

    async def _settle_stream(self, ended_by: LLMBackendError | None) -> None:
        status: Status = "completed"
        if ended_by is not None and not self._events.finished:
            status = "incomplete" if self._tally.deltas else "failed"
        ending = Ending(status, ended_by, HTTP_OK)
        await self._attempts.settle_answered(ending, self._report, self._tally.text, Kept(media_type=MEDIA_TYPE))

    @property
    def _report(self) -> Json:
        """What the upstream says it used; of an answer that was cut off, only where that covers what had come."""
        raw = self._events.usage
        reported = None if self._events.finished else Usage.reported(raw)
        # Some tell what they have used so far in their first events.
        is_early = reported is not None and reported.completion_tokens < self._tally.deltas
        return None if is_early else raw

    def _end(self, error: LLMBackendError | None) -> None:
        """The last event: `[DONE]`, or the error where it can no longer be a status."""
        if error is not None and not self._begun.done():
            self._begun.set_exception(error)
            # Retrieved here once, for the case that nobody waits for it any more.
            self._begun.exception()
        elif not self._begun.done():
            self._begun.set_result({})
        self._pipe.close(DONE if error is None else frame(ascii_json(error.envelope())))
