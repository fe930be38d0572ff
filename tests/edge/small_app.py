"""A small real application behind the real gate: Connexion, Starlette, the guard, CORS."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from connexion.context import request
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.resolver import Resolver
from starlette.responses import JSONResponse, Response, StreamingResponse

from llm_backend.contract.layers import Layers
from llm_backend.edge import strict_json
from llm_backend.edge.admission import Admission, Edge
from llm_backend.edge.call import Call
from llm_backend.edge.cors import Cors
from llm_backend.edge.guard import Bounds, Guard, Patience
from llm_backend.edge.media import Readable
from llm_backend.edge.rewriting import DEPLOYMENT, Rewriting
from llm_backend.edge.signposts import Signposts
from llm_backend.errors import Json, ModelNotFound, NotServed, Unauthenticated, UpstreamTimedOut

BODY_LIMIT = 64 * 1024

Operation = Callable[..., Any]


def _operation(name: str, *parameters: Json) -> Json:
    return {"operationId": name, "parameters": list(parameters), "responses": {"200": {"description": "Good."}}}


_MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "format": "path"}}
_LIMIT = {"name": "limit", "in": "query", "schema": {"type": "integer"}}

DOCUMENT: Json = {
    "openapi": "3.0.3",
    "info": {"title": "small", "version": "1"},
    "components": {},
    "paths": {
        "/v1/models": {"get": _operation("models", _LIMIT), "post": _operation("echo")},
        "/v1/models/{model}": {"get": _operation("model", _MODEL), "delete": _operation("model", _MODEL)},
        "/v1/chat/completions": {"post": _operation("echo")},
        "/v1/stream": {"get": _operation("stream")},
        "/v1/half": {"get": _operation("half")},
        "/v1/broken": {"get": _operation("broken")},
        "/v1/late": {"get": _operation("late")},
        "/v1/unserved": {"get": _operation("unserved"), "post": _operation("unserved")},
        "/v1/missing": {"get": _operation("missing")},
        "/healthz": {"get": _operation("health")},
    },
}


def _body_limit(_method: str, path: str) -> Readable | None:
    return None if path == "/v1/unserved" else Readable(BODY_LIMIT)


def _call() -> Call:
    scope = cast(Any, request).scope
    return Call.of(scope)


class Requests:
    """Nothing is made but for requests; those `cut` ends."""

    running, readers = 0, 0

    def __init__(self, cut: Callable[[], None]) -> None:
        self.cut = cut

    def release(self) -> None:
        """There is no reader."""
        raise AssertionError


@dataclass
class Small:
    """The application, and what a test may hold or ask of it."""

    origins: tuple[str, ...] = ()
    hosts: frozenset[str] | None = None
    max_concurrent: int = 100
    patience: Patience = field(default_factory=Patience)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop | None = None
    departed: threading.Event = field(default_factory=threading.Event)
    counted: list[tuple[str, int]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def edge(self) -> Edge:
        """Build the whole, new."""
        app = LifespanMiddleware(Layers(DOCUMENT, Resolver(self._find)), lifespan=self._lifespan)
        admission = Admission(self.max_concurrent)
        guard = Guard(
            app,
            bounds=Bounds(_body_limit, self.hosts, self.patience),
            rewriting=Rewriting(DOCUMENT["paths"]),
            signposts=Signposts(DOCUMENT["paths"]),
            admission=admission,
            count=lambda operation, status: self.counted.append((operation, status)),
        )
        return Edge(Cors(guard, self.origins), admission, Requests(self.release.set), self.reload)

    @asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        self.loop = asyncio.get_running_loop()
        yield
        self.closed.append("closed")

    def reload(self) -> None:
        """Nothing is read here."""

    def let_go(self) -> None:
        """Let the streams end, from another thread."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.release.set)

    def _find(self, name: str) -> Operation:
        operation: Operation = getattr(self, name)
        return operation

    async def models(self, limit: int = 20) -> Response:
        return JSONResponse({"data": [], "limit": limit})

    async def model(self, model: str) -> Response:
        return JSONResponse({"id": model})

    async def echo(self) -> Response:
        call = _call()
        parsed = strict_json.parse(call.raw_body)
        told = {"bytes": len(call.raw_body), "type": call.headers.get("content-type"), "json": type(parsed).__name__}
        return JSONResponse({**told, "deployment": call.scope.get(DEPLOYMENT)})

    async def stream(self) -> Response:
        async def events() -> AsyncIterator[bytes]:
            self.started.set()
            yield b"data: first\n\n"
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.departed.set()
                raise
            yield b"data: last\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    async def half(self) -> Response:
        async def events() -> AsyncIterator[bytes]:
            yield b"data: first\n\n"
            raise ValueError("the secret prompt")

        return StreamingResponse(events(), media_type="text/event-stream")

    async def broken(self) -> Response:
        raise ValueError("the secret prompt")

    async def late(self) -> Response:
        raise UpstreamTimedOut("The upstream did not answer in time.", should_retry=False, retry_after_seconds=3)

    async def unserved(self) -> Response:
        if _call().headers.get("authorization") == "Bearer wrong":
            raise Unauthenticated
        raise NotServed("It is not served here.")

    async def missing(self) -> Response:
        raise ModelNotFound("The model does not exist.", param="model")

    async def health(self) -> Response:
        return JSONResponse({})
