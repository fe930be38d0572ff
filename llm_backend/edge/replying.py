"""The answer on its way out: the headers that every answer carries, and what the access log says of it."""

from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from llm_backend.edge.call import Call
from llm_backend.errors import NotFound

OPENAI_VERSION = "2020-10-01"

_PATH_LOGGED = 200
_REDIRECTS = range(300, 400)
_LEFT = 499


class Reply:
    """Sends one answer, once begun to the end; knows what has gone out."""

    def __init__(self, call: Call, send: Send) -> None:
        self._call = call
        self._send = send
        self.status: int | None = None
        """None until the head of the answer has gone out."""
        self.bytes_sent = 0
        self.is_complete = False
        self.closes = False
        """Whether the connection ends with this answer."""

    @property
    def outcome(self) -> int:
        """The status; 499 where the client left before there was one."""
        return self.status or _LEFT

    async def send(self, message: Message) -> None:
        """Send what the application says, completed. Raises NotFound where a router would redirect."""
        if message["type"] == "http.response.start":
            if message["status"] in _REDIRECTS and self._call.operation_id is None:
                # Starlette redirects between a path and the same with a slash, to a place built from the Host header.
                raise NotFound("Unknown path.")
            self.status = message["status"]
            self._complete(MutableHeaders(scope=message))
        elif message["type"] == "http.response.body":
            self.bytes_sent += len(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)
        await self._send(message)

    def _complete(self, headers: MutableHeaders) -> None:
        for name in ("server", "date", "connection"):
            del headers[name]
        headers["x-request-id"] = self._call.request_id
        headers["x-content-type-options"] = "nosniff"
        headers.setdefault("openai-version", OPENAI_VERSION)
        headers.setdefault("openai-processing-ms", str(self._call.elapsed_ms))
        if self.closes:
            headers["connection"] = "close"

    def log(self) -> None:
        """Write the request's one line: of the request only what is safe to keep."""
        call = self._call
        caller = call.caller
        line: dict[str, Any] = {
            "request_id": call.request_id,
            "method": call.method[:16],
            "path": call.path[:_PATH_LOGGED],
            "status": self.outcome,
            "ms": call.elapsed_ms,
            "bytes": self.bytes_sent,
            "complete": self.is_complete,
            "operation": call.operation_id,
            "account_id": caller.account_id if caller else None,
            "key_id": caller.key_id if caller else None,
        }
        retries = call.headers.get("x-stainless-retry-count", "")
        if retries.isascii() and retries.isdigit():
            line["retry_count"] = int(retries[:4])
        structlog.get_logger("llm_backend.access").info("request", **{**call.log, **line})
