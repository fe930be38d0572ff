"""A guarded upstream over HTTP, and how it fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from llm_backend.errors import (
    UpstreamFailed,
)
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.client import HttpTransport
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.wire import Outbound
from tests.clocks import SetClock
from tests.upstream.raw import RawUpstream

WHOLE = Outbound("POST", "/chat/completions", b"{}")
STREAM = Outbound("POST", "/chat/completions", b"{}", stream=True)
EVENTS = "content-type: text/event-stream; charset=utf-8"
STREAM_HEAD = f"HTTP/1.1 200 OK\r\n{EVENTS}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
PIECE = b"6\r\ndata: \r\n"
PATIENT = Timeouts()
KEY = "operator-key"


@asynccontextmanager
async def guarded(raw: RawUpstream, timeouts: Timeouts = PATIENT) -> AsyncIterator[Upstream]:
    transport = HttpTransport(raw.url, KEY)
    upstream = Upstream("main", transport, timeouts=timeouts, circuit=Circuit(SetClock().monotonic), secrets=(KEY,))
    try:
        yield upstream
    finally:
        await upstream.close()


async def failure(upstream: Upstream, call: Outbound = WHOLE) -> UpstreamFailed:
    with pytest.raises(UpstreamFailed) as caught:
        await upstream.open(call)
    return caught.value


async def reading_failure(upstream: Upstream, call: Outbound = STREAM) -> UpstreamFailed:
    reply = await upstream.open(call)
    with pytest.raises(UpstreamFailed) as caught:
        await reply.read()
    await reply.close()
    return caught.value
