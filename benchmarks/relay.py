"""The yardstick: a relay that checks nothing and keeps nothing. `python -m benchmarks.relay UPSTREAM`.

Starlette, uvicorn (uvloop, httptools) and aiohttp, without an access log: less than any gateway in Python can do.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

HEADERS = {"content-type": "application/json", "authorization": "Bearer benchmarks"}


def relay(upstream: str) -> Starlette:
    """An application that passes on chat completions to `upstream`, which ends in /v1."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, aiohttp.ClientSession]]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield {"session": session}

    async def pass_on(request: Request) -> Response:
        session: aiohttp.ClientSession = request.state.session
        body = await request.body()
        answer = await session.post(f"{upstream}/chat/completions", data=body, headers=HEADERS)
        if answer.content_type == "text/event-stream":
            return StreamingResponse(_blocks(answer), answer.status, media_type="text/event-stream")
        async with answer:
            return Response(await answer.read(), answer.status, media_type="application/json")

    return Starlette(routes=[Route("/v1/chat/completions", pass_on, methods=["POST"])], lifespan=lifespan)


async def _blocks(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async with answer:
        async for block in answer.content.iter_any():
            yield block


if __name__ == "__main__":
    uvicorn.run(
        relay(sys.argv[1]), host="127.0.0.1", port=0, loop="uvloop", http="httptools", access_log=False, backlog=1024
    )
