"""A client that sends any bytes at all and reads HTTP strictly."""

import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llm_backend.edge.server import Server, server
from llm_backend.edge.serving import Serving
from tests.edge.form_app import FormApp
from tests.edge.small_app import Small

PATIENCE_SECONDS = 20.0
"""How long a test waits for what must come; no test passes because of it."""

GOOD = b"GET /v1/models HTTP/1.1\r\nHost: here\r\n\r\n"


@dataclass
class Answer:
    """One answer, whole."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    def header(self, name: str) -> str:
        """Take the header that is there exactly once."""
        (value,) = self.headers[name]
        return value

    def error(self) -> Any:
        """Take the error of the one envelope."""
        assert self.header("content-type") == "application/json"
        assert len(self.body) <= 2048
        envelope = json.loads(self.body)
        assert set(envelope) == {"error"}
        assert set(envelope["error"]) == {"message", "type", "param", "code"}
        assert len(envelope["error"]["message"]) <= 300
        return envelope["error"]


class Wire:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self._file = self._socket.makefile("rb")

    def send(self, raw: bytes) -> None:
        """Send; a server that has refused already may have closed."""
        try:
            self._socket.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            return

    def answer(self, *, method: str = "GET") -> Answer:
        """Read one answer to its end, and not a byte more."""
        line = self._file.readline()
        version, status, _ = line.decode("ascii").split(" ", 2)
        assert version == "HTTP/1.1"
        headers = self._headers()
        if status == "100":
            return self.answer(method=method)
        return Answer(int(status), headers, b"" if method == "HEAD" else self._body(headers))

    def _headers(self) -> dict[str, list[str]]:
        headers: dict[str, list[str]] = {}
        while (line := self._file.readline()) not in {b"\r\n", b""}:
            name, _, value = line.decode("latin-1").partition(":")
            headers.setdefault(name.lower(), []).append(value.strip())
        return headers

    def _body(self, headers: dict[str, list[str]]) -> bytes:
        if "content-length" in headers:
            return self._file.read(int(headers["content-length"][0]))
        if "transfer-encoding" not in headers:
            return self.rest()
        body = b""
        while size := int(self._file.readline() or b"0", 16):
            body += self._file.read(size)
            self._file.readline()
        self._file.readline()
        return body

    def line(self) -> bytes:
        """Read one line."""
        return self._file.readline()

    def chunk(self) -> bytes:
        """Read one chunk of a chunked body."""
        content = self._file.read(int(self._file.readline(), 16))
        self._file.readline()
        return content

    def has_answer(self, *, within_seconds: float) -> bool:
        """Look whether the server has begun to answer."""
        readable, _, _ = select.select([self._socket], [], [], within_seconds)
        return bool(readable)

    def leave_writing(self) -> None:
        """Send nothing more."""
        self._socket.shutdown(socket.SHUT_WR)

    def rest(self) -> bytes:
        """Read until the server closes."""
        try:
            return self._file.read()
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        """Leave."""
        self._file.close()
        self._socket.close()


@contextmanager
def wire(port: int) -> Iterator[Wire]:
    """Connect for a while."""
    connection = Wire(port)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def running(small: Small | FormApp, serving: Serving) -> Iterator[Server]:
    """Serve in a thread of its own, as in a process of its own."""
    edge = small.edge()
    served = server(edge, serving)
    ready = threading.Event()
    startup = served.startup

    async def startup_told(sockets: list[socket.socket] | None = None) -> None:
        await startup(sockets)
        ready.set()

    served.startup = startup_told  # type: ignore[method-assign]
    thread = threading.Thread(target=served.run)
    thread.start()
    try:
        assert ready.wait(PATIENCE_SECONDS)
        yield served
    finally:
        served.should_exit = True
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
