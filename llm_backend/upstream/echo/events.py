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
    name: str | None = None
    """Its `event` field, where OpenAI writes one."""
    is_part: bool = False
    """Whether it carries a part of the answer, though no token."""

    @property
    def is_counted(self) -> bool:
        """Whether the `after` of a fault counts it."""
        return self.tokens > 0 or self.is_part

    @property
    def usage(self) -> Json:
        """What it reports, by itself or in the response that it carries; None where it reports nothing."""
        return usage_of(self.payload)


def usage_of(payload: Json) -> Json:
    if not isinstance(payload, dict):
        return None
    carried = payload.get("response")
    return (carried if isinstance(carried, dict) else payload).get("usage")


def framed(event: Event) -> Send:
    """The event as one `data:` line; UTF-8, as upstreams send it, not escaped."""
    name = b"event: " + event.name.encode() + b"\n" if event.name else b""
    data = name + b"data: " + orjson.dumps(event.payload) + b"\n\n"
    return Send(data, event.tokens, event.usage, is_counted=event.is_counted)


def frames(events: Iterable[Event], *, ends_in_done: bool = True) -> Iterator[Send]:
    """The whole stream, `[DONE]` at its end where it has one."""
    for event in events:
        yield framed(event)
    if ends_in_done:
        yield DONE
