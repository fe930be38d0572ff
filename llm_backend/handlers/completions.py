"""`/v1/completions`, the older way to ask."""

from starlette.responses import Response

from llm_backend.domain.trades import COMPLETIONS
from llm_backend.edge.call import Call
from llm_backend.edge.replies import exchanged


async def create_completion(call: Call) -> Response:
    """Continue a text: whole, or as events where the caller asked for a stream."""
    return await exchanged(call, COMPLETIONS)
