"""Exchanges whose answer is a response, whatever the upstream calls what it says."""

import orjson

from llm_backend.domain.answers import Answer, Received, WholeAnswer
from llm_backend.domain.bench import Bench
from llm_backend.domain.contents import JSON
from llm_backend.domain.keeping import HTTP_OK, Kept
from llm_backend.domain.piped import StreamLimits
from llm_backend.domain.responses import shown
from llm_backend.domain.responses.chat_output import ChatOutput
from llm_backend.domain.responses.draft import Draft
from llm_backend.domain.responses.framing import Framing
from llm_backend.domain.responses.outcomes import UNKEPT, broken, outcome_of
from llm_backend.domain.responses.outputs import Output
from llm_backend.domain.responses.recording import Recorder
from llm_backend.domain.responses.shown import Outcome
from llm_backend.domain.streams import MEDIA_TYPE, StreamedAnswer
from llm_backend.domain.trades import Events, Trade
from llm_backend.domain.work import Ending, Status, Work
from llm_backend.errors import DatabaseUnavailable, Json, LLMBackendError
from llm_backend.streaming.admitted import Admitted
from llm_backend.streaming.mould import Cast
from llm_backend.upstream.routing import Plan
from llm_backend.upstream.wire import Reply


class WholeResponse(WholeAnswer):
    """A response in one piece."""

    def __init__(self, draft: Draft, work: Work, trade: Trade, plan: Plan, bench: Bench) -> None:
        self._draft = draft
        self._clock = bench.clock
        super().__init__(work, trade, plan, bench)

    def _understood(self, content: Json, strict: bytes) -> Received:  # noqa: ARG002 (nothing is passed on as it came)
        output = self._draft.output(self._attempts.route)
        output.whole(content)
        usage = content.get("usage")
        told = self._draft.end(output, self._outcome(output), shown.usage(usage), self._clock.now())
        if self._draft.judge is not None:
            self._draft.judge.see(told)
        return Received(told, orjson.dumps(told), JSON, usage)

    def _outcome(self, output: Output) -> Outcome:
        return outcome_of(output, self._attempts.route.upstream.refusals)

    async def _work(self) -> Answer:
        answer = await super()._work()
        if self._draft.is_stored and not self._attempts.is_entered:
            raise DatabaseUnavailable
        return answer


class StreamedResponse(StreamedAnswer):
    """A response as events, numbered and framed anew. The last of them waits until the response is kept."""

    def __init__(  # noqa: PLR0913, PLR0917 (what an exchange is made of, and what it makes)
        self,
        draft: Draft,
        recorder: Recorder | None,
        work: Work,
        trade: Trade,
        plan: Plan,
        bench: Bench,
        limits: StreamLimits,
    ) -> None:
        """`recorder`: of one whose events are kept."""
        self._draft = draft
        self._recorder = recorder
        self._clock = bench.clock
        self._framing = Framing(draft)
        self._opened = 0
        self._last = b""
        self.failed_by: LLMBackendError | None = None
        """Why there is nothing of it, where nothing came."""
        super().__init__(work, trade, plan, bench, limits)
        if draft.is_background:
            # Whoever asks for its events need not wait for an upstream.
            self._record(self._framing.opening(None))
            self._opened = self._framing.number

    def fail(self, error: LLMBackendError) -> dict[str, Json]:
        """Note that nothing came of it, as its last event too; what is told of it then."""
        told = self._draft.end(None, broken(error), None, self._clock.now())
        self._record(self._framing.final(told))
        return told

    def abandon(self) -> None:
        """The client has gone. What can be read afterwards is made to its end."""
        if self._draft.is_stored:
            self._pipe.abandon()
            self._is_left = True
        else:
            super().abandon()

    def _new_events(self) -> Events:
        """What came of an upstream that failed before anything was sent is forgotten with it."""
        self._output = self._draft.output(self._attempts.route)
        self._framing.number = self._opened
        return super()._new_events()

    def _frames(self, admitted: Admitted) -> list[bytes]:
        told = self._output.take(admitted.chunk)
        if not told and not admitted.payloads:
            # It says nothing: as long as nothing is said, somebody else may answer, or a status tell what is wrong.
            return []
        opening = () if self._framing.number else (self._framing.opening(self._output),)
        return [*opening, *map(self._framing.framed, told)]

    def _familiar(self, piece: bytes) -> Cast | None:
        output, mould = self._output, self._events.mould
        if not isinstance(output, ChatOutput) or mould is None or mould.field != "content":
            return None
        place = output.text_place()
        cast = None if place is None else super()._familiar(piece)
        if place is None or cast is None:
            return None
        texts = [text.decode() for text in cast.texts]
        output.hear(texts)
        return cast._replace(frames=self._framing.texts(place, texts))

    def _conclusion(self) -> list[bytes]:
        return [*map(self._framing.framed, self._output.close(is_cut=False))]

    async def _settle_stream(self, ended_by: LLMBackendError | None) -> None:
        if not self._begun.done():
            await super()._settle_stream(ended_by)
            return
        # With the last event: one that is stopped delivers nothing more on its way.
        closing = b"" if ended_by is None else b"".join(map(self._framing.framed, self._output.close(is_cut=True)))
        outcome = self._outcome() if ended_by is None else broken(ended_by)
        told = self._draft.end(self._output, outcome, shown.usage(self._report), self._clock.now())
        if self._recorder is not None:
            await self._recorder.stop()
        self._conclude(closing + self._framing.final(told))
        kept = Kept(told, MEDIA_TYPE, ending=self._last)
        status: Status = "completed" if ended_by is None else "incomplete"
        await self._attempts.settle_answered(Ending(status, ended_by, HTTP_OK), self._report, self._tally.text, kept)
        is_lost = self._recorder is not None and self._recorder.is_lost
        if self._draft.is_stored and (is_lost or not self._attempts.is_entered):
            # What waits for the database now says the same, once it is written; and what another has ended has failed.
            told.update(self._draft.end(self._output, UNKEPT, told["usage"], self._clock.now()))
            self._framing.number -= 1
            self._conclude(closing + self._framing.final(told))

    def _conclude(self, last: bytes) -> None:
        """Note what its client gets in the end, in place of what it was to get before."""
        self._last = last
        if self._recorder is not None:
            self._recorder.end(last, self._framing.number)

    def _outcome(self) -> Outcome:
        return outcome_of(self._output, self._attempts.route.upstream.refusals)

    async def _send(self, frames: list[bytes], reply: Reply) -> None:
        if frames and not self._begun.done() and self._recorder is not None:
            await self._recorder.announce()
        await super()._send(frames, reply)

    async def _deliver(self, block: bytes) -> None:
        self._record(block)
        await super()._deliver(block)

    def _record(self, frames: bytes) -> None:
        if self._recorder is not None:
            self._recorder.add(frames, self._framing.number)

    def _end(self, error: LLMBackendError | None) -> None:
        if error is not None and not self._last:
            self.failed_by = error
            self._fail(error)
            self._last = self._framing.error(error)
        self._pipe.close(self._last)
        if self._recorder is not None:
            self._recorder.close()
