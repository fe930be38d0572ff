"""The attempts that one request takes: each reserved before it is sent, each settled once, however it ends."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial

import orjson
import structlog

from llm_backend.domain.bench import Bench
from llm_backend.domain.entries import Balance
from llm_backend.domain.extras import Extra, opened
from llm_backend.domain.interruption import Interruption
from llm_backend.domain.keeping import Kept, written_with
from llm_backend.domain.limits import FREE, Asked, Permit
from llm_backend.domain.sizing import Sizing
from llm_backend.domain.trades import Trade
from llm_backend.domain.usage import NOTHING_USED, Basis, Usage
from llm_backend.domain.work import Attempt, Ending, Work
from llm_backend.errors import BudgetExhausted, Internal, Json, LLMBackendError, Overloaded, RateLimited, UpstreamFailed
from llm_backend.upstream.forms import Form
from llm_backend.upstream.headers import passed_up
from llm_backend.upstream.routing import Plan, Route
from llm_backend.upstream.wire import Outbound, Reply

log = structlog.get_logger("llm_backend.exchange")

Guess = Callable[[Usage], Usage]
"""Corrects what is likely by what was surely seen."""


class Attempts:
    """Asks the upstream for one exchange, and keeps its books."""

    def __init__(  # noqa: PLR0913 (what a request is asked with)
        self, work: Work, trade: Trade, plan: Plan, bench: Bench, interruption: Interruption, *, at_least: Guess
    ) -> None:
        """`at_least`: what an estimate becomes, given what has come of the answer."""
        self._plan = plan
        self._work = work
        self._trade = trade
        self._bench = bench
        self._interruption = interruption
        self._at_least = at_least
        self._sizing = self._sized()
        self._deadline = asyncio.get_running_loop().time() + bench.total_seconds
        self._attempt: Attempt | None = None
        self._permits: dict[str, Permit] = {}
        self._failed: LLMBackendError | None = None
        self._used_tokens = 0
        self.balance: Balance | None = None
        """How the account's budget stood when it was last touched; None until the first reservation."""
        self.summary: dict[str, int | str] = {}
        """What the access log may say of it, once it is settled: tokens and their basis."""
        self.is_entered = False
        """Whether the last settlement stands in the books, with what is kept beside it; else both still wait."""

    @property
    def attempt_id(self) -> str | None:
        """The attempt that runs; None between attempts."""
        return self._attempt.id if self._attempt else None

    @property
    def route(self) -> Route:
        """Where the last attempt went, or the next one goes."""
        return self._plan.route

    @property
    def trade(self) -> Trade:
        """What is asked for there."""
        return self._trade.at(self.route)

    @property
    def rate_headers(self) -> Mapping[str, str]:
        """What of its rate limits the client is told."""
        return next((permit.headers for permit in self._permits.values()), {})

    @property
    def cut_at(self) -> int | None:
        """Tokens beyond which the answer has run away; None where nothing bounds it."""
        return self._sizing.cut_at(self._attempt.grant) if self._attempt else None

    def guess(self, received: int = 0) -> Usage:
        """What is likely to be used once so many bytes have come; never more than was held back."""
        return self._at_least(self._sizing.guess(received, self._attempt.grant if self._attempt else None))

    async def open(self) -> Reply:
        """The upstream's answer, with as many attempts as the rules allow; each failed one is settled.

        Raises BudgetExhausted, UpstreamFailed or Overloaded, or the reason of the interruption.
        """
        while True:
            self._attempt = await self._begun()
            if self._work.admitted is not None:
                self._work.admitted()
            was_sent = False
            try:
                with self._interruption.listening():
                    was_sent = True
                    send = partial(self._outbound, self._attempt)
                    return await opened(self.route, self.trade.extra, self._work.body, send)
            except LLMBackendError as error:
                await self._settle_unanswered(error, was_sent=was_sent)
                if not await self._goes_on(error):
                    raise

    async def gives_way(self, error: LLMBackendError) -> bool:
        """Whether somebody else is to be asked, after an answer that failed by `error` before anything of it was used.

        Then nobody is charged for it: one request has one answer, and one charge.
        """
        if self._next_after(error, opened=True) is None:
            return False
        await self.settle(NOTHING_USED, Ending.failed(error), "void")
        return True

    async def settle(self, usage: Usage, ending: Ending, basis: Basis | None = None, kept: Kept | None = None) -> None:
        """Settle the attempt at hand, if there is one; its basis follows from where `usage` comes from."""
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        self._used_tokens += usage.prompt_tokens + usage.completion_tokens
        basis = basis or ("estimated" if usage.raw is None else "reported")
        self.summary = {
            "upstream": attempt.details.upstream,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "basis": basis,
        }
        if ending.error is not None and ending.error.code is not None:
            self.summary["error"] = ending.error.code
        beside = written_with(self._work, attempt.id, ending, kept or Kept(), is_charged=basis != "void")
        balance = await self._bench.metering.settle(attempt.id, usage, basis, ending, beside)
        self.is_entered = balance is not None
        self.balance = balance or self.balance

    async def settle_failed(self, error: LLMBackendError) -> None:
        """Settle an answer of which nothing can be used: it was worked for all the same."""
        if self._work.unknown_is_void:
            await self.settle(NOTHING_USED, Ending.failed(error), "void")
        else:
            await self.settle(self.guess(), Ending.failed(error))

    async def settle_answered(self, ending: Ending, raw: Json, received: str, kept: Kept | None = None) -> None:
        """Settle by the upstream's report `raw`; by what is likely where that cannot be read.

        `received`: the text that came.
        """
        size = 0 if ending.status == "failed" else self._sizing.received(kept.content if kept else None, received)
        guessed = self.guess(size)
        reported = Usage.reported(raw)
        if reported is None:
            grant = self._attempt.grant if self._attempt else None
            counted = await self._sizing.counted(guessed, received, grant)
            is_missing = ending.status == "completed" and self.trade.tells_usage and self._work.accept is None
            await self.settle(self._at_least(counted), ending.flagged(usage_missing=is_missing), kept=kept)
            return
        self._sizing.learn(reported, size)
        reported = reported.completed(guessed)
        is_implausible = reported.is_inconsistent or reported.is_far_below(guessed)
        await self.settle(reported, ending.flagged(usage_implausible=is_implausible), kept=kept)

    async def close(self) -> None:
        """Whatever went wrong in a way nobody foresaw: no attempt stays open, and no permit is kept."""
        try:
            if self._attempt is not None:
                await self.settle(self.guess(), Ending.failed(Internal()))
        finally:
            # Or the exchange and its attempts would hold each other until the collector comes.
            self._at_least = _as_it_is
            limited = [permit for permit in self._permits.values() if permit is not FREE]
            if limited:
                await self._give_back(limited)

    async def _give_back(self, permits: Iterable[Permit]) -> None:
        async with AsyncExitStack() as stack:
            for permit in permits:
                stack.push_async_callback(permit.settle, self._used_tokens)

    async def _begun(self) -> Attempt:
        """The next attempt, reserved: nothing is sent before, and nobody interrupts it.

        Raises what the one before it ended in, where there is no room for another.
        """
        while True:
            try:
                return await self._reserved()
            except (BudgetExhausted, RateLimited) as error:
                # Who only stands in may be too dear or too busy; whoever comes after may not be.
                if self._plan.passes_over():
                    self._sizing = self._sized()
                elif self._failed is None:
                    raise
                else:
                    raise self._failed from error

    async def _reserved(self) -> Attempt:
        if self._work.is_large:
            await asyncio.to_thread(self._sizing.measure)
        metering = self._bench.metering
        with self._interruption.listening():
            ask = self._sizing.ask(metering.price(self.route))
        likely = self.guess()
        await self._admit(likely.prompt_tokens)
        attempt = await metering.begin(self._work, self.route, ask, likely)
        self.balance = attempt.balance
        return attempt

    async def _admit(self, likely: int) -> None:
        """Take of the rate limits: of those of whoever asks once, and of those of each model that is asked."""
        # The prompt as it is likely to be, and as much answer as was asked for.
        tokens = likely + self._sizing.named_tokens
        model = self.route.configured_name
        if not self._permits:
            self._permits[model] = await self._bench.limits.admit(self._asked(model, tokens))
        elif model not in self._permits:
            self._permits[model] = await self._bench.limits.admit_to(model, tokens)

    def _asked(self, model: str, tokens: int) -> Asked:
        caller = self._work.caller
        return Asked(
            caller.account_id,
            caller.key_id,
            model,
            tokens,
            caller.limits_of_key,
            caller.limits_of_account,
            self._bench.limits.of_model(model),
            caller.end_user,
        )

    async def _goes_on(self, error: LLMBackendError) -> bool:
        """Whether there is another attempt after one that failed by `error`, once its time has come."""
        pause = self._next_after(error)
        if pause is None:
            return False
        with self._interruption.listening():
            await asyncio.sleep(pause)
        return True

    def _next_after(self, error: LLMBackendError, *, opened: bool = False) -> float | None:
        """Turn to whoever is asked next; seconds until then, None where nobody is."""
        before, remaining = self.route, self._deadline - asyncio.get_running_loop().time()
        pause = self._plan.after(error, remaining_seconds=remaining, opened=opened)
        if pause is not None:
            self._failed = error
        if self.route is not before:
            self._sizing = self._sized()
        return pause

    def _sized(self) -> Sizing:
        """What the request may use on the route at hand."""
        return self._trade.sized(self._work, self.route, self._bench)

    async def _settle_unanswered(self, error: LLMBackendError, *, was_sent: bool) -> None:
        if not was_sent or isinstance(error, Overloaded):
            # Stopped before, or the circuit let nothing through: there was no attempt.
            attempt, self._attempt = self._attempt, None
            if attempt is not None:
                await self._bench.metering.withdraw(attempt.id)
            return
        # Interrupted or timed out after it was sent: the upstream may have read the prompt, and bills for that.
        is_unknown = isinstance(error, UpstreamFailed) and error.outcome_unknown
        if is_unknown or error is self._interruption.reason:
            await self.settle_failed(error)
        else:
            await self.settle(NOTHING_USED, Ending.failed(error), "void")

    def _outbound(self, attempt: Attempt, extra: Extra | None) -> Outbound:
        """Our own serialisation of what was validated and reserved, with the upstream's name for the model."""
        work, trade, sent = self._work, self.trade, self._sizing.sent(attempt.grant)
        body = sent if isinstance(sent, Form) else self._written(extra.added(sent) if extra else sent)
        # However often a whole answer is asked for, it takes no longer than one may; a stream is not asked for again
        # once it has begun, and has a limit of its own.
        deadline = None if work.streamed else self._deadline
        passed, query = passed_up(work.headers), work.query
        if trade.written is not None:
            # What is asked for in another's place knows nothing of its variants.
            passed.pop("openai-beta", None)
            query = ""
        takes_whole = trade.whole_as is not None
        return Outbound("POST", trade.path, body, work.streamed, passed, deadline, query, takes_whole, work.accept)

    def _written(self, body: dict[str, Json]) -> bytes:
        if self._work.streamed and self.trade.asks_usage:
            # Asked for always: without it no stream could be metered.
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        written = orjson.dumps(body)
        if self._bench.logs_prompts:
            log.info("prompt", request_id=self._work.request_id, prompt=written.decode())
        return written


def _as_it_is(likely: Usage) -> Usage:
    return likely
