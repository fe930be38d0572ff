"""What a whole answer says, or that it says nothing of what was asked."""

import orjson

from llm_backend import json_text
from llm_backend.errors import Json, UpstreamInvalid
from llm_backend.upstream.refusals import Refusals
from llm_backend.upstream.wire import Reply

JSON = "application/json"


def is_json(reply: Reply) -> bool:
    """Whether it says that it is."""
    return reply.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON


def read_whole(raw: bytes, expected: str | None, refusals: Refusals) -> tuple[Json, bytes]:
    """What the upstream said, and the same as strict JSON.

    `expected`: the list or text without which it is no answer; None where any object is one. Raises UpstreamFailed.
    """
    try:
        content, strict = json_text.read(raw)
    except orjson.JSONDecodeError:
        raise UpstreamInvalid("The upstream's answer is not JSON.", should_retry=False) from None
    is_object = isinstance(content, dict)
    if is_object and expected is not None and isinstance(content.get(expected), list | str):
        return content, strict
    # Some upstreams say with the status 200 that something went wrong.
    found = refusals.inside(content)
    if found is None and is_object and expected is None:
        return content, strict
    raise found or UpstreamInvalid(f"The upstream's answer has no {expected}.", should_retry=False)
