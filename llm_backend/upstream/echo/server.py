"""The echo model alone, over HTTP: the same bytes as in the process, and real broken connections."""

import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from aiohttp import ClientConnectionResetError, web

from llm_backend.upstream.echo.core import Echo
from llm_backend.upstream.echo.intake import body_of
from llm_backend.upstream.echo.play import Broken, Player
from llm_backend.upstream.echo.script import Refusal, Script, Send, json_script
from llm_backend.upstream.forms import Form

_DRAIN_SECONDS: Final = 0.1
"""How long running answers may take at the end, before they are cut."""


class EchoServer:
    """Serves `echo` on `host` and `port` (0 is any free one) from entry to exit, with and without `/v1`."""

    def __init__(self, echo: Echo, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.echo = echo
        self._host = host
        self._port = port
        # A client that leaves cancels its handler: that is how a cut answer is noticed while it waits.
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=_DRAIN_SECONDS)

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as `base_url`."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/v1"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path.removeprefix("/v1")
        if request.method == "GET" and path == "/echo/calls":
            calls = {"object": "list", "data": [call.view() for call in self.echo.calls]}
            return web.Response(body=_whole(json_script(calls)), content_type="application/json")
        try:
            body = await body_of(request)
        except Refusal as refusal:
            return web.Response(status=refusal.status, body=_whole(refusal.script()), content_type="application/json")
        script, call = self.echo.answer(request.method, path, body, request.rel_url.raw_query_string)
        player = Player(script, call)
        try:
            return await self._played(request, script, player)
        except Broken:
            _reset(request)
            return web.Response()
        finally:
            player.close()
            if isinstance(body, Form):
                body.close()

    async def _played(self, request: web.BaseRequest, script: Script, player: Player) -> web.StreamResponse:
        await player.open()
        response = web.StreamResponse(status=script.status, headers=script.headers)
        # Where the client has left, the log says so once the player is closed.
        with suppress(ClientConnectionResetError):
            await response.prepare(request)
            async for piece in player.body():
                await response.write(piece)
            await response.write_eof()
        return response


def _whole(script: Script) -> bytes:
    return b"".join(step.data for step in script.steps if isinstance(step, Send))


def _reset(request: web.BaseRequest) -> None:
    """Break the connection as a crash would: lingering for no time makes the kernel send RST."""
    transport = request.transport
    assert transport is not None, "a script breaks before its client has left"
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
