"""`/v1/moderations`."""

from starlette.responses import Response

from llm_backend.domain.trades import MODERATIONS
from llm_backend.edge.call import Call
from llm_backend.edge.replies import whole


async def create_moderation(call: Call) -> Response:
    """Whether texts and pictures are harmful."""
    return await whole(call, MODERATIONS)
