"""The answer on its way out: the headers that every answer carries, and what the access log says of it."""

from typing import Any

import structlog
from starlette.types import Message, Send

from llm_backend.edge.call import Call
from llm_backend.edge.cors import GRANTED
from llm_backend.errors import NotFound

OPENAI_VERSION = "2020-10-01"

_PATH_LOGGED = 200
_REDIRECTS = range(300, 400)
_LEFT = 499

Header = tuple[bytes, bytes]

_REPLACED = frozenset((b"server", b"date", b"connection", b"x-request-id", b"x-content-type-options"))
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_VERSION = (b"openai-version", OPENAI_VERSION.encode())
_CLOSES = (b"connection", b"close")

log = structlog.get_logger("llm_backend.access")


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
            message["headers"] = self._completed(message["headers"])
        elif message["type"] == "http.response.body":
            self.bytes_sent += len(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)
        await self._send(message)

    def _completed(self, given: list[Header]) -> list[Header]:
        """The headers of the answer with those that every answer has; names are in lower case."""
        call = self._call
        headers = [header for header in given if header[0] not in _REPLACED]
        names = {name for name, _ in headers}
        headers += ((b"x-request-id", call.request_id.encode()), _NOSNIFF, *call.scope.get(GRANTED, ()))
        if b"openai-version" not in names:
            headers.append(_VERSION)
        if b"openai-processing-ms" not in names:
            headers.append((b"openai-processing-ms", b"%d" % call.elapsed_ms))
        if self.closes:
            headers.append(_CLOSES)
        return headers

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
            "bytes": self.bytes_sent + (call.outlet.bytes_taken if call.outlet else 0),
            "complete": self.is_complete,
            "operation": call.operation_id,
            "account_id": caller.account_id if caller else None,
            "key_id": caller.key_id if caller else None,
        }
        retries = call.headers.get("x-stainless-retry-count", "")
        if retries.isascii() and retries.isdigit():
            line["retry_count"] = int(retries[:4])
        log.info("request", **{**call.log, **line})
