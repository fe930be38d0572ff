"""A server that counts what it calls: `python -m tests.proof.counted_server` prints as JSON what each step costs.

First as it is, then with calls planted that nobody needs. `tests.proof.counting` sets it up.

A call is what Python's profiler is told of, in the loop's thread and in the database's: of a function, or of one in C
that Python calls. The client and the upstream are threads that it is not told of.
"""

import asyncio
import gc
import json
import os
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from types import FrameType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_backend.app import from_environment
from llm_backend.cli.opening import opened
from llm_backend.edge.admission import Edge
from llm_backend.edge.outlets import OUTLET, Outlet
from llm_backend.edge.server import Server, server
from llm_backend.edge.serving import Serving
from llm_backend.storage import brief
from tests.proof.stepping import CHUNKS, Line, Upstream, request

WARM = 5
"""Times that a scene is played before it counts: connections are made, statements are prepared."""
TIMES = 16
PLANTED = 600
"""Calls that nobody needs, for each message or piece of an answer, to be seen: over a tenth of what any step costs."""
FIRST, BESIDE, CHUNK = "a stream until its first chunk", "a chat completion beside a stream", "a stream's chunk"
LOOK_SECONDS = 0.0005
QUIET_LOOKS = 3
"""In a row, without a call, after which a step has left nothing to do."""
ASKED = {"model": "m", "messages": [{"role": "user", "content": "Tell me a story about a fox."}]}

Counted = dict[str, int]
"""Calls by what is done with them."""


class Calls:
    """Counts the calls of the threads that are watched."""

    def __init__(self) -> None:
        self.made = 0

    def watch(self) -> None:
        """Watch this thread, and those that begin from now on."""
        threading.setprofile(self._see)
        sys.setprofile(self._see)

    def _see(self, _frame: FrameType, event: str, _what: object) -> None:
        if event in {"call", "c_call"}:
            self.made += 1


class Stage:
    """Plays the scenes, each step of them when the one before has left nothing to do."""

    def __init__(self, running: Server, upstream: Upstream, calls: Calls, key: str) -> None:
        self._server = running
        self._upstream = upstream
        self._calls = calls
        self._line = Line(socket.create_connection(("127.0.0.1", running.port)))
        self._beside = Line(socket.create_connection(("127.0.0.1", running.port)))
        self._whole = request("POST", "/v1/chat/completions", key, ASKED)
        self._streamed = request("POST", "/v1/chat/completions", key, ASKED | {"stream": True})
        self._model = request("GET", "/v1/models/m", key)
        self._keyless = request("POST", "/v1/chat/completions", None, ASKED)

    def play(self) -> Counted:
        """What each step costs: the lower quartile of many, for what is due now and then only ever adds to some."""
        counted: dict[str, list[int]] = defaultdict(list)
        for scene in (self._asks, self._streams, self._looks, self._is_refused):
            for turn in range(WARM + TIMES):
                before = self._left()
                for step in scene():
                    now = self._left(is_open=step in {FIRST, BESIDE, CHUNK})
                    if turn >= WARM:
                        counted[step].append(now - before)
                    before = now
        return {step: sorted(found)[len(found) // 4] for step, found in counted.items()}

    def _left(self, *, is_open: bool = False) -> int:
        """The calls that were made when nothing more is to be done, within a stream that `is_open`, or at all."""
        made, looks = -1, 0
        while looks < QUIET_LOOKS:
            time.sleep(LOOK_SECONDS)
            is_same = self._calls.made == made and (is_open or not self._is_busy)
            made, looks = self._calls.made, looks + 1 if is_same else 0
        return made

    @property
    def _is_busy(self) -> bool:
        edge: Edge = self._server.config.loaded_app
        return bool(edge.admission.running or self._server.lifespan.state["services"].exchanges.running)

    def _asks(self) -> Iterator[str]:
        self._line.send(self._whole)
        assert b" 200 " in self._line.message()
        yield "a chat completion"

    def _streams(self) -> Iterator[str]:
        self._line.send(self._streamed)
        assert b" 200 " in self._line.until(b"\n\n")
        yield FIRST
        self._beside.send(self._whole)
        assert b" 200 " in self._beside.message()
        yield BESIDE
        for _ in range(CHUNKS - 1):
            self._upstream.go_on()
            self._line.until(b"\n\n")
            yield CHUNK
        self._upstream.go_on()
        self._line.until(b"0\r\n\r\n")
        yield "a stream's end"

    def _looks(self) -> Iterator[str]:
        self._line.send(self._model)
        assert b" 200 " in self._line.message()
        yield "a model"

    def _is_refused(self) -> Iterator[str]:
        self._line.send(self._keyless)
        assert b" 401 " in self._line.message()
        yield "a request without a key"


def with_needless_calls(app: ASGIApp) -> ASGIApp:
    """`app`, and PLANTED calls for each message that it sends."""

    async def planted(scope: Scope, receive: Receive, send: Send) -> None:
        async def slowly(message: Message) -> None:
            _waste()
            await send(message)

        await app({**scope, OUTLET: Slow(scope[OUTLET])}, receive, slowly)

    return planted


class Slow:
    """The short way, with as many calls that nobody needs for each piece."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    @property
    def bytes_taken(self) -> int:
        return self._outlet.bytes_taken

    def take(self, block: bytes) -> bool:
        _waste()
        return self._outlet.take(block)


def _waste() -> None:
    for _ in range(PLANTED):
        len(b"")


async def _key() -> str:
    async with opened(makes=True) as parts:
        account = await parts.accounts.ensure("count")
        return (await parts.keys.create(account.id, "count")).text


def main() -> None:
    # Else a disk that is slow once would change the way, and the count.
    brief.WARY_SECONDS = 0.0
    upstream = Upstream()
    os.environ["OPENAI_BASE_URL"] = upstream.url
    key = asyncio.run(_key())
    running = server(from_environment(), Serving(port=0))
    calls = Calls()
    shown: list[Counted] = []

    def drive() -> None:
        try:
            while not running.listening.is_set():
                time.sleep(LOOK_SECONDS)
            shown.append(Stage(running, upstream, calls, key).play())
            edge: Edge = running.config.loaded_app
            edge._app = with_needless_calls(edge._app)
            shown.append(Stage(running, upstream, calls, key).play())
        finally:
            running.should_exit = True

    driver = threading.Thread(target=drive)
    driver.start()
    gc.disable()  # or what a collection finds would be counted where it runs
    calls.watch()
    running.run()
    sys.setprofile(None)
    driver.join()
    assert len(shown) == 2, "what ended the driver is told above"
    json.dump(shown, sys.stdout)


if __name__ == "__main__":
    main()
