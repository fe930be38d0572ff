"""What is kept, here or by an upstream, on its way out as it comes: however large, little of it is ever here."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_backend.domain.relaying import Download
from llm_backend.edge.call import Call
from llm_backend.edge.intake import Departed
from llm_backend.edge.replies import EVENT_STREAM_HEADERS
from llm_backend.streaming.sse import Splitter, frame

Close = Callable[[], Awaitable[None]]

UNTRUSTED = {"content-security-policy": "sandbox; default-src 'none'", "cache-control": "private, no-store"}

STALL_SECONDS = 60.0
"""A client that takes nothing for so long has gone."""


class Passing(Response):
    """A body of unknown length, sent piece by piece: whoever makes it waits while the client does."""

    def __init__(  # noqa: PLR0913 (what is sent, and how long it is waited for)
        self,
        call: Call,
        pieces: AsyncIterator[bytes],
        headers: Mapping[str, str],
        close: Close,
        *,
        stall_seconds: float = STALL_SECONDS,
        events_of: str | None = None,
    ) -> None:
        """`close` is awaited at the end, however it comes; `stall_seconds`: what a client may take nothing for.

        `events_of`: the response whose events it has, all of them, which can be told again.
        """
        super().__init__(None, 200, headers)
        self.events_of = events_of
        # Starlette would declare it empty.
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        self._call = call
        self._pieces = pieces
        self._close = close
        self._stall_seconds = stall_seconds

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
            await asyncio.shield(self._close())

    async def _sent(self, send: Send, piece: bytes) -> None:
        try:
            async with asyncio.timeout(self._stall_seconds):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            raise Departed from None


def downloading(call: Call, download: Download, *, is_stream: bool = False) -> Passing:
    """What an upstream sends; `is_stream`: as events, which are written anew; anything else is a file."""
    if is_stream:
        headers = {**download.headers, **EVENT_STREAM_HEADERS}
        return Passing(call, _framed(download.pieces), headers, download.close)
    return Passing(call, download.pieces, {**download.headers, **_safe(download)}, download.close)


def events(
    call: Call,
    blocks: AsyncGenerator[bytes, None],
    *,
    headers: Mapping[str, str] | None = None,
    events_of: str | None = None,
) -> Passing:
    """Events that are kept here, to whoever reads them again; `headers` that they have besides.

    `events_of`: whose they are, where they are all of a response's.
    """
    return Passing(call, blocks, {**EVENT_STREAM_HEADERS, **(headers or {})}, blocks.aclose, events_of=events_of)


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
