"""The call log: what was asked of the echo model, and how each answer ended."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from llm_backend.errors import Json


class Ending(StrEnum):
    """How an answer stands."""

    running = "running"
    complete = "complete"
    cut = "cut"
    """The client left before the end."""
    broken = "broken"
    """The connection broke, as a fault asked."""


@dataclass(slots=True)
class Call:
    """One call: it is written on while its answer is played."""

    number: int
    """Counted from 1 over the life of the log."""
    method: str
    path: str
    model: str | None = None
    stream: bool = False
    status: int | None = None
    """None until the status line has been sent."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Those generated and sent so far."""
    usage: Json = None
    """As the answer reported it; None while, or where, it has not."""
    ending: Ending = Ending.running
    _ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def end(self, ending: Ending) -> None:
        """The first ending holds."""
        if self.ending is Ending.running:
            self.ending = ending
            self._ended.set()

    async def ended(self) -> Ending:
        """Returns when the answer has ended, however that was."""
        await self._ended.wait()
        return self.ending

    @property
    def is_cut(self) -> bool:
        return self.ending is Ending.cut

    def view(self) -> Json:
        """What `GET /echo/calls` shows of it."""
        return {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "model": self.model,
            "stream": self.stream,
            "status": self.status,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "usage": self.usage,
            "ending": self.ending.value,
            "cut": self.is_cut,
        }


class Calls:
    """The newest `kept` calls, oldest first; older ones are forgotten, so that it never grows without bound."""

    def __init__(self, kept: int) -> None:
        self._calls: deque[Call] = deque(maxlen=kept)
        self._number = 0

    def begin(self, method: str, path: str) -> Call:
        self._number += 1
        call = Call(self._number, method, path)
        self._calls.append(call)
        return call

    def __iter__(self) -> Iterator[Call]:
        return iter(tuple(self._calls))

    def __len__(self) -> int:
        return len(self._calls)

    def __getitem__(self, index: int) -> Call:
        return self._calls[index]
