"""`/v1/models`."""

from starlette.responses import Response

from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.upstream.catalogue import everyone
from llm_backend.upstream.offer import Allows


async def list_models(call: Call) -> Response:
    """Every model that the caller may name, aliases among them."""
    return json_reply({"object": "list", "data": await call.services.catalogue.list(_allows(call))})


async def retrieve_model(call: Call, model: str) -> Response:
    """One of them, by its id. Raises ModelNotFound, also for one that the caller may not name."""
    return json_reply(await call.services.catalogue.get(model, _allows(call)))


def _allows(call: Call) -> Allows:
    return call.caller.allows if call.caller else everyone
