"""A catalogue of an upstream whose list a test controls."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from llm_backend.upstream.catalogue import Catalogue
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.client import HttpTransport
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.upstream import Upstream
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
        self.clock = SetClock()

    async def answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        await self.gate.wait()
        models = [{"id": name, "object": "model", "created": 7, "owned_by": "them"} for name in self.names]
        body = json.dumps({"object": "list", "data": models}).encode() if self.body is None else self.body
        writer.write(answer(body, status=self.status))


@asynccontextmanager
async def catalogue(lister: Lister, **options: Any) -> AsyncIterator[Catalogue]:
    async with raw_upstream(then=lister.answer) as raw:
        transport = HttpTransport(raw.url, None)
        clock = lister.clock.monotonic
        upstream = Upstream("main", transport, timeouts=Timeouts(), circuit=Circuit(clock))
        made = Catalogue(upstream, clock=clock, **options)
        try:
            yield made
        finally:
            await made.close()
            await upstream.close()


async def ids(made: Catalogue) -> list[str]:
    return [model["id"] for model in await made.list()]


async def answered(made: Catalogue) -> None:
    """Wait until the question that is under way has its answer."""
    asking = made._listing._asking
    assert asking is not None
    await asking
