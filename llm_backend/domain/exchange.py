"""One request on its way to an upstream and back, in a task of its own: whoever leaves, it is settled."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import orjson
import structlog

from llm_backend.domain.bench import Bench
from llm_backend.domain.clock import uuid7
from llm_backend.domain.entries import Balance
from llm_backend.domain.fitting import Fitting
from llm_backend.domain.keeping import HTTP_OK, Kept, written_with
from llm_backend.domain.limits import Asked, Permit
from llm_backend.domain.metering import canonical
from llm_backend.domain.prompts import prompt_text, text_bytes
from llm_backend.domain.usage import NOTHING_USED, Basis, Usage
from llm_backend.domain.work import Attempt, Ending, Status, Work
from llm_backend.errors import ClientLeft, Internal, Json, LLMBackendError, Overloaded, UpstreamFailed
from llm_backend.upstream.catalogue import Route
from llm_backend.upstream.headers import passed_up
from llm_backend.upstream.wire import Outbound, Reply

DRAIN_SECONDS = 30.0
"""How long an answer that its reader left may go on, where its upstream is drained and not cut."""

log = structlog.get_logger("llm_backend.exchange")


class Exchange(ABC):
    """The upstream's side of one request. Subclasses say what becomes of the answer.

    The task is detached from the request: only `stop` interrupts it, only while it waits for the upstream, and never
    while it settles. Reading takes place inside `_listening`, everything else outside of it.
    """

    def __init__(self, work: Work, route: Route, bench: Bench) -> None:
        self.work = work
        self._route = route
        self._bench = bench
        self._deadline = asyncio.get_running_loop().time() + bench.total_seconds
        self._stopped_by: LLMBackendError | None = None
        self._is_left = False
        self._is_interrupted = False
        self._is_listening = False
        self._attempt: Attempt | None = None
        self._fitting = Fitting(work, route, bench.default_output_tokens)
        self._permit: Permit | None = None
        self._used_tokens = 0
        self.balance: Balance | None = None
        """How the account's budget stood when it was last touched; None until the first reservation."""
        self.summary: dict[str, int | str] = {}
        """What the access log may say of it, once it is settled: tokens and their basis."""

    media_type = "application/json"
    """Of the answer, as it is told again under an Idempotency-Key."""

    _passed_on: bytes | None = None

    def start(self) -> asyncio.Task[Any]:
        """Begin; whoever starts it keeps the task, so that it is neither lost nor left behind."""
        self.task = asyncio.create_task(self._run(), name=f"exchange {self.work.request_id}")
        return self.task

    @property
    def is_abandoned(self) -> bool:
        """Whether the client left before the end."""
        return self._is_left or isinstance(self._stopped_by, ClientLeft)

    @property
    def attempt_id(self) -> str | None:
        """The attempt that runs; None between attempts."""
        return self._attempt.id if self._attempt else None

    @property
    def seen_tokens(self) -> int:
        """What of the answer has come so far, at least."""
        return 0

    async def settled(self) -> None:
        """Returns when all is over and written down, however it ended."""
        await asyncio.wait((self.task,))

    def abandon(self) -> None:
        """The client has gone: the upstream is cancelled, or read to its end, and what it sent is settled."""
        if not self._route.upstream.manner.drains:
            self.stop(ClientLeft())
        elif not self._is_left and not self.task.done():
            self._is_left = True
            timer = asyncio.get_running_loop().call_later(DRAIN_SECONDS, self.stop, ClientLeft())
            self.task.add_done_callback(lambda _: timer.cancel())

    def stop(self, reason: LLMBackendError) -> None:
        """End the exchange for `reason`; the first one given counts. Does nothing to one that is settling or over."""
        if self._stopped_by is None and not self.task.done():
            self._stopped_by = reason
            self._interrupt()

    def _interrupt(self) -> None:
        self._is_interrupted = True
        if self._is_listening:
            self.task.cancel()

    async def _run(self) -> Any:
        try:
            return await self._work()
        finally:
            # Whatever went wrong in a way nobody foresaw, the attempt does not stay open.
            try:
                await self._settle(self._guess(0), Ending.failed(Internal()))
            finally:
                if self._permit is not None:
                    await self._permit.settle(self._used_tokens)

    @property
    def rate_headers(self) -> Mapping[str, str]:
        """What of its rate limits the client is told."""
        return self._permit.headers if self._permit else {}

    @abstractmethod
    async def _work(self) -> Any:
        """Ask, hand on, settle; what it returns is the task's result."""

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """While inside, `stop` takes effect at once, as the reason it was given. Raises it if it came before."""
        if self._stopped_by is not None and self._is_interrupted:
            raise self._stopped_by
        self._is_listening = True
        try:
            yield
        except asyncio.CancelledError:
            if self._stopped_by is None or not self._is_interrupted:
                raise
            self.task.uncancel()
            raise self._stopped_by from None
        finally:
            self._is_listening = False

    async def _open(self) -> Reply:
        """The upstream's answer, with as many attempts as the rules allow; each failed one is settled.

        Raises BudgetExhausted, UpstreamFailed or Overloaded, or the reason of `stop`.
        """
        tried = 0
        while True:
            tried += 1
            self._attempt = await self._begun_attempt()
            was_sent = False
            try:
                with self._listening():
                    was_sent = True
                    return await self._route.upstream.open(self._outbound(self._attempt))
            except LLMBackendError as error:
                await self._settle_unanswered(error, was_sent=was_sent)
                pause = self._pause_after(error, tried)
                if pause is None:
                    raise
            with self._listening():
                await asyncio.sleep(pause)

    async def _begun_attempt(self) -> Attempt:
        """The next attempt, reserved: nothing is sent before, and nobody interrupts it."""
        if self.work.is_large:
            await asyncio.to_thread(self._measure)
        with self._listening():
            metering = self._bench.metering
            ask = self._fitting.ask(metering.price(self._route))
        likely = self._guess(0).prompt_tokens
        if self._permit is None:
            self._permit = await self._bench.limits.admit(self._asked(likely))
        attempt = await metering.begin(self.work, self._route, ask, likely)
        self.balance = attempt.balance
        return attempt

    def _measure(self) -> None:
        """Look through the body once; what is found is remembered."""
        self._fitting.measure()
        self._guess(0)

    def _asked(self, likely: int) -> Asked:
        """What is taken of rate limits: the prompt as it is likely to be, and as much answer as was asked for."""
        caller, model = self.work.caller, canonical(self._route)
        return Asked(
            uuid7(self._bench.clock.now()),
            caller.account_id,
            caller.key_id,
            model,
            likely + self._fitting.named_tokens,
            caller.limits_of_key,
            caller.limits_of_account,
            self._bench.limits.of_model(model),
        )

    def _pause_after(self, error: LLMBackendError, tried: int) -> float | None:
        """Seconds until the next attempt; None where there is to be none."""
        if not isinstance(error, UpstreamFailed):
            return None
        remaining = self._deadline - asyncio.get_running_loop().time()
        return self._route.upstream.retries.delay_before(error, tried, remaining_seconds=remaining)

    async def _settle_unanswered(self, error: LLMBackendError, *, was_sent: bool) -> None:
        if not was_sent or isinstance(error, Overloaded):
            # Stopped before, or the circuit let nothing through: there was no attempt.
            attempt, self._attempt = self._attempt, None
            if attempt is not None:
                await self._bench.metering.withdraw(attempt.id)
            return
        if self.work.unknown_is_void:
            await self._settle(NOTHING_USED, Ending.failed(error), "void")
            return
        # Interrupted or timed out after it was sent: the upstream may have read the prompt, and bills for that.
        is_unknown = isinstance(error, UpstreamFailed) and error.outcome_unknown
        if is_unknown or error is self._stopped_by:
            await self._settle(self._guess(0), Ending.failed(error))
        else:
            await self._settle(NOTHING_USED, Ending.failed(error), "void")

    async def _settle(
        self, usage: Usage, ending: Ending, basis: Basis | None = None, content: Json | None = None
    ) -> None:
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
        kept = Kept(content, self.media_type, self._passed_on)
        also = written_with(self.work, attempt.id, ending, kept, is_charged=basis != "void")
        self.balance = await self._bench.metering.settle(attempt.id, usage, basis, ending, also) or self.balance

    async def _settle_answered(
        self, status: Status, error: LLMBackendError | None, raw: Json, received: str, content: Json | None = None
    ) -> None:
        """Settle by the upstream's report `raw`; by what is likely where that cannot be read.

        `received`: the text that came. `content`: the whole answer, for whoever keeps it.
        """
        size = len(received.encode("utf-8", "surrogatepass"))
        guessed = self._guess(size)
        reported = Usage.reported(raw)
        if reported is None:
            await self._settle(await self._counted(guessed, received), Ending(status, error, HTTP_OK), content=content)
            return
        self._bench.estimates.learn(self._route.upstream_model, reported, self._prompt_bytes, size)
        is_implausible = reported.is_inconsistent or reported.is_far_below(guessed)
        ending = Ending(status, error, HTTP_OK, usage_implausible=is_implausible)
        await self._settle(reported, ending, content=content)

    async def _counted(self, guessed: Usage, received: str) -> Usage:
        """The usage by the model's own tokenizer, where that is loaded; else as it was guessed."""
        count = self._bench.tokenizer.count
        prompt = await count(self._route.upstream_model, await asyncio.to_thread(prompt_text, self.work.body))
        completion = await count(self._route.upstream_model, received)
        if prompt is None or completion is None:
            return guessed
        return self._within(Usage(prompt, completion))

    def _guess(self, received: int) -> Usage:
        """What is likely for so many bytes of text; never more than was held back."""
        likely = self._bench.estimates.usage(self._route.upstream_model, self._prompt_bytes, received)
        return self._within(likely)

    def _within(self, likely: Usage) -> Usage:
        return self._fitting.within(likely, self._attempt.grant if self._attempt else None)

    @cached_property
    def _prompt_bytes(self) -> int:
        return text_bytes(self.work.body)

    def _outbound(self, attempt: Attempt) -> Outbound:
        """Our own serialisation of what was validated and reserved, with the upstream's name for the model."""
        body = self._fitting.fitted(attempt.grant)
        if self.work.streamed:
            # Asked for always: without it no stream could be metered.
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        sent = orjson.dumps(body)
        if self._bench.logs_prompts:
            log.info("prompt", request_id=self.work.request_id, prompt=sent.decode())
        # However often a whole answer is asked for, it takes no longer than one may; a stream is not asked for again
        # once it has begun, and has a limit of its own.
        deadline = None if self.work.streamed else self._deadline
        return Outbound("POST", self.work.path, sent, self.work.streamed, passed_up(self.work.headers), deadline)

    @property
    def _alias(self) -> str | None:
        """The model's name as the client knows it, where the upstream has another."""
        return self._route.public_model if self._route.is_renamed else None
