"""What every attempt at an upstream used: begun before it is sent, settled once, however it ended."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.clock import Clock, uuid7
from llm_backend.domain.identity import Caller
from llm_backend.domain.prices import Prices
from llm_backend.domain.usage import Basis, Price, Usage
from llm_backend.errors import Json, LLMBackendError, Unavailable, UpstreamFailed
from llm_backend.metrics import Metrics
from llm_backend.storage import budgets
from llm_backend.storage import usage as storage
from llm_backend.storage.database import Database
from llm_backend.upstream.catalogue import Route

SETTLE_TRIES = 3
SETTLE_PAUSE_SECONDS = 0.2

log = structlog.get_logger("llm_backend.metering")

Status = Literal["completed", "incomplete", "failed"]
"""Whether the whole answer came, a part of it, or nothing."""


Also = Callable[[AsyncSession], Awaitable[None]]
"""Writes in the transaction that settles an attempt."""

Keep = Callable[[AsyncSession, str, Json], Awaitable[None]]
"""Writes, in the transaction that settles an attempt, what is kept of it: takes its id and the parsed answer."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a caller asks of an upstream: one request, whatever the number of attempts."""

    caller: Caller
    request_id: str
    operation: str
    """The operationId."""
    path: str
    """Below an upstream's base URL."""
    body: Json
    headers: Mapping[str, str]
    """The client's, lower case."""
    streamed: bool
    """Whether the answer is to come as events."""
    overshoots: bool = False
    """Whether it is admitted with whatever is left, which its answer may pass."""
    unknown_is_void: bool = False
    """Whether an attempt whose outcome is unknown is charged nothing."""
    keep: Keep | None = None
    """What is to be kept of a complete answer."""

    @property
    def end_user(self) -> str | None:
        """Whom the caller says the request is for."""
        named = self.body.get("safety_identifier") or self.body.get("user")
        return named if isinstance(named, str) else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to one upstream, and what will be known of it whatever happens."""

    id: str
    work: Work
    upstream: str
    upstream_model: str
    price: Price | None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended."""

    status: Status
    error: LLMBackendError | None = None
    """What ended it, if it did not end by itself."""
    upstream_status: int | None = None
    usage_implausible: bool = False
    """The upstream reported far less than was sent and received."""

    @classmethod
    def failed(cls, error: LLMBackendError) -> "Ending":
        """Nothing came of it, because of `error`."""
        return cls("failed", error, error.upstream_status if isinstance(error, UpstreamFailed) else None)


class Metering:
    """Writes one usage record per attempt, exactly once."""

    def __init__(self, database: Database, prices: Prices, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._prices = prices
        self._clock = clock
        self._metrics = metrics
        self._open: dict[str, Attempt] = {}

    def begin(self, work: Work, route: Route) -> Attempt:
        """An attempt that is about to be sent; from here on it has to be settled."""
        now = self._clock.now()
        price = self._prices.get(route.model.name) if route.model else None
        attempt = Attempt(uuid7(now), work, route.upstream.name, route.upstream_model, price, now)
        self._open[attempt.id] = attempt
        return attempt

    def withdraw(self, attempt_id: str) -> None:
        """Forget an attempt that was not made after all: nothing was sent, nothing is written."""
        self._open.pop(attempt_id, None)

    async def settle(
        self, attempt_id: str, usage: Usage, basis: Basis, ending: Ending, also: Also | None = None
    ) -> None:
        """Write what the attempt used. A second settlement of the same attempt changes nothing.

        A database that is away or busy is tried again for a moment; after that, or where it will not take the record,
        that goes to the log, complete, so that it can be entered by hand.
        """
        attempt = self._open.pop(attempt_id, None)
        if attempt is None:
            return
        record = self._record(attempt, usage, basis, ending)
        self._count(record, ending)
        for _ in range(SETTLE_TRIES):
            try:
                await self._write(record, also)
            except Unavailable:
                await asyncio.sleep(SETTLE_PAUSE_SECONDS)
            except Exception:
                # A fault of the books does not take the answer from its reader.
                log.exception("usage_record_refused", attempt_id=attempt_id)
                break
            else:
                return
        self._note_unwritten(record)

    async def _write(self, record: storage.UsageRecord, also: Also | None) -> None:
        async with self._database.begin() as session:
            # In one transaction, and for a new record only: what an account used is the sum of its records.
            whole = await budgets.find(session, record.account_id)
            period = await budgets.period_at(session, whole.id, record.ended_at) if whole else None
            if period and await storage.add(session, replace(record, account_period_id=period.id)):
                await budgets.charge(session, period.id, record.total_tokens, record.cost_microusd)
                if also is not None:
                    await also(session)

    def _note_unwritten(self, record: storage.UsageRecord) -> None:
        self._metrics.records_unwritten.inc()
        log.critical("usage_record_unwritten", **storage.as_json(record))

    def _count(self, record: storage.UsageRecord, ending: Ending) -> None:
        upstream, basis = record.upstream, record.basis
        # By its class: the code may be the upstream's own, of which there is no end.
        cause = type(ending.error).__name__ if ending.error else ""
        self._metrics.attempts.labels(upstream, record.status, cause).inc()
        self._metrics.tokens.labels(upstream, "prompt", basis).inc(record.prompt_tokens)
        self._metrics.tokens.labels(upstream, "completion", basis).inc(record.completion_tokens)
        if record.usage_missing:
            self._metrics.usage_missing.labels(upstream).inc()

    @property
    def unsettled(self) -> int:
        """How many attempts are running."""
        return len(self._open)

    def _record(self, attempt: Attempt, usage: Usage, basis: Basis, ending: Ending) -> storage.UsageRecord:
        work = attempt.work
        return storage.UsageRecord(
            attempt_id=attempt.id,
            kind="charge",
            request_id=work.request_id,
            account_id=work.caller.account_id,
            key_id=work.caller.key_id,
            operation=work.operation,
            model=work.body["model"],
            upstream=attempt.upstream,
            upstream_model=attempt.upstream_model,
            stream=work.streamed,
            status=ending.status,
            basis=basis,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cost_microusd=attempt.price.of(usage) if attempt.price else 0,
            raw_usage=orjson.dumps(usage.raw) if usage.raw is not None else None,
            usage_missing=ending.status == "completed" and basis == "estimated",
            usage_implausible=ending.usage_implausible,
            error_code=ending.error.code if ending.error else None,
            upstream_status=ending.upstream_status,
            started_at=attempt.started_at,
            ended_at=self._clock.now(),
            end_user=work.end_user,
        )
