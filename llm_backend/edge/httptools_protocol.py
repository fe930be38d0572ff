"""uvicorn's httptools protocol within bounds: alone it takes a header of 100 MB, and waits for ever for its end."""

import re
import sys
from typing import Any

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from llm_backend.edge import head
from llm_backend.edge.connections import Addresses, Watch, Watched, departed, expect_departure
from llm_backend.edge.intake import ARRIVED
from llm_backend.edge.outlets import OUTLET
from llm_backend.edge.serving import ConnectionLimits
from llm_backend.edge.writing import Writing
from llm_backend.errors import HeadersTooLarge, InvalidRequest, LLMBackendError, MethodNotAllowed

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

_PIPELINE_LIMIT = 8
_BETWEEN_BODY_BYTES = 64 * 1024  # chunk sizes, their extensions and trailers, none of which is used
_REQUEST_LINE = re.compile(rb"[A-Za-z]{1,32} /")


class BoundedHttpTools(Watched, HttpToolsProtocol):
    """One connection read by llhttp."""

    def __init__(self, *, limits: ConnectionLimits, addresses: Addresses, **given: Any) -> None:
        super().__init__(**given)
        self._watch = Watch(self.loop, limits, addresses)
        self._answering: RequestResponseCycle | None = None
        self._has_head = False
        self._is_within_message = False
        self._between_body = 0
        self._fed = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.end()
        super().connection_lost(exc)
        # uvicorn tells only the last request of a pipeline; the one being answered has to know first of all.
        for cycle in (self._answering, self.cycle, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
                departed(cycle.scope)

    def data_received(self, data: bytes) -> None:
        if self._watch.is_refused:
            return
        error = self._watch.look(data, fresh=self._expects_head())
        if error is not None:
            self._watch.refuse(error)
            return
        if self._expects_head():
            self._watch.expect_head()
        self._fed = data
        self._between_body += len(data)
        super().data_received(data)
        self._fed = b""
        if self._has_head and self._is_within_message and self._between_body > _BETWEEN_BODY_BYTES:
            self._refuse(InvalidRequest("The body's chunks carry more than their bytes."))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        expect_departure(self.scope, self.flow)
        self._is_within_message = True
        self._has_head = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_head:
            return  # a trailer: it would join the headers of a request that is judged already
        if len(self.headers) > head.HEADER_LIMIT:
            raise HeadersTooLarge(head.TOO_LARGE)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._has_head = True
        self._between_body = 0
        self._watch.forget_head()
        if self.url[:1] != b"/" and self.url != b"*":
            raise InvalidRequest(head.TARGET_FORM)
        if len(self.url) > head.URL_BYTES_LIMIT:
            raise HeadersTooLarge(head.TOO_LARGE)
        if self.parser.get_http_version() not in {"1.0", "1.1"}:
            raise InvalidRequest("Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        if len(self.pipeline) >= _PIPELINE_LIMIT:
            raise InvalidRequest("Too many requests wait on this connection.")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._between_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_within_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_within_message and not self._has_head:
            self._watch.expect_head()

    def send_400_response(self, msg: str) -> None:
        """Say in JSON what the parser or a callback of ours found."""
        _ = msg
        found = sys.exception()
        cause = found.__context__ if isinstance(found, httptools.HttpParserCallbackError) else None
        if isinstance(cause, LLMBackendError):
            self._refuse(cause)
        elif isinstance(found, httptools.HttpParserInvalidMethodError) and _REQUEST_LINE.match(self._fed):
            self._refuse(MethodNotAllowed("No path here has this method.", METHODS))
        else:
            self._refuse(InvalidRequest("This is no HTTP request that is read here."))

    def shutdown(self) -> None:
        if self._watch.is_refused:
            self.transport.close()
        else:
            super().shutdown()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, _written(cycle, app))

    def _is_answering(self) -> bool:
        return self._answering is not None and not self._answering.response_complete

    def _expects_head(self) -> bool:
        return not self._is_answering() and not (self._is_within_message and self._has_head)

    def _refuse(self, error: LLMBackendError) -> None:
        cycle = self._answering
        if cycle is None or cycle.response_complete:
            self._watch.refuse(error)
        elif cycle is self.cycle and self._is_within_message and not cycle.response_started:
            cycle.disconnected = True  # its body cannot be read to the end: nothing else answers it any more
            cycle.message_event.set()
            self._watch.refuse(error)
        else:
            self.transport.close()  # words for one request must not get into the answer to another


def _written(cycle: RequestResponseCycle, app: Any) -> Any:
    """`app`, which takes a body that is there already in one step, and whose messages are not written by `cycle`."""

    def arrived() -> bytes | None:
        if cycle.more_body or cycle.disconnected:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.message_event.clear()
        cycle.flow.resume_reading()
        return body

    async def answer(scope: Scope, receive: Receive, _send: Send) -> None:
        # A scope of its own, or the two would hold each other until the collector comes.
        writing = Writing(cycle)
        await app({**scope, ARRIVED: arrived, OUTLET: writing}, receive, writing.send)

    return answer
