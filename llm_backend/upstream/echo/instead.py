"""Faults that stand in place of an answer."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from llm_backend.upstream.echo.directives import Fault
from llm_backend.upstream.echo.script import Break, Script, Send, Wait, envelope, json_script

FAKE_KEY = "sk-echo-not-a-real-key-0000"
"""In the message of a 401 and a 403, as some upstreams put the caller's key there. It opens nothing."""
_BLOCK = 64 * 1024
_HTML = b"<!doctype html><html><head><title>Sorry</title></head><body>Something went wrong.</body></html>"

_MEANINGS: Final[Mapping[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", "invalid_value", "Invalid value for 'temperature'."),
    401: ("invalid_request_error", "invalid_api_key", f"Incorrect API key provided: {FAKE_KEY}."),
    403: ("permission_error", "insufficient_permissions", f"The key {FAKE_KEY} may not use this model."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    503: ("service_unavailable_error", None, "The engine is currently overloaded."),
    529: ("overloaded_error", None, "Overloaded."),
}
"""Type, code and message of a status."""


def is_status(name: str) -> bool:
    return len(name) == 3 and name.isascii() and name.isdigit() and 400 <= int(name) <= 599  # noqa: PLR2004 (HTTP's)


def status(fault: Fault) -> Script:
    """An error with the status that the fault is named after."""
    number = int(fault.name)
    default = ("server_error", None, "The server had an error.") if number >= 500 else _MEANINGS[400]  # noqa: PLR2004
    kind, code, message = _MEANINGS.get(number, default)
    if fault.text("body", "json") == "html":
        return _with_headers(Script(number, {"content-type": "text/html"}, [Send(_HTML)]), fault)
    param = "temperature" if number == 400 else None  # noqa: PLR2004 (HTTP's)
    error = envelope(message, fault.text("type", kind), param=param, code=fault.options.get("code", code))
    return _with_headers(json_script(error, status=number), fault)


def _with_headers(script: Script, fault: Fault) -> Script:
    names = {"retry-after": "retry-after", "retry-after-ms": "retry-after-ms", "should-retry": "x-should-retry"}
    added = {header: fault.options[option] for option, header in names.items() if option in fault.options}
    return Script(script.status, {**script.headers, **added}, script.steps)


def _refused(_fault: Fault) -> Script:
    return Script(502, {}, [], before=(Break(taken=False),))


def _reset(_fault: Fault) -> Script:
    return Script(502, {}, [], before=(Break(),))


def _hanging(_fault: Fault) -> Script:
    return Script(504, {}, [], before=(Wait(),))


def _html(_fault: Fault) -> Script:
    return Script(200, {"content-type": "text/html; charset=utf-8"}, [Send(_HTML)])


def _json_error(_fault: Fault) -> Script:
    return json_script(envelope("The server had an error.", "server_error"))


def _empty(_fault: Fault) -> Script:
    return Script(200, {"content-type": "application/json", "content-length": "0"}, [])


def _redirect(fault: Fault) -> Script:
    target = fault.text("to", "http://169.254.169.254/latest/meta-data/")
    return Script(302, {"location": target, "content-length": "0"}, [])


def _huge_body(fault: Fault) -> Script:
    sends = _filled(b'{"id":"', b"x", b'"}', fault.number("bytes", 1_000_000_000))
    return Script(200, {"content-type": "application/json"}, sends)


def _huge_line(fault: Fault) -> Script:
    sends = _filled(b'data: {"id":"', b"x", b'"}\n\n', fault.number("bytes", 100_000_000))
    return Script(200, {"content-type": "text/event-stream; charset=utf-8"}, sends)


def _gzip_bomb(fault: Fault) -> Script:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    return Script(200, headers, _bomb(fault.number("bytes", 1_000_000_000)))


def _gzip_members(fault: Fault) -> Script:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    member = _compressed(b" ")
    return Script(200, headers, (Send(member) for _ in range(fault.number("members", 10_000))))


def _filled(start: bytes, filling: bytes, end: bytes, size: int) -> Iterator[Send]:
    """`size` bytes of filling in blocks, made as they are read."""
    yield Send(start)
    for begun in range(0, size, _BLOCK):
        yield Send(filling * min(_BLOCK, size - begun))
    yield Send(end)


def _bomb(size: int) -> Iterator[Send]:
    packer = zlib.compressobj(wbits=31)
    for begun in range(0, size, _BLOCK):
        if packed := packer.compress(b" " * min(_BLOCK, size - begun)):
            yield Send(packed)
    yield Send(packer.flush())


def _compressed(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


FAULTS: Final[Mapping[str, Callable[[Fault], Script]]] = {
    "refused": _refused,
    "reset-headers": _reset,
    "hang-headers": _hanging,
    "html": _html,
    "json-error": _json_error,
    "empty": _empty,
    "redirect": _redirect,
    "huge-body": _huge_body,
    "huge-line": _huge_line,
    "gzip-bomb": _gzip_bomb,
    "gzip-members": _gzip_members,
}
