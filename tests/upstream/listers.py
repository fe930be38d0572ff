"""A catalogue of an upstream whose list a test controls."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from llm_backend.upstream.catalogue import Catalogue
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.client import HttpTransport
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.upstreams import Upstreams
from tests.clocks import SetClock
from tests.upstream.raw import answer, raw_upstream


class Lister:
    """An upstream whose `/models` can be changed, broken and held back."""

    def __init__(self) -> None:
        self.names: Sequence[Any] = ("text-embedding-3", "small-chat", "gpt-4")
        self.body: bytes | None = None
        self.status = "200 OK"
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.came = asyncio.Event()
        self.clock = SetClock()

    async def answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        self.came.set()
        await self.gate.wait()
        models = [{"id": name, "object": "model", "created": 7, "owned_by": "them"} for name in self.names]
        body = json.dumps({"object": "list", "data": models}).encode() if self.body is None else self.body
        writer.write(answer(body, status=self.status))


@asynccontextmanager
async def catalogue(lister: Lister, *others: Lister, **options: Any) -> AsyncIterator[Catalogue]:
    """Of the upstream `main`, and of one more for each of the `others`: `other 1` and so on."""
    clock = lister.clock.monotonic
    async with AsyncExitStack() as stack:
        every = []
        for number, each in enumerate((lister, *others)):
            raw = await stack.enter_async_context(raw_upstream(then=each.answer))
            name = f"other {number}" if number else "main"
            transport = HttpTransport(raw.url, None)
            every.append(Upstream(name, transport, timeouts=Timeouts(), circuit=Circuit(clock)))
        upstreams = Upstreams(every)
        stack.push_async_callback(upstreams.close)
        made = Catalogue(upstreams, clock=clock, **options)
        stack.push_async_callback(made.close)
        yield made


def upstream_of(made: Catalogue) -> Upstream:
    return next(iter(made._listings))


async def ids(made: Catalogue) -> list[str]:
    return [model["id"] for model in await made.list()]


async def answered(made: Catalogue) -> None:
    """Wait until the question that is under way has its answer."""
    (listing,) = made._listings.values()
    asking = listing._asking
    assert asking is not None
    await asking
