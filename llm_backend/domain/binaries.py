"""Answers of bytes, passed on as they come: nothing is known of them but their type and their end."""

import asyncio
from collections.abc import Mapping

from llm_backend.domain.bench import Bench
from llm_backend.domain.contents import is_json, read_whole
from llm_backend.domain.keeping import HTTP_OK, Kept
from llm_backend.domain.piped import PipedAnswer, StreamLimits
from llm_backend.domain.trades import Trade
from llm_backend.domain.work import Ending, Status, Work
from llm_backend.errors import LLMBackendError, UpstreamInvalid
from llm_backend.upstream.bodies import whole
from llm_backend.upstream.headers import passed_down
from llm_backend.upstream.routing import Plan
from llm_backend.upstream.wire import Reply

UNKNOWN = "application/octet-stream"
SOUNDS = ("audio/", UNKNOWN)


class BinaryAnswer(PipedAnswer):
    """One answer in bytes: an upstream that breaks off breaks the client's connection off."""

    def __init__(self, work: Work, trade: Trade, plan: Plan, bench: Bench, limits: StreamLimits) -> None:
        super().__init__(work, trade, plan, bench, limits, is_silent=True)
        self._received = 0
        self._media_type = UNKNOWN

    async def begun(self) -> Mapping[str, str]:
        """The upstream's headers, once it answers."""
        return await asyncio.shield(self._begun)

    async def _relay(self, reply: Reply) -> None:
        self._media_type = passed_down(reply.headers).get("content-type", UNKNOWN)
        if is_json(reply):
            with self._interruption.listening():
                raw = await whole(reply.chunks())
            read_whole(raw, self._trade.contents, self._attempts.route.upstream.refusals)
        if not self._media_type.lower().startswith(SOUNDS):
            raise UpstreamInvalid("The upstream's answer has the wrong media type.", outcome_unknown=True)
        pieces = reply.chunks()
        while True:
            with self._interruption.listening():
                piece = await anext(pieces, None)
            self._begin(reply)
            if piece is None:
                return
            self._received += len(piece)
            await self._deliver(piece)

    def _told(self, reply: Reply) -> dict[str, str]:
        return {**super()._told(reply), "content-type": self._media_type}

    async def _settle_stream(self, ended_by: LLMBackendError | None) -> None:
        status: Status = "completed"
        if ended_by is not None:
            status = "incomplete" if self._received else "failed"
        kept = Kept(media_type=self._media_type)
        await self._attempts.settle(self._attempts.guess(self._received), Ending(status, ended_by, HTTP_OK), kept=kept)

    def _end(self, error: LLMBackendError | None) -> None:
        if error is not None and self._begun.done():
            self.broken_by = error
        elif error is not None:
            self._fail(error)
        self._pipe.close()
