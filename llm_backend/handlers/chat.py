"""`/v1/chat/completions`."""

from starlette.responses import Response

from llm_backend.domain.trades import CHAT
from llm_backend.edge.call import Call
from llm_backend.edge.replies import exchanged


async def create_chat_completion(call: Call) -> Response:
    """Answer one turn: whole, or as events where the caller asked for a stream."""
    return await exchanged(call, CHAT)
