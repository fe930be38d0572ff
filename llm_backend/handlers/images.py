"""`/v1/images`."""

from starlette.responses import Response

from llm_backend.domain.trades import IMAGE_EDITS, IMAGE_VARIATIONS, IMAGES
from llm_backend.edge.call import Call
from llm_backend.edge.replies import exchanged, whole


async def create_image(call: Call) -> Response:
    """Pictures by a prompt: whole, or as events where the caller asked for a stream."""
    return await exchanged(call, IMAGES)


async def create_image_edit(call: Call) -> Response:
    """Pictures by a prompt and others: whole, or as events where the caller asked for a stream."""
    return await exchanged(call, IMAGE_EDITS)


async def create_image_variation(call: Call) -> Response:
    """Pictures like another."""
    return await whole(call, IMAGE_VARIATIONS)
