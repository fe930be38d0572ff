"""`/v1/embeddings`."""

from starlette.responses import Response

from llm_backend.domain.trades import EMBEDDINGS
from llm_backend.edge.call import Call
from llm_backend.edge.replies import whole


async def create_embedding(call: Call) -> Response:
    """Texts as vectors."""
    return await whole(call, EMBEDDINGS)
