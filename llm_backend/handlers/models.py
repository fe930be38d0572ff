"""`/v1/models`."""

from starlette.responses import Response

from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.upstream.catalogue import no_such_model


async def list_models(call: Call) -> Response:
    """Every model that the caller may name, aliases among them."""
    models = await call.services.catalogue.list()
    return json_reply({"object": "list", "data": [each for each in models if _is_allowed(call, each["id"])]})


async def retrieve_model(call: Call, model: str) -> Response:
    """One of them, by its id. Raises ModelNotFound, also for one that the caller may not name."""
    if not _is_allowed(call, model):
        raise no_such_model(model)
    return json_reply(await call.services.catalogue.get(model))


def _is_allowed(call: Call, model: str) -> bool:
    return call.caller is None or call.caller.allows(model)
