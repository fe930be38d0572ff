"""Playing a script: the one place where the echo model waits, breaks, and writes its log."""

import asyncio
from collections.abc import AsyncIterator

from llm_backend.upstream.echo.calls import Call, Ending
from llm_backend.upstream.echo.script import Break, Script, Send, Step, Wait


class Broken(Exception):
    """The script breaks the connection here. `taken`: whether the request may have been read by then."""

    def __init__(self, *, taken: bool) -> None:
        super().__init__("The connection broke.")
        self.taken = taken


class Player:
    """Plays one script once. Closing it wakes whoever waits in it."""

    def __init__(self, script: Script, call: Call) -> None:
        self._script = script
        self._call = call
        self._closed = asyncio.Event()

    async def open(self) -> None:
        """What comes before the status line. Raises Broken."""
        try:
            for step in self._script.before:
                await self._do(step)
        except asyncio.CancelledError:
            self._call.end(Ending.cut)
            raise
        self._call.status = self._script.status
        self._call.prompt_tokens = self._script.prompt_tokens

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces of the body in their time. Raises Broken."""
        steps = iter(self._script.steps)
        step = next(steps, None)
        while step is not None:
            following = next(steps, None)
            if isinstance(step, Send):
                self._note(step)
                if following is None:
                    # Before it is handed over: a client need not ask again after the last piece.
                    self._call.end(Ending.complete)
                yield step.data
                # A consumer that never waits would keep the loop to itself for a long answer.
                await asyncio.sleep(0)
            else:
                await self._do(step)
            step = following
        self._call.end(Ending.complete)

    def close(self) -> None:
        """The client has gone: where the answer has not ended, it is cut."""
        self._call.end(Ending.cut)
        self._closed.set()

    def _note(self, step: Send) -> None:
        self._call.completion_tokens += step.tokens
        self._call.usage = step.usage or self._call.usage

    async def _do(self, step: Step) -> None:
        if isinstance(step, Break):
            self._call.end(Ending.broken)
            raise Broken(taken=step.taken)
        assert isinstance(step, Wait), "bytes belong into the body"
        await self._wait(step.seconds)

    async def _wait(self, seconds: float | None) -> None:
        """Raises Broken where the player is closed meanwhile."""
        try:
            await asyncio.wait_for(self._closed.wait(), seconds)
        except TimeoutError:
            return
        raise Broken(taken=True)
