"""One request on its way to an upstream and back, in a task of its own: whoever leaves, it is settled."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from llm_backend.domain.attempts import Attempts
from llm_backend.domain.bench import Bench
from llm_backend.domain.entries import Balance
from llm_backend.domain.interruption import Interruption
from llm_backend.domain.route_headers import route_headers
from llm_backend.domain.trades import Trade
from llm_backend.domain.usage import Usage
from llm_backend.domain.work import Work
from llm_backend.errors import ClientLeft, Json, LLMBackendError
from llm_backend.upstream.headers import passed_down
from llm_backend.upstream.routing import Plan
from llm_backend.upstream.wire import Reply

DRAIN_SECONDS = 30.0
"""How long an answer that its reader left may go on, where its upstream is drained and not cut."""


class Exchange(ABC):
    """The upstream's side of one request. Subclasses say what becomes of the answer.

    The task is detached from the request: only `stop` interrupts it, only while it waits for the upstream, and never
    while it settles.
    """

    def __init__(self, work: Work, trade: Trade, plan: Plan, bench: Bench) -> None:
        self.work = work
        self._interruption = Interruption()
        self._attempts = Attempts(work, trade, plan, bench, self._interruption, at_least=self._at_least)
        self._is_left = False

    def start(self) -> asyncio.Task[Any]:
        """Begin; whoever starts it keeps the task, so that it is neither lost nor left behind."""
        if self.work.form is not None:
            self.work.form.kept()
        self.task = asyncio.create_task(self._run(), name=f"exchange {self.work.request_id}")
        return self.task

    @property
    def is_abandoned(self) -> bool:
        """Whether the client left before the end."""
        return self._is_left or isinstance(self._interruption.reason, ClientLeft)

    @property
    def attempt_id(self) -> str | None:
        """The attempt that runs; None between attempts."""
        return self._attempts.attempt_id

    @property
    def seen_tokens(self) -> int:
        """What of the answer has come so far, at least."""
        return 0

    @property
    def balance(self) -> Balance | None:
        """How the account's budget stood when it was last touched; None until the first reservation."""
        return self._attempts.balance

    @property
    def summary(self) -> Mapping[str, int | str]:
        """What the access log may say of it, once it is settled: tokens and their basis."""
        return self._attempts.summary

    @property
    def rate_headers(self) -> Mapping[str, str]:
        """What of its rate limits the client is told."""
        return self._attempts.rate_headers

    async def settled(self) -> None:
        """Returns when all is over and written down, however it ended."""
        await asyncio.wait((self.task,))

    def abandon(self) -> None:
        """The client has gone: the upstream is cancelled, or read to its end, and what it sent is settled."""
        if not self._attempts.route.upstream.manner.drains:
            self.stop(ClientLeft())
        elif not self._is_left and not self.task.done():
            self._is_left = True
            timer = asyncio.get_running_loop().call_later(DRAIN_SECONDS, self.stop, ClientLeft())
            self.task.add_done_callback(lambda _: timer.cancel())

    def stop(self, reason: LLMBackendError) -> None:
        """End the exchange for `reason`; the first one given counts. Does nothing to one that is settling or over."""
        if self._interruption.reason is None and not self.task.done():
            self._interruption.reason = reason
            self._interrupt()

    def _interrupt(self) -> None:
        self._interruption.strike(self.task)

    async def _run(self) -> Any:
        try:
            return await self._work()
        finally:
            if self.work.form is not None:
                self.work.form.close()
            await self._attempts.close()

    @abstractmethod
    async def _work(self) -> Any:
        """Ask, hand on, settle; what it returns is the task's result."""

    def _at_least(self, likely: Usage) -> Usage:
        """An estimate, raised to what was surely seen."""
        return likely

    async def _note(self, content: Json) -> None:
        """Have it remembered what the answer made: nobody is told of what is nobody's."""
        note = self.work.holdings.note
        if note is not None:
            await note(self._attempts.route.upstream.name, content)

    def _told(self, reply: Reply) -> dict[str, str]:
        """What the headers of the answer say: the upstream's own, and who that is."""
        return {**passed_down(reply.headers), **route_headers(self._attempts.route)}

    @property
    def _trade(self) -> Trade:
        """What is asked for where the last attempt went."""
        return self._attempts.trade

    @property
    def _alias(self) -> str | None:
        """The model's name as the client knows it, where the upstream has another."""
        route = self._attempts.route
        return route.public_model if route.is_renamed else None
