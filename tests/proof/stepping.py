"""A client and an upstream that go step by step: nothing is sent before what came before it was read."""

import json
import socket
import sys
import threading
from typing import Any

PIECE = 65_536
CHUNKS = 5
"""Of a stream, before its last."""

WHOLE = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
STREAMED = WHOLE | {"object": "chat.completion.chunk"}
USAGE = {"prompt_tokens": 12, "completion_tokens": CHUNKS, "total_tokens": 12 + CHUNKS}


def _body(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _with_length(head: str, body: bytes) -> bytes:
    return f"{head}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def _part(event: bytes) -> bytes:
    event = b"data: " + event + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def _choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "logprobs": None, "finish_reason": None} | fields]}


MESSAGE = {"role": "assistant", "content": "x" * 800, "refusal": None}
ANSWER = _with_length(
    "HTTP/1.1 200 OK", _body(WHOLE | _choice(message=MESSAGE, finish_reason="stop") | {"usage": USAGE})
)
MODELS = _with_length("HTTP/1.1 200 OK", _body({"object": "list", "data": [{"id": "m", "object": "model"}]}))
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = _part(_body(STREAMED | _choice(delta={"content": "word "})))
LAST = (
    _part(_body(STREAMED | _choice(delta={}, finish_reason="stop")))
    + _part(_body(STREAMED | {"choices": [], "usage": USAGE}))
    + _part(b"[DONE]")
    + b"0\r\n\r\n"
)


def request(method: str, path: str, key: str | None, body: Any = None) -> bytes:
    """A request as it is sent, in one piece."""
    authorized = "" if key is None else f"\r\nauthorization: Bearer {key}"
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost{authorized}"
    return (head + "\r\n\r\n").encode() if body is None else _with_length(head, _body(body))


class Line:
    """A connection that is read as far as something is awaited."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._read = b""

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def until(self, end: bytes) -> bytes:
        """What comes next, up to `end` and with it. Raises EOFError where it does not come."""
        while end not in self._read:
            self._more()
        found, end, self._read = self._read.partition(end)
        return found + end

    def message(self) -> bytes:
        """A request or an answer whose length is told. Raises EOFError."""
        head = self.until(b"\r\n\r\n")
        _, _, told = head.lower().partition(b"\r\ncontent-length:")
        length = int(told.partition(b"\r\n")[0] or 0)
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return head + body

    def _more(self) -> None:
        data = self._connection.recv(PIECE)
        if not data:
            raise EOFError
        self._read += data


class Upstream:
    """Has one model, answers at once, and sends a stream's next chunk when told `go_on`."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        self._steps = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()

    def go_on(self) -> None:
        self._steps.release()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            threading.Thread(target=self._answer, args=(Line(connection),), daemon=True).start()

    def _answer(self, line: Line) -> None:
        sys.setprofile(None)  # of the threads that begin while the server's are watched
        while True:
            try:
                asked = line.message()
            except EOFError:
                return
            if asked.startswith(b"GET"):
                line.send(MODELS)
            elif b'"stream":true' in asked:
                self._stream(line)
            else:
                line.send(ANSWER)

    def _stream(self, line: Line) -> None:
        line.send(STREAM + CHUNK)
        for _ in range(CHUNKS - 1):
            self._steps.acquire()
            line.send(CHUNK)
        self._steps.acquire()
        line.send(LAST)
