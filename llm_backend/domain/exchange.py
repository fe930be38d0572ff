"""One request on its way to an upstream and back, in a task of its own: whoever leaves, it is settled."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
import structlog

from llm_backend.domain.clock import Clock
from llm_backend.domain.estimates import Estimates
from llm_backend.domain.metering import Attempt, Ending, Metering, Status, Work
from llm_backend.domain.prompts import text_bytes
from llm_backend.domain.usage import NOTHING_USED, Basis, Usage
from llm_backend.errors import ClientLeft, Internal, Json, LLMBackendError, Overloaded, UpstreamFailed
from llm_backend.upstream.catalogue import Route
from llm_backend.upstream.headers import passed_up
from llm_backend.upstream.wire import Outbound, Reply

HTTP_OK = 200

log = structlog.get_logger("llm_backend.exchange")


@dataclass(frozen=True, slots=True)
class Bench:
    """What every exchange works with."""

    metering: Metering
    estimates: Estimates
    clock: Clock
    total_seconds: float
    """What a whole answer may take, all attempts together; no retry of a stream begins later."""
    logs_prompts: bool = False
    """Whether what is sent upstream is written to the log too."""


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
        self._is_interrupted = False
        self._is_listening = False
        self._attempt: Attempt | None = None
        self.summary: dict[str, int | str] = {}
        """What the access log may say of it, once it is settled: tokens and their basis."""

    def start(self) -> asyncio.Task[Any]:
        """Begin; whoever starts it keeps the task, so that it is neither lost nor left behind."""
        self.task = asyncio.create_task(self._run(), name=f"exchange {self.work.request_id}")
        return self.task

    @property
    def is_abandoned(self) -> bool:
        """Whether the client left before the end."""
        return isinstance(self._stopped_by, ClientLeft)

    async def settled(self) -> None:
        """Returns when all is over and written down, however it ended."""
        await asyncio.wait((self.task,))

    def abandon(self) -> None:
        """The client has gone: the upstream is cancelled, and what it sent is settled."""
        self.stop(ClientLeft())

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
            await self._settle(self._guess(0), Ending.failed(Internal()))

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

        Raises UpstreamFailed or Overloaded, or the reason of `stop`.
        """
        if self._bench.logs_prompts:
            log.info("prompt", request_id=self.work.request_id, prompt=self._sent.decode())
        tried = 0
        while True:
            tried += 1
            try:
                with self._listening():
                    upstream = self._route.upstream
                    self._attempt = self._bench.metering.begin(self.work, self._route)
                    return await upstream.open(self._outbound)
            except LLMBackendError as error:
                await self._settle_unanswered(error)
                pause = self._pause_after(error, tried)
                if pause is None:
                    raise
            with self._listening():
                await asyncio.sleep(pause)

    def _pause_after(self, error: LLMBackendError, tried: int) -> float | None:
        """Seconds until the next attempt; None where there is to be none."""
        if not isinstance(error, UpstreamFailed):
            return None
        remaining = self._deadline - asyncio.get_running_loop().time()
        return self._route.upstream.retries.delay_before(error, tried, remaining_seconds=remaining)

    async def _settle_unanswered(self, error: LLMBackendError) -> None:
        if isinstance(error, Overloaded):
            self._withdraw()
            return
        # Interrupted or timed out after it was sent: the upstream may have read the prompt, and bills for that.
        is_unknown = isinstance(error, UpstreamFailed) and error.outcome_unknown
        if is_unknown or error is self._stopped_by:
            await self._settle(self._guess(0), Ending.failed(error))
        else:
            await self._settle(NOTHING_USED, Ending.failed(error), "void")

    def _withdraw(self) -> None:
        """The circuit let nothing through: there was no attempt."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            self._bench.metering.withdraw(attempt.id)

    async def _settle(
        self, usage: Usage, ending: Ending, basis: Basis | None = None, content: Json | None = None
    ) -> None:
        """Settle the attempt at hand, if there is one; its basis follows from where `usage` comes from."""
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        basis = basis or ("estimated" if usage.raw is None else "reported")
        self.summary = {
            "upstream": attempt.upstream,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "basis": basis,
        }
        if ending.error is not None and ending.error.code is not None:
            self.summary["error"] = ending.error.code
        keep = self.work.keep
        also = (lambda session: keep(session, attempt.id, content)) if keep and content is not None else None
        await self._bench.metering.settle(attempt.id, usage, basis, ending, also)

    async def _settle_answered(
        self, status: Status, error: LLMBackendError | None, raw: Json, received: int, content: Json | None = None
    ) -> None:
        """Settle by the upstream's report `raw`; by what is likely where that cannot be read.

        `received`: the bytes of text that came. `content`: the whole answer, for whoever keeps it.
        """
        guessed = self._guess(received)
        reported = Usage.reported(raw)
        if reported is None:
            await self._settle(guessed, Ending(status, error, HTTP_OK), content=content)
            return
        self._bench.estimates.learn(self._route.upstream_model, reported, self._prompt_bytes, received)
        is_implausible = reported.is_far_below(guessed)
        ending = Ending(status, error, HTTP_OK, usage_implausible=is_implausible)
        await self._settle(reported, ending, content=content)

    def _guess(self, received: int) -> Usage:
        return self._bench.estimates.usage(self._route.upstream_model, self._prompt_bytes, received)

    @cached_property
    def _prompt_bytes(self) -> int:
        return text_bytes(self.work.body)

    @cached_property
    def _sent(self) -> bytes:
        """Our own serialisation of what was validated, with the upstream's name for the model."""
        body = {**self.work.body, "model": self._route.upstream_model}
        if self.work.streamed:
            # Asked for always: without it no stream could be metered.
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        return orjson.dumps(body)

    @property
    def _outbound(self) -> Outbound:
        headers = passed_up(self.work.headers)
        # However often a whole answer is asked for, it takes no longer than one may; a stream is not asked for again
        # once it has begun, and has a limit of its own.
        deadline = None if self.work.streamed else self._deadline
        return Outbound("POST", self.work.path, self._sent, self.work.streamed, headers, deadline)

    @property
    def _alias(self) -> str | None:
        """The model's name as the client knows it, where the upstream has another."""
        return self._route.public_model if self._route.is_renamed else None
