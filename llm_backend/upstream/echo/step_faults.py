"""Faults of bytes and of time: where a stream stops, breaks, stalls, or is written strangely."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import orjson

from llm_backend.upstream.echo.directives import Fault
from llm_backend.upstream.echo.events import DONE
from llm_backend.upstream.echo.script import Break, Send, Step, Wait, envelope

Sends = Iterator[Send]


def _first(sends: Sends, fault: Fault) -> Iterator[Send]:
    """The sends up to the `after`th that is counted (default 1); none for 0."""
    after = fault.number("after", 1)
    passed = 0
    while passed < after and (send := next(sends, None)) is not None:
        yield send
        passed += send.is_counted


def _hang(sends: Sends, fault: Fault) -> Iterator[Step]:
    yield from _first(sends, fault)
    yield Wait()


def _end(sends: Sends, fault: Fault) -> Iterator[Step]:
    yield from _first(sends, fault)


def _reset(sends: Sends, fault: Fault) -> Iterator[Step]:
    yield from _first(sends, fault)
    yield Break()


def _cut_event(sends: Sends, fault: Fault) -> Iterator[Step]:
    """Ends within the next event, `at` bytes into it."""
    yield from _first(sends, fault)
    if following := next(sends, None):
        yield Send(following.data[: fault.number("at", len(following.data) // 2)])


def _put_in(data: bytes, sends: Sends, fault: Fault) -> Iterator[Step]:
    """`data` comes between, and then the rest."""
    yield from _first(sends, fault)
    yield Send(data)
    yield from sends


def _error_event(sends: Sends, fault: Fault) -> Iterator[Step]:
    error = envelope("The server had an error.", "server_error", code=fault.options.get("code"))
    return _put_in(b"data: " + orjson.dumps(error) + b"\n\n", sends, fault)


def _named_error_event(sends: Sends, fault: Fault) -> Iterator[Step]:
    error = envelope("The server had an error.", "server_error", code=fault.options.get("code"))
    return _put_in(b"event: error\ndata: " + orjson.dumps(error) + b"\n\n", sends, fault)


def _double_done(sends: Sends, _fault: Fault) -> Iterator[Step]:
    yield from sends
    yield DONE


def _after_done(sends: Sends, _fault: Fault) -> Iterator[Step]:
    last: Send | None = None
    for send in sends:
        last = send if send.tokens else last
        yield send
    if last:
        yield replace(last, tokens=0)


def _no_done(sends: Sends, _fault: Fault) -> Iterator[Step]:
    return (send for send in sends if send is not DONE)


def _before_each(prefix: bytes, sends: Sends, _fault: Fault) -> Iterator[Step]:
    return (replace(send, data=prefix + send.data) for send in sends)


def _bom(sends: Sends, _fault: Fault) -> Iterator[Step]:
    yield Send(b"\xef\xbb\xbf")
    yield from sends


def _line_ends(ending: bytes, sends: Sends, _fault: Fault) -> Iterator[Step]:
    return (replace(send, data=send.data.replace(b"\n", ending)) for send in sends)


def _multi_line(sends: Sends, _fault: Fault) -> Iterator[Step]:
    """Each event's JSON on two `data:` lines, which a reader joins by a line feed."""
    return (replace(send, data=send.data.replace(b"{", b"{\ndata: ", 1)) for send in sends)


def _no_space(sends: Sends, _fault: Fault) -> Iterator[Step]:
    return (replace(send, data=send.data.replace(b"data: ", b"data:", 1)) for send in sends)


def _bytewise(sends: Sends, _fault: Fault) -> Iterator[Step]:
    """One byte at a time: every UTF-8 sequence and every line end is split."""
    for send in sends:
        yield from _apart(send)


def _trickle(sends: Sends, fault: Fault) -> Iterator[Step]:
    """One byte at a time, `seconds` (default 1) before each."""
    pause = Wait(fault.seconds("seconds", 1.0))
    for step in _bytewise(sends, fault):
        yield pause
        yield step


def _apart(send: Send) -> Iterator[Send]:
    *some, last = (send.data[index : index + 1] for index in range(len(send.data)))
    yield from (Send(byte) for byte in some)
    yield replace(send, data=last)


FAULTS: Final[Mapping[str, Callable[[Sends, Fault], Iterator[Step]]]] = {
    "hang-mid-stream": _hang,
    "fin": _end,
    "reset": _reset,
    "cut-event": _cut_event,
    "bad-json": partial(_put_in, b'data: {"id": "chatcmpl-1", "choices": [{]}\n\n'),
    "invalid-utf8": partial(_put_in, b'data: {"id": "\xff\xfe"}\n\n'),
    "empty-data": partial(_put_in, b"data:\n\n"),
    "error-event": _error_event,
    "named-error-event": _named_error_event,
    "double-done": _double_done,
    "after-done": _after_done,
    "no-done": _no_done,
    "comments": partial(_before_each, b": keep-alive\n\n"),
    "ids": partial(_before_each, b"id: 7\nretry: 10\nevent: message\n"),
    "bom": _bom,
    "crlf": partial(_line_ends, b"\r\n"),
    "cr": partial(_line_ends, b"\r"),
    "multi-line": _multi_line,
    "no-space": _no_space,
    "bytewise": _bytewise,
    "trickle": _trickle,
}
