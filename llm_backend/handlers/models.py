"""`/v1/models`."""

from starlette.responses import Response

from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply


async def list_models(call: Call) -> Response:
    """Every model that can be asked for here, aliases among them."""
    models = await call.services.catalogue.list()
    return json_reply({"object": "list", "data": models})


async def retrieve_model(call: Call, model: str) -> Response:
    """One of them, by its id. Raises ModelNotFound."""
    return json_reply(await call.services.catalogue.get(model))
