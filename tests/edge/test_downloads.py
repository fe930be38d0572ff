"""What is kept, on its way to clients that take nothing of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from llm_backend.edge.call import Call
from llm_backend.edge.departures import DEPARTURE, Departure
from llm_backend.edge.downloads import Passing
from llm_backend.edge.intake import Departed


async def test_a_client_that_takes_nothing_is_let_go_and_little_is_read_for_it() -> None:
    read: list[int] = []
    closed = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(1000):
            read.append(number)
            yield b"data: {}\n\n"

    async def close() -> None:
        closed.set()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    scope: dict[str, Any] = {DEPARTURE: Departure(lambda: None)}
    call = Call("req_1", "GET", "/v1/responses/resp_1", {}, b"", _received, scope)
    passing = Passing(call, pieces(), {}, close, stall_seconds=0.01)

    with pytest.raises(Departed):
        await passing(scope, _received, send)

    assert closed.is_set()
    assert read == [0]


async def _received() -> Message:
    raise AssertionError("Nothing is read of it.")
