"""uvicorn's h11 protocol within the same bounds: slower, in Python alone, a second opinion for the same corpus."""

import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from llm_backend.edge import head
from llm_backend.edge.connections import Addresses, Watch, Watched, departed, expect_departure
from llm_backend.edge.departures import DEPARTURE
from llm_backend.edge.serving import ConnectionLimits
from llm_backend.errors import HeadersTooLarge, InvalidRequest

_TOO_LARGE_HINT = 431


class BoundedH11(Watched, H11Protocol):
    """One connection read by h11."""

    def __init__(self, *, limits: ConnectionLimits, addresses: Addresses, **given: Any) -> None:
        super().__init__(**given)
        self._watch = Watch(self.loop, limits, addresses)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.end()
        super().connection_lost(exc)
        if self._is_answering():
            departed(self.cycle.scope)

    def data_received(self, data: bytes) -> None:
        if self._watch.is_refused:
            return
        error = self._watch.look(data, fresh=self._expects_head())
        if error is not None:
            self._watch.refuse(error)
            return
        if self._expects_head() and not self.conn.trailing_data[0]:
            data = data.lstrip(b"\r\n")  # h11 takes an empty line before the request for the request
        if data:  # to h11, no bytes are the end of the connection
            super().data_received(data)
        if self._expects_head() and not self._watch.is_refused:
            self._watch.expect_head()

    def handle_events(self) -> None:
        super().handle_events()
        if self._is_answering() and DEPARTURE not in self.cycle.scope:
            expect_departure(self.cycle.scope, self.flow)
        if not self._expects_head():
            self._watch.forget_head()

    def send_400_response(self, msg: str) -> None:
        """Say in JSON what the parser found."""
        _ = msg
        found = sys.exception()
        if self._is_answering() and self.cycle.response_started:
            self.transport.close()  # words for one request must not get into the answer to another
            return
        if self._is_answering():
            self.cycle.disconnected = True  # its body cannot be read to the end: nothing else answers it any more
            self.cycle.message_event.set()
        too_large = isinstance(found, h11.RemoteProtocolError) and found.error_status_hint == _TOO_LARGE_HINT
        if too_large and not self._is_answering():
            self._watch.refuse(HeadersTooLarge(head.TOO_LARGE))
        else:
            self._watch.refuse(InvalidRequest("This is no HTTP request that is read here."))

    def shutdown(self) -> None:
        if self._watch.is_refused:
            self.transport.close()
        else:
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        if not self._watch.is_refused:
            super().timeout_keep_alive_handler()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expects_head(self) -> bool:
        return self.conn.their_state is h11.IDLE and not self._is_answering()
