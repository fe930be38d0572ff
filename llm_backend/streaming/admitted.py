"""What the judges of all kinds of events have in common: how an event is read, and what it comes to."""

from typing import NamedTuple

import orjson

from llm_backend import json_text
from llm_backend.errors import Json, UpstreamInvalid


class Admitted(NamedTuple):
    """What one event of the upstream came to."""

    chunk: Json
    """The parsed object, mended and whole (text and finish_reason together), without its usage: for the tally."""
    payloads: tuple[bytes, ...]
    """What the client gets of it, in order: none where it is withheld, two where text and ending had to part."""
    error: Json = None
    """What the upstream said went wrong, an object or a text, not redacted; then nothing of it may be sent."""
    name: str | None = None
    """Of the events that the client gets, where they have one."""


def parsed(data: bytes) -> tuple[Json, bytes]:
    """Read the event's object, with the bytes that say it strictly. Raises `UpstreamInvalid` where it is none."""
    try:
        event, strict = json_text.read(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamInvalid("The upstream sent an event that is not JSON.", outcome_unknown=True) from error
    if type(event) is not dict:
        raise UpstreamInvalid("The upstream sent an event that is not an object.", outcome_unknown=True)
    return event, strict
