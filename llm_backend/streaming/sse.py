"""Server-sent events: upstream bytes into events, payloads into frames."""

import re
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

import orjson

from llm_backend.errors import Json, UpstreamInvalid

EVENT_LIMIT = 1 << 20
"""Bytes of one event's data, the line feeds that join it included, where nothing else is said."""

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"

_BOM = b"\xef\xbb\xbf"
_DONE_MARK = b"[DONE]"
_PLAIN = b"data: "
_NON_ASCII = re.compile("[^\x00-\x7f]+")


class Event(NamedTuple):
    """One event: its `data` lines joined by line feeds, valid UTF-8; and its `event` field, where it has one."""

    data: bytes
    name: str | None = None


class Splitter:
    """Turns a stream of bytes, cut anywhere, into events.

    Lines may end in CRLF, CR or LF; comments, `id`, `retry`, unknown fields and a leading BOM are dropped, and so is
    an event with neither data nor a name. Takes time linear in the bytes, however they are cut.
    """

    __slots__ = ("_after_cr", "_data", "_head", "_limit", "_line", "_name", "_size", "_started")

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        """`limit`: bytes of one line, its field name included, and of one event's data."""
        self._limit = limit
        self._head = b""  # what may yet turn out to be a BOM
        self._started = False
        self._after_cr = False
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._name: bytes | None = None

    @property
    def is_between(self) -> bool:
        """Whether the bytes so far end with an event, and nothing of the next one is here."""
        return self._started and not (self._after_cr or self._line or self._data) and self._name is None

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that `chunk` completes; the next chunk may be fed when this one is used up.

        Raises `UpstreamInvalid` on a limit passed or data that is no UTF-8, after the events that came before it:
        what a client gets does not depend on where the network cut the stream.
        """
        if not self._started or self._after_cr or b"\r" in chunk:
            chunk = self._normalised(chunk)
        if self._line or self._data or self._name is not None or not chunk.endswith(b"\n\n"):
            yield from self._take_lines(chunk)
            return
        for block in chunk[:-2].split(b"\n\n"):
            if block.startswith(_PLAIN) and block != _PLAIN and b"\n" not in block and len(block) <= self._limit:
                if not block.isascii():
                    _require_utf8(block)
                yield Event(block[6:])
            else:
                yield from self._take_lines(block + b"\n\n")

    def close(self) -> None:
        """Judge the end of the bytes. Raises `UpstreamInvalid` where it cut an event short; the fragment is dropped.

        A `[DONE]` that lacks only its blank line lost nothing, and neither did a cut comment.
        """
        line = bytes(self._line or self._head)
        data = [*self._data, line[5:].strip()] if line.startswith(b"data:") else self._data
        if data == [_DONE_MARK]:
            return
        if self._data or (line.strip() and not line.startswith(b":")):
            raise UpstreamInvalid("The upstream's stream ended in the middle of an event.", outcome_unknown=True)

    def _normalised(self, chunk: bytes) -> bytes:
        """`chunk` without the BOM, its lines ending in LF; bytes that may be half of either wait for the next."""
        if not self._started:
            chunk = self._head + chunk
            self._head = b""
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._head = chunk
                return b""
            self._started = True
            chunk = chunk.removeprefix(_BOM)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if chunk.endswith(b"\r"):
            self._after_cr = True
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _take_lines(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events of a chunk that begins or ends anywhere, its lines ending in LF."""
        first, *others = chunk.split(b"\n")
        self._line += first
        if len(self._line) > self._limit:
            raise _too_large()
        if not others:
            return
        line = bytes(self._line)
        for following in others:
            event = self._take_line(line)
            if event is not None:
                yield event
            if len(following) > self._limit:
                raise _too_large()
            line = following
        self._line = bytearray(line)

    def _take_line(self, line: bytes) -> Event | None:
        if not line:
            return self._complete() if self._data or self._name is not None else None
        field, _, value = line.partition(b":")
        if field == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > self._limit + 1:
                raise _too_large()
        elif field == b"event":
            self._name = value.removeprefix(b" ")
        return None

    def _complete(self) -> Event | None:
        """Make the event that a blank line ends, if it says anything."""
        data = b"\n".join(self._data)
        is_named = bool(self._data and self._name)
        name = _require_utf8(self._name) if self._name else None
        self._data = []
        self._size = 0
        self._name = None
        if not data.isascii():
            _require_utf8(data)
        return Event(data, name) if data or is_named else None


def is_done(event: Event) -> bool:
    """Whether this is the end mark of OpenAI's streams, as the SDKs recognise it."""
    return event.data.startswith(_DONE_MARK)


def frame(data: bytes, name: str | None = None) -> bytes:
    """One event on the wire. Raises ValueError where a line break would make it two."""
    if b"\n" in data or b"\r" in data:
        raise ValueError("an event's data must be one line")
    if name is None:
        return _PLAIN + data + b"\n\n"
    if "\n" in name or "\r" in name:
        raise ValueError("an event's name must be one line")
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def ascii_json(value: Json) -> bytes:
    r"""`value` as one line of JSON, what is not ASCII as `\uXXXX`: no reader can cut a character in two."""
    written = orjson.dumps(value)
    if written.isascii():
        return written
    return _NON_ASCII.sub(_escaped, written.decode()).encode()


def _escaped(run: re.Match[str]) -> str:
    return encode_basestring_ascii(run[0])[1:-1]


def _require_utf8(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise UpstreamInvalid("The upstream sent an event that is not UTF-8.", outcome_unknown=True) from error


def _too_large() -> UpstreamInvalid:
    return UpstreamInvalid("The upstream sent an event that is too large.", outcome_unknown=True)
