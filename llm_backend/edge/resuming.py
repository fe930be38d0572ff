"""The headers by which a client of chat completions asks for a stream that it can come back to."""

from llm_backend.domain.completions.resuming import LAST_EVENT_ID, RESUMABLE
from llm_backend.edge.call import Call
from llm_backend.errors import InvalidRequest

__all__ = ["LAST_EVENT_ID", "RESUMABLE", "is_resumable"]

_SAID = {"true": True, "false": False}


def is_resumable(call: Call) -> bool:
    """Whether the answer is to be a stream that can be resumed; of one that comes whole, the header says nothing.

    Raises InvalidRequest where the header is neither true nor false.
    """
    wanted = _SAID.get(call.headers.get(RESUMABLE, "false").lower())
    if wanted is None:
        raise InvalidRequest(f"'{RESUMABLE}' is true or false.", param=RESUMABLE)
    return wanted and bool(call.body.get("stream"))
