"""An application asked without a socket: byte for byte as a server would hand the request on."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from llm_backend.edge.departures import DEPARTURE, Departure


@dataclass(frozen=True)
class Request:
    """What a client sends."""

    method: str
    target: str
    """The path as it stands in the request line, and the query."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method} {self.target} {dict(self.headers)} {self.body[:60]!r}"


@dataclass(frozen=True)
class Answer:
    """What it gets."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(app: ASGIApp, state: Mapping[str, Any], request: Request) -> Answer:
    """The whole answer of `app`, whose lifespan gave `state`. The client stays until it has it."""
    path, _, query = request.target.partition("?")
    length = {"content-length": str(len(request.body))} if request.body else {}
    headers = {"host": "127.0.0.1", **length, **request.headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 80),
        "state": dict(state),
        DEPARTURE: Departure(lambda: None),
    }
    asked: list[Message] = [{"type": "http.request", "body": request.body, "more_body": False}]
    told: list[Message] = []

    async def receive() -> Message:
        return asked.pop() if asked else await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        told.append(message)

    await app(scope, receive, send)
    start, *rest = told
    return Answer(
        start["status"],
        {name.decode(): value.decode("latin-1") for name, value in start["headers"]},
        b"".join(message.get("body", b"") for message in rest),
    )
