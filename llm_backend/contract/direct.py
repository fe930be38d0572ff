"""The way in front of Connexion's layers: from a request to its operation, as Connexion resolved it, in one step.

The layers find the same by trying hundreds of routes, and wrap each request several times. What is not found here is
theirs to answer: unknown paths, methods that a path does not have, and whatever is no request of HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT
from starlette.types import Receive, Scope, Send

from llm_backend.contract.layers import Layers
from llm_backend.contract.loaded import Loaded, loaded
from llm_backend.contract.paths import Paths, Place
from llm_backend.edge.call import Call


class Direct:
    """The ASGI application that answers as `layers` do, behind the guard."""

    def __init__(self, layers: Layers) -> None:
        """Raises ContractError where the layers are not those that this was written for."""
        self._layers = layers
        self._operations = Paths(
            Place(method, operation.route.path, operation.route.path_regex, operation)
            for operation in loaded(layers)
            for method in operation.route.methods or ()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = None
        if scope["type"] == "http" and not scope.get("root_path"):
            found = self._operations.find(scope["method"], scope["path"])
        if found is None:
            await self._layers(scope, receive, send)
        else:
            await _answer(*found, scope, receive, send)


@dataclass(slots=True)
class Asking:
    """As much of a request as a security check reads of it: the whole of Connexion's takes longer to make."""

    scope: Scope
    context: dict[str, Any] = field(default_factory=dict)
    """Where Connexion notes what a check says of the caller, for handlers that ask for it; ours read the call."""


async def _answer(operation: Loaded, in_path: Mapping[str, str], scope: Scope, receive: Receive, send: Send) -> None:
    """In the order of Connexion's layers: who is not let in learns nothing of the request's faults."""
    scope["extensions"][ROUTING_CONTEXT] = {"api_base_path": "", "operation_id": operation.id}
    if operation.verify is not None:
        await operation.verify(Asking(scope))
    call = Call.of(scope)
    if operation.parameters is not None:
        call.arguments = operation.parameters.read(in_path, scope["query_string"])
    if operation.body is not None:
        await operation.body.take(call)
    response = await operation.answer(call)
    await response(scope, receive, send)
