"""What every attempt at an upstream may use and has used: reserved before it is sent, settled once, however it ends."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from llm_backend.domain.backlog import Backlog
from llm_backend.domain.clock import Clock, uuid7
from llm_backend.domain.entries import NOTHING_BESIDE, Balance, Beside, Done, Entry, Reserve, Settle, Void, attempt_of
from llm_backend.domain.granting import Ask
from llm_backend.domain.ledger import Ledger
from llm_backend.domain.prices import Prices
from llm_backend.domain.usage import NOTHING_USED, UNITS, Basis, Price, Usage
from llm_backend.domain.work import Attempt, Details, Ending, Work
from llm_backend.errors import DatabaseUnavailable, Unavailable
from llm_backend.metrics import Metrics
from llm_backend.storage.ledger_rows import Abandoned
from llm_backend.storage.usage import UsageRecord
from llm_backend.upstream.routing import Route

SETTLE_TRIES = 3
SETTLE_PAUSE_SECONDS = 0.2

log = structlog.get_logger("llm_backend.metering")


class Metering:
    """Turns attempts into entries of the ledger."""

    def __init__(  # noqa: PLR0913 (what attempts are entered into and counted by)
        self,
        ledger: Ledger,
        backlog: Backlog,
        prices: Prices,
        clock: Clock,
        metrics: Metrics,
        *,
        is_lone: Callable[[], bool],
    ) -> None:
        """`is_lone`: whether no more than one client is being answered."""
        self._is_lone = is_lone
        self._ledger = ledger
        self._backlog = backlog
        self._prices = prices
        self._clock = clock
        self._metrics = metrics
        self._open: dict[str, Attempt] = {}
        self._held: set[str] = set()

    def price(self, route: Route) -> Price | None:
        """What its model costs now."""
        return self._prices.of(route.model.configured_name, self._clock.now()) if route.model else None

    async def begin(self, work: Work, route: Route, ask: Ask, likely: Usage) -> Attempt:
        """An attempt that is about to be sent, with what it may use held back: it has to be settled or withdrawn.

        `likely`: what is used as soon as it is sent, and charged if this process dies.
        Not to be cancelled. Raises BudgetExhausted, Unauthenticated where the key was taken away, and Unavailable.
        """
        attempt_id = uuid7(self._clock.now())
        details = self._details(work, route, ask, likely)
        caller, model = work.caller, canonical(route)
        entry = Reserve(
            attempt_id, caller.account_id, caller.key_id, model, ask, likely.prompt_tokens, details.as_json(),
            caller.end_user,
        )  # fmt: skip
        self._held.add(attempt_id)
        try:
            granted = await self._ledger.reserve(entry, is_alone=self._is_alone)
        except BaseException as error:
            self._held.discard(attempt_id)
            if isinstance(error, Unavailable):
                # It may be held back all the same, and nobody would ever let go of it.
                await self._backlog.keep(Void(attempt_id, caller.account_id))
            raise
        attempt = Attempt(attempt_id, details, granted.grant, granted.balance, is_void_unkept=work.unknown_is_void)
        self._open[attempt_id] = attempt
        return attempt

    async def withdraw(self, attempt_id: str) -> None:
        """Let go of an attempt that was not made after all: nothing was sent, nothing is recorded."""
        attempt = self._open.pop(attempt_id, None)
        if attempt is not None:
            await self._entered(Void(attempt_id, attempt.details.account_id))

    async def settle(
        self, attempt_id: str, usage: Usage, basis: Basis, ending: Ending, beside: Beside = NOTHING_BESIDE
    ) -> Balance | None:
        """Write what the attempt used, and what is `beside`; how the budget then stands, if that is known.

        A second settlement of the same attempt changes nothing. A database that is away or busy is tried again for a
        moment; after that the record is kept on this disk until the database takes it.
        """
        attempt = self._open.pop(attempt_id, None)
        if attempt is None:
            return None
        now = self._clock.now()
        record = attempt.details.record(attempt_id, usage, basis, ending, now)
        # While the database is waited for.
        asyncio.get_running_loop().call_soon(self._count, record, ending)
        void = _void(attempt, now) if attempt.is_void_unkept else None
        done = await self._entered(Settle(record, beside), void)
        return done.balance if done else None

    def crashed(self, found: Abandoned) -> Entry:
        """What is entered for an attempt whose process died: what was seen of it until shortly before."""
        try:
            details = Details.from_json(found.details)
        except (KeyError, TypeError, ValueError):
            # One row that cannot be read keeps neither the others from being settled nor a server from starting.
            log.critical("reservation_unreadable", attempt_id=found.attempt_id, account_id=found.account_id)
            return Void(found.attempt_id, found.account_id)
        if found.state == "held":
            return Void(found.attempt_id, found.account_id)
        seen = Usage(found.observed_prompt_tokens, found.observed_completion_tokens, **details.units._asdict())
        ending = Ending("incomplete" if seen.completion_tokens else "failed")
        return Settle(details.record(found.attempt_id, seen, "crash", ending, self._clock.now()))

    @property
    def held(self) -> set[str]:
        """What this process will settle or let go of: its leases are renewed, and those of nothing else."""
        return self._held | self._backlog.attempts

    @property
    def unsettled(self) -> int:
        """How many attempts are running."""
        return len(self._open)

    @property
    def _is_alone(self) -> bool:
        """Whether whoever asks is all that this process has to do, so that nobody is held up with it."""
        return len(self._held) <= 1 and self._is_lone()

    async def _entered(self, entry: Entry, otherwise: Entry | None = None) -> Done | None:
        """What came of it; None where it, or what is entered `otherwise`, waits for the database now."""
        done = await self._taken(entry)
        if done is None:
            await self._backlog.keep(otherwise or entry)
        self._held.discard(attempt_of(entry))
        return done

    async def _taken(self, entry: Entry) -> Done | None:
        """What came of it; None where the database did not take it."""
        for _ in range(SETTLE_TRIES):
            try:
                return await self._ledger.enter(entry, is_alone=self._is_alone)
            except Unavailable:
                await asyncio.sleep(SETTLE_PAUSE_SECONDS)
            except Exception:
                # A fault of the books does not take the answer from its reader.
                log.exception("entry_refused")
                break
        return None

    def _details(self, work: Work, route: Route, ask: Ask, likely: Usage) -> Details:
        return Details(
            request_id=work.request_id,
            account_id=work.caller.account_id,
            key_id=work.caller.key_id,
            operation=work.operation,
            model=work.body["model"],
            upstream=route.upstream.name,
            upstream_model=route.upstream_model,
            stream=work.streamed,
            end_user=work.end_user,
            started_at=self._clock.now(),
            price=ask.price,
            units=likely.units,
        )

    def _count(self, record: UsageRecord, ending: Ending) -> None:
        upstream, basis = record.upstream, record.basis
        # By its class: the code may be the upstream's own, of which there is no end.
        cause = type(ending.error).__name__ if ending.error else ""
        self._metrics.attempts(upstream, record.status, cause).inc()
        self._metrics.tokens(upstream, "prompt", basis).inc(record.prompt_tokens)
        self._metrics.tokens(upstream, "completion", basis).inc(record.completion_tokens)
        for kind in UNITS:
            if count := getattr(record, kind):
                self._metrics.units(upstream, kind, basis).inc(count)
        if record.usage_missing:
            self._metrics.usage_missing(upstream).inc()


def _void(attempt: Attempt, now: datetime) -> Settle:
    """What is entered for an answer that could not be kept."""
    return Settle(attempt.details.record(attempt.id, NOTHING_USED, "void", Ending.failed(DatabaseUnavailable()), now))


def canonical(route: Route) -> str:
    """The model that a budget may be of: by its own name, whatever alias it was asked for by."""
    return route.answering_model
