"""A transport on a test's upstream, and what it is asked."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from llm_backend.errors import UpstreamFailed
from llm_backend.upstream.client import HttpTransport
from llm_backend.upstream.wire import Outbound
from tests.upstream.raw import RawUpstream

CALL = Outbound("POST", "/chat/completions", b'{"model":"m"}')
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def connected(upstream: RawUpstream, key: str | None = "secret-key") -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(upstream.url, key)
    try:
        yield transport
    finally:
        await transport.close()


def in_use(transport: HttpTransport) -> int:
    assert transport._session is not None
    connector = transport._session.connector
    assert connector is not None
    return len(connector._acquired)


async def failure(transport: HttpTransport, call: Outbound = CALL) -> UpstreamFailed:
    with pytest.raises(UpstreamFailed) as caught:
        await transport.send(call)
    return caught.value


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def in_pool(transport: HttpTransport) -> bool:
    """Whether a connection that looks alive is kept."""
    assert transport._session is not None
    connector = transport._session.connector
    assert connector is not None
    return any(kept[0].is_connected() for waiting in connector._conns.values() for kept in waiting)
