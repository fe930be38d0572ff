"""Events of a stream: first as JSON, then as frames of bytes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from llm_backend.errors import Json
from llm_backend.upstream.echo.script import Send

DONE = Send(b"data: [DONE]\n\n")


@dataclass(frozen=True, slots=True)
class Event:
    """One JSON payload and the completion tokens that it carries."""

    payload: Json
    tokens: int = 0


def framed(event: Event) -> Send:
    """The event as one `data:` line; UTF-8, as upstreams send it, not escaped."""
    usage = event.payload.get("usage") if isinstance(event.payload, dict) else None
    return Send(b"data: " + orjson.dumps(event.payload) + b"\n\n", event.tokens, usage, is_counted=event.tokens > 0)


def frames(events: Iterable[Event]) -> Iterator[Send]:
    """The whole stream, `[DONE]` at its end."""
    for event in events:
        yield framed(event)
    yield DONE
