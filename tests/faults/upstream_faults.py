"""Faults of an upstream as data: what it does, and what must come of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.faults.stage import Told
from tests.faulty import FaultyUpstream, error, head

JSON = "application/json"
EVENTS = "text/event-stream"
CUT_HEAD = b"HTTP/1.1 200 OK\r\nx: "


@dataclass(frozen=True)
class Fault:
    """What the upstream does, and what must come of it."""

    name: str
    does: Callable[[FaultyUpstream], None]
    status: int
    code: str
    records: list[Told]
    calls: int = 1
    headers: Mapping[str, str | None] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def refuses(status: int, code: str | None = None, **headers: str) -> Callable[[FaultyUpstream], None]:
    answer = error("It cannot be done.", "invalid_request_error", code)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda upstream: upstream.answers(answer, status=status, headers=named)


def sends(content: bytes, **headers: str) -> Callable[[FaultyUpstream], None]:
    return lambda upstream: upstream.raw(head(200, **headers), content)


NEVER = {"x-should-retry": "false"}
LOST: list[Told] = [("failed", "estimated", "upstream_unreachable")]
LATE: list[Told] = [("failed", "estimated", "upstream_timeout")]
INVALID: list[Told] = [("failed", "estimated", "upstream_invalid_response")]
BROKEN: Told = ("failed", "void", "upstream_error")
LIMITED: Told = ("failed", "void", "rate_limit_exceeded")
