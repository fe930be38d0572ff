"""The server: uvicorn, with bounded protocols, and with a shutdown that lets streams end."""

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from types import FrameType
from typing import Any, cast

import structlog
import uvicorn

from llm_backend.edge.admission import Edge
from llm_backend.edge.connections import Addresses
from llm_backend.edge.doors import further_doors
from llm_backend.edge.h11_protocol import BoundedH11
from llm_backend.edge.head import HEADER_BYTES_LIMIT, URL_BYTES_LIMIT
from llm_backend.edge.httptools_protocol import BoundedHttpTools
from llm_backend.edge.serving import Parser, ServerTimes, Serving
from llm_backend.loading import loading

PARSERS: dict[Parser, type[BoundedHttpTools] | type[BoundedH11]] = {"httptools": BoundedHttpTools, "h11": BoundedH11}

_LOOK_SECONDS = 0.05


class Config(uvicorn.Config):
    """Makes the application, where it is not there yet, without looking for garbage in it."""

    def load(self) -> None:
        with loading() if self.factory else nullcontext():
            super().load()


class Server(uvicorn.Server):
    """Stops in two steps: told once, it lets in nobody new and lets what runs end; told twice, or too late, it ends it.

    What is made while nobody waits for it runs too.

    The lifespan is always closed, so that what streams owe is written, and the process ends with 0.
    """

    def __init__(self, config: uvicorn.Config, times: ServerTimes, signals: tuple[int, ...]) -> None:
        super().__init__(config)
        self._times = times
        self._signals = signals
        self._is_hurried = False
        self.listening = asyncio.Event()
        """Set when connections are taken."""

    @property
    def port(self) -> int:
        """The port that is bound, once `started`: of use where 0 was asked for."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal; the loop, which looks every tenth of a second, acts on it."""
        _ = sig, frame
        if self.should_exit:
            self._is_hurried = True
        self.should_exit = True
        self._edge.admission.is_draining = True

    def handle_reload(self, sig: int, frame: FrameType | None) -> None:
        """Have the settings read again."""
        _ = sig, frame
        self._edge.reload()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals while serving. uvicorn would raise them again at the end, and so end with -15."""
        handlers = {each: self.handle_reload if each == signal.SIGHUP else self.handle_exit for each in self._signals}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not sockets:
            # On a socket that processes share, the first to wake would let in all who wait, and the others nobody.
            protocol = partial(
                cast(Any, self.config.http_protocol_class),
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )
            self.servers += await further_doors(self.servers, protocol, self.config.backlog)
        if sockets and self.started:
            # uvicorn tells it only of addresses that it has bound itself.
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            logging.getLogger("uvicorn.error").info("Uvicorn running on http://%s:%d", host, self.port)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what runs end, for the time of grace; the doors stay open meanwhile, to say that they are closing."""
        self._edge.admission.is_draining = True
        grace_seconds = self._times.grace_seconds
        # Here and not where the signal comes in, which may be in the midst of another line.
        structlog.get_logger("llm_backend.server").info(
            "stopping; a second signal ends what runs",
            running=self._edge.admission.running,
            made=self._edge.made.running,
            grace_seconds=grace_seconds,
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + grace_seconds
        while not self._is_idle and not self._is_hurried and loop.time() < end:
            self._release_readers()
            await asyncio.sleep(_LOOK_SECONDS)
        if not self._is_idle:
            self._edge.made.cut()
        await super().shutdown(sockets)

    @property
    def _is_idle(self) -> bool:
        """Whether nothing runs any more."""
        return not self._edge.made.running and not self._edge.admission.running

    def _release_readers(self) -> None:
        """Let go of who only reads what another server makes, where all else has ended."""
        made = self._edge.made
        if not made.running and self._edge.admission.running <= made.readers:
            made.release()

    @property
    def _edge(self) -> Edge:
        return cast(Edge, self.config.loaded_app)


def server(app: Edge | str, serving: Serving, *, signals: tuple[int, ...] = ()) -> Server:
    """Build the server of one process; `app` is an Edge or the import string of a function that makes one.

    Await its `serve()`, or call its `run()`. Without `signals`, set its `should_exit` to stop it.
    """
    return Server(configured(app, serving), serving.times, signals)


def configured(app: Edge | str, serving: Serving) -> uvicorn.Config:
    """Set up uvicorn: our protocols, our log, none of its own opinions about proxies and headers."""
    protocol = partial(PARSERS[serving.parser], limits=serving.limits, addresses=Addresses(serving.limits.per_address))
    return Config(
        app,
        host=serving.host,
        port=serving.port,
        factory=isinstance(app, str),
        http=cast(Any, protocol),
        ws="none",
        interface="asgi3",
        lifespan="on",
        loop="auto",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=serving.times.keep_alive_seconds,
        timeout_graceful_shutdown=serving.times.cut_seconds,
        h11_max_incomplete_event_size=HEADER_BYTES_LIMIT + URL_BYTES_LIMIT,
    )
