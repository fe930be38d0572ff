"""How a raw request that servers have been known to get wrong is written down."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Seed:
    """`raw` is sent as it is; the answer has one of `statuses`, and the connection ends where it `closes`."""

    name: str
    raw: bytes
    statuses: frozenset[int]
    closes: bool = False


def head(first: str, *lines: str, host: bool = True) -> bytes:
    every = [first, *(["Host: here"] if host else []), *lines]
    return "\r\n".join(every).encode("latin-1") + b"\r\n\r\n"


def post(*lines: str, body: bytes = b"{}", length: bool = True) -> bytes:
    told = [f"Content-Length: {len(body)}"] if length else []
    return head("POST /v1/chat/completions HTTP/1.1", *lines, *told) + body


JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
SMUGGLED = b"GET /v1/broken HTTP/1.1\r\nHost: here\r\n\r\n"


def seeds(statuses: set[int], closes: bool, **raws: bytes) -> list[Seed]:  # noqa: FBT001 (a column of the tables)
    return [Seed(name, raw, frozenset(statuses), closes) for name, raw in raws.items()]


def chunks(*chunks: bytes, more: str = "") -> bytes:
    lines = [JSON, CHUNKED, *([more] if more else [])]
    return post(*lines, body=b"".join(chunks), length=False)


def get(path: str) -> bytes:
    return head(f"GET {path} HTTP/1.1")
