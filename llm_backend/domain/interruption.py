"""How a task is ended from outside: only while it waits for the upstream, and as a reason that a client can read."""

import asyncio
from types import TracebackType
from typing import Self

from llm_backend.errors import LLMBackendError


class Interruption:
    """One task's. Nothing interrupts it while it settles: that takes place outside of `listening`."""

    def __init__(self) -> None:
        self.reason: LLMBackendError | None = None
        """Why it is to end; the first reason counts."""
        self._is_due = False
        self._is_listening = False

    def strike(self, task: asyncio.Task[object]) -> None:
        """End what `task` waits for, now or as soon as it begins to wait."""
        self._is_due = True
        if self._is_listening:
            task.cancel()

    def listening(self) -> Self:
        """While inside, the reason is raised at once. Raises it on entering if it came before."""
        return self

    def __enter__(self) -> None:
        if self.reason is not None and self._is_due:
            raise self.reason
        self._is_listening = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._is_listening = False
        if error is None or not isinstance(error, asyncio.CancelledError):
            return
        task = asyncio.current_task()
        if self.reason is not None and self._is_due and task is not None:
            task.uncancel()
            raise self.reason from None
