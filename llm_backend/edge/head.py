"""The head of a request: how large it may be, what it may not say twice, and which paths are none."""

import re
from collections.abc import Collection, Iterable
from itertools import chain
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from llm_backend.edge.media import declared_length
from llm_backend.errors import HeadersTooLarge, InvalidRequest, NotFound, PermissionDenied

HEADER_LIMIT = 100
HEADER_BYTES_LIMIT = 32 * 1024
URL_BYTES_LIMIT = 8 * 1024
TARGET_FORM = "The request's target has to be a path."
TOO_LARGE = f"The request has more than {HEADER_LIMIT} headers, or {HEADER_BYTES_LIMIT} bytes of them."

# Said twice, these let two readers take one request in two ways.
_ONCE = frozenset({"authorization", "content-length", "host", "content-type", "transfer-encoding"})
_HOST = re.compile(r"(?:[\w.~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII)
_PORT = re.compile(r":\d{1,5}\Z", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ORDINARY = re.compile(rb"(?:/[A-Za-z0-9_-]+)+")
_DOT_SEGMENT = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")


def headers_of(lines: Collection[tuple[bytes, bytes]]) -> dict[str, str]:
    """Read the header lines, each name once, in lower case; repeated ones joined by commas.

    Raises HeadersTooLarge, and InvalidRequest for a repetition of what must be said once.
    """
    size = sum(map(len, chain.from_iterable(lines))) + 4 * len(lines)
    if len(lines) > HEADER_LIMIT or size > HEADER_BYTES_LIMIT:
        raise HeadersTooLarge(TOO_LARGE)
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in lines}
    return headers if len(headers) == len(lines) else _joined(lines)


def _joined(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in lines:
        name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1")
        if name in headers and name in _ONCE:
            raise InvalidRequest(f"The header {name} is there twice.")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def check_framing(headers: dict[str, str], http_version: str) -> None:
    """Refuse what lets a message end in two places, and a Host that is none. Raises InvalidRequest."""
    coding = headers.get("transfer-encoding")
    if coding is not None and (
        "content-length" in headers or coding.strip().lower() != "chunked" or http_version == "1.0"
    ):
        raise InvalidRequest("The message's length is told in a way that is not read here.")
    declared_length(headers.get("content-length"))
    host = headers.get("host")
    if host is None and http_version == "1.0":
        return
    if host is None or not _HOST.fullmatch(host):
        raise InvalidRequest("The Host header is missing or is none.")


def check_host(headers: dict[str, str], hosts: frozenset[str] | None) -> None:
    """Refuse a request that was meant for another name than `hosts`; None for any name. Raises PermissionDenied.

    A page of the web may give its own name this machine's address: where no key is asked for, the name alone tells.
    """
    if hosts is not None and _PORT.sub("", headers.get("host", "")).lower() not in hosts:
        raise PermissionDenied(
            "This server may be called by its local names only: its Host header has to be localhost."
        )


def check_path(scope: Scope) -> None:
    """Refuse paths that some reader would resolve to another. Raises HeadersTooLarge, InvalidRequest, NotFound."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    if raw[:1] != b"/" and raw != b"*":
        raise InvalidRequest(TARGET_FORM)
    if len(raw) + len(scope["query_string"]) > URL_BYTES_LIMIT:
        raise HeadersTooLarge(f"The URL is longer than {URL_BYTES_LIMIT} bytes.")
    if _ORDINARY.fullmatch(raw):
        return
    try:
        path = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise NotFound("The path is no UTF-8.") from None
    if _CONTROL.search(path) or "\\" in path or _DOT_SEGMENT.search(path):
        raise NotFound("Unknown path.")
    if "//" in path:
        raise NotFound("Unknown path: it has a slash too many. Base URLs do not end with one.")
    if path != "/" and path.endswith("/"):
        raise NotFound("Unknown path: paths do not end with a slash.")
