"""What an upstream keeps, on its way out as it comes: however large, little of it is ever here."""

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_backend.domain.relaying import Download
from llm_backend.edge.call import Call
from llm_backend.edge.intake import Departed
from llm_backend.edge.replies import EVENT_STREAM_HEADERS
from llm_backend.streaming.sse import Splitter, frame

UNTRUSTED = {"content-security-policy": "sandbox; default-src 'none'", "cache-control": "private, no-store"}

STALL_SECONDS = 60.0
"""A client that takes nothing for so long has gone."""


class Downloading(Response):
    """A body of unknown length, sent piece by piece: the upstream waits while the client does."""

    def __init__(self, call: Call, download: Download, *, is_stream: bool = False) -> None:
        """`is_stream`: of events, which are written anew; anything else is a file."""
        super().__init__(None, 200, {**download.headers, **(EVENT_STREAM_HEADERS if is_stream else _safe(download))})
        # Starlette would declare it empty.
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        self._call = call
        self._download = download
        self._pieces = _framed(download.pieces) if is_stream else download.pieces

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self._call.departure.expect(_noticed)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for piece in self._pieces:
                if self._call.departure.has_happened:
                    raise Departed
                await self._sent(send, piece)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await asyncio.shield(self._download.close())

    async def _sent(self, send: Send, piece: bytes) -> None:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            raise Departed from None


def _noticed() -> None:
    """Who left is found out about with the next piece."""


async def _framed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The events of an upstream, written anew. Raises UpstreamInvalid where they are none."""
    splitter = Splitter()
    async for piece in pieces:
        for event in splitter.feed(piece):
            yield frame(event.data, event.name)
    splitter.close()


def _safe(download: Download) -> dict[str, str]:
    """The headers of somebody's file: it is nobody's page, and no browser may run it among this server's own."""
    disposition = download.headers.get("content-disposition", "")
    named = disposition if disposition.lower().startswith("attachment") else "attachment"
    media_type = download.headers.get("content-type", "application/octet-stream")
    return {"content-type": media_type, **UNTRUSTED, "content-disposition": named}
