"""The door to the upstreams: every request that costs something goes through here."""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

import structlog

from llm_backend.domain.answers import WholeAnswer
from llm_backend.domain.bench import Bench
from llm_backend.domain.binaries import BinaryAnswer
from llm_backend.domain.exchange import Exchange
from llm_backend.domain.identity import Caller
from llm_backend.domain.piped import StreamLimits
from llm_backend.domain.stickiness import sticky_key
from llm_backend.domain.streams import StreamedAnswer
from llm_backend.domain.trades import Trade, Usual
from llm_backend.domain.work import Work
from llm_backend.errors import Draining, KeyRevoked, LLMBackendError
from llm_backend.metrics import Metrics
from llm_backend.upstream.catalogue import Catalogue
from llm_backend.upstream.routing import Plan, Route

E = TypeVar("E", bound=Exchange)

log = structlog.get_logger("llm_backend.exchange")


class Exchanges:
    """Starts exchanges, keeps them alive while they run, and ends them at shutdown."""

    def __init__(self, catalogue: Catalogue, bench: Bench, limits: StreamLimits, metrics: Metrics) -> None:
        self._catalogue = catalogue
        self._bench = bench
        self.limits = limits
        """How streams and their readers wait for each other."""
        self._running: set[Exchange] = set()
        self.is_cut = False
        """Whether whatever comes is ended at once."""
        metrics.running.set_function(lambda: len(self._running))

    async def usual_model(self, usual: Usual, caller: Caller) -> str:
        """What answers a request of `caller` that names no model.

        A list that cannot be had says nothing against the usual one.
        """
        try:
            listed = await self._catalogue.names()
        except LLMBackendError:
            return usual.model
        return usual.of(listed, caller.allows)

    async def whole(self, work: Work, trade: Trade) -> WholeAnswer:
        """An exchange whose answer comes in one piece. Raises ModelNotFound, and PermissionDenied for the model."""
        return self._started(WholeAnswer(work, trade, await self.plan(work), self._bench))

    async def stream(self, work: Work, trade: Trade) -> StreamedAnswer:
        """An exchange whose answer comes as events. Raises ModelNotFound, and PermissionDenied for the model."""
        return self._started(StreamedAnswer(work, trade, await self.plan(work), self._bench, self.limits))

    async def binary(self, work: Work, trade: Trade) -> BinaryAnswer:
        """An exchange whose answer comes as bytes. Raises ModelNotFound, and PermissionDenied for the model."""
        return self._started(BinaryAnswer(work, trade, await self.plan(work), self._bench, self.limits))

    async def begun(self, work: Work, trade: Trade, make: Callable[[Work, Trade, Plan, Bench], E]) -> E:
        """An exchange of another kind, which `make` makes. Raises ModelNotFound, and PermissionDenied for the model."""
        return self._started(make(work, trade, await self.plan(work), self._bench))

    async def plan(self, work: Work) -> Plan:
        """Who is asked, and who in their stead. Raises ModelNotFound, and PermissionDenied for the model."""
        sticky = partial(sticky_key, work.caller.account_id, work.body)
        plan = await self._catalogue.plan(work.body["model"], work.caller.allows, sticky)
        kept_by = work.holdings.upstream
        return plan if kept_by is None else plan.only_at(kept_by)

    async def likely(self, work: Work, trade: Trade, route: Route) -> int:
        """How many tokens the texts of the prompt have at `route`, counted where that can be done, else as estimated.

        Raises InvalidRequest where it cannot be asked there.
        """
        sizing = trade.sized(work, route, self._bench)
        guessed = await asyncio.to_thread(sizing.guess, 0, None)
        return (await sizing.counted(guessed, "", None)).prompt_tokens

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def seen(self) -> dict[str, int]:
        """What has come of each attempt that runs, in tokens, at least."""
        return {each.attempt_id: each.seen_tokens for each in self._running if each.attempt_id is not None}

    def revoke(self, attempts: Collection[str]) -> None:
        """End those of `attempts` that run: their keys were taken away."""
        for exchange in tuple(self._running):
            if exchange.attempt_id in attempts:
                exchange.stop(KeyRevoked())

    def cut(self) -> None:
        """End whatever still runs or comes later, each with an error that its client can read."""
        self.is_cut = True
        for exchange in tuple(self._running):
            exchange.stop(Draining())

    async def close(self) -> None:
        """Cut whatever still runs, and wait until all of it is settled."""
        self.cut()
        await self.settled()

    async def settled(self) -> None:
        """Returns when nothing runs any more."""
        while self._running:
            await asyncio.wait([exchange.task for exchange in self._running])

    def _started(self, exchange: E) -> E:
        exchange.start().add_done_callback(self._forgetting(exchange))
        self._running.add(exchange)
        if self.is_cut:
            exchange.stop(Draining())
        return exchange

    def _forgetting(self, exchange: Exchange) -> Callable[[asyncio.Task[object]], None]:
        def forget(task: asyncio.Task[object]) -> None:
            self._running.discard(exchange)
            if task.cancelled():
                return
            error = task.exception()
            if error is not None and not isinstance(error, LLMBackendError):
                log.error("exchange_failed", request_id=exchange.work.request_id, exc_info=error)

        return forget
