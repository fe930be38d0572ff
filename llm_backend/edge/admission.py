"""Who may come in: how many requests run at once, and none any more while the server is shutting down."""

from collections.abc import Callable
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from llm_backend.errors import Draining, Overloaded

PROBES = frozenset({"/healthz", "/readyz"})
"""Answered always: they are asked just when things go badly."""


class Admission:
    """Counts the requests in flight. The server sets `is_draining` when it is told to stop."""

    def __init__(self, max_concurrent: int) -> None:
        self.is_draining = False
        self.running = 0
        self._max_concurrent = max_concurrent

    def enter(self, path: str) -> None:
        """Count a request, which has to `leave`. Raises Draining or Overloaded instead, where it is no probe."""
        if path not in PROBES:
            self._refuse()
        self.running += 1

    def leave(self) -> None:
        self.running -= 1

    def _refuse(self) -> None:
        if self.is_draining:
            raise Draining
        if self.running >= self._max_concurrent:
            raise Overloaded


class Made(Protocol):
    """What is made here for whoever asked, some of it while nobody waits."""

    @property
    def running(self) -> int:
        """How much of it."""
        ...

    @property
    def readers(self) -> int:
        """How many requests only read what is made, here or elsewhere."""
        ...

    def release(self) -> None:
        """Let go of those readers whose end is not made here. Returns at once, as `cut`."""
        ...

    def cut(self) -> None:
        """End all of it."""
        ...


class Edge:
    """The whole application as the server runs it, which tells it when to let nobody in, and when to end what runs."""

    def __init__(self, app: ASGIApp, admission: Admission, made: Made, reload: Callable[[], None]) -> None:
        """`made` is ended when the grace is over; `reload` has the settings read again, and returns at once."""
        self.admission = admission
        self.made = made
        self.reload = reload
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
