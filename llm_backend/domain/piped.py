"""Answers that are passed on while they come: what lies between the upstream and the response."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf

from llm_backend.domain.bench import Bench
from llm_backend.domain.exchange import Exchange
from llm_backend.domain.trades import Trade
from llm_backend.domain.work import Work
from llm_backend.errors import Internal, LLMBackendError
from llm_backend.streaming.pipe import Abandoned, Pipe, Stalled, Take
from llm_backend.upstream.routing import Plan
from llm_backend.upstream.wire import Reply


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


class PipedAnswer(Exchange):
    """The response reads `blocks`; the task goes on without it and always settles."""

    def __init__(  # noqa: PLR0913 (what an exchange is made of, and what lies between)
        self, work: Work, trade: Trade, plan: Plan, bench: Bench, limits: StreamLimits, *, is_silent: bool = False
    ) -> None:
        """`is_silent`: whether nothing is sent while the upstream says nothing."""
        self._limits = limits
        self._pipe = Pipe(
            limit_bytes=limits.queue_bytes,
            stall_seconds=limits.stall_seconds,
            keep_alive_seconds=inf if is_silent else limits.keep_alive_seconds,
        )
        self._begun: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._reply: Reply | None = None
        self.broken_by: LLMBackendError | None = None
        """What ended the answer, where its reader can learn of it by nothing but the connection's end."""
        super().__init__(work, trade, plan, bench)

    @abstractmethod
    async def begun(self) -> Mapping[str, str]:
        """The answer's headers, once there is something of it. Raises LLMBackendError where there will be nothing."""

    @property
    def blocks(self) -> AsyncIterator[bytes]:
        """The answer as it comes."""
        return self._pipe

    def shorten(self, take: Take) -> None:
        """From now on, what comes while the response waits for it goes by `take`: nobody is woken for it."""
        self._pipe.shorten(take)

    def abandon(self) -> None:
        """The client has gone; an answer that is already complete is given a moment to say what it used."""
        self._pipe.abandon()
        super().abandon()

    @abstractmethod
    async def _relay(self, reply: Reply) -> None:
        """Pass on what comes until it ends. Raises what broke it off, or the reason of `stop`."""

    @abstractmethod
    async def _settle_stream(self, ended_by: LLMBackendError | None) -> None:
        """Charge what came."""

    @abstractmethod
    def _end(self, error: LLMBackendError | None) -> None:
        """Say how it ended, while that can still be said."""

    async def _work(self) -> None:
        ended_by: LLMBackendError | None = Internal()
        try:
            ended_by = await self._talk()
        finally:
            self._end(ended_by)
            await self._let_go(is_whole=ended_by is None)

    async def _talk(self) -> LLMBackendError | None:
        """Ask, pass on, settle. The error that the answer ended in, if any."""
        while True:
            ended_by: LLMBackendError | None = None
            try:
                self._reply = await self._attempts.open()
            except LLMBackendError as error:
                return error
            try:
                await self._relay(self._reply)
            except LLMBackendError as error:
                ended_by = error
                # Before the settlement, which may take its time: the upstream is not to go on meanwhile.
                await self._reply.close()
            # As long as the client has seen nothing, somebody else may answer.
            if ended_by is None or self._begun.done() or not await self._attempts.gives_way(ended_by):
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

    def _begin(self, reply: Reply) -> None:
        """Let the response begin: before anything is delivered, since the pipe may have to wait for its reader."""
        if not self._begun.done():
            self._begun.set_result(self._told(reply))

    def _fail(self, error: LLMBackendError) -> None:
        """Answer with `error`, where nothing has been answered yet."""
        if not self._begun.done():
            self._begun.set_exception(error)
            # Retrieved here once, for the case that nobody waits for it any more.
            self._begun.exception()

    async def _deliver(self, block: bytes) -> None:
        if self.work.once is not None:
            self.work.once.record(block)
        if self._pipe.passes(block) or self.is_abandoned:
            return
        try:
            with self._interruption.listening():
                await self._pipe.put(block)
        except (Abandoned, Stalled):
            self.abandon()
