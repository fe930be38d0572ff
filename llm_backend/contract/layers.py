"""Connexion's layers around the handlers, from a request's path to its operation, and through security and validation.

They are put together here and not by Connexion's own application, which checks its document against OpenAPI's schema
at every start: that took longer than all else. A test checks it once.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from connexion.apps.asynchronous import AsyncASGIApp
from connexion.middleware.abstract import RoutedMiddleware
from connexion.middleware.context import ContextMiddleware
from connexion.middleware.request_validation import RequestValidationMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.resolver import Resolver
from connexion.spec import OpenAPISpecification
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from llm_backend.edge.call import Call
from llm_backend.edge.media import JSON
from llm_backend.errors import Json

LAYERS = (ContextMiddleware, RequestValidationMiddleware, SecurityMiddleware)
"""Those that do something behind the routing, from the innermost. Errors are the guard's, the page is a handler's."""


class Layers:
    """The ASGI application that answers the requests of one document. It keeps nothing of them, nor of a server."""

    def __init__(self, document: Json, resolver: Resolver, **options: Any) -> None:
        """`document` as `to_connexion` gives it; `options` as Connexion's `add_api` names them."""
        specification = Unchecked(document)
        app: Any = AsyncASGIApp()
        app.add_api(specification, resolver=resolver, pythonic_params=False, **options)
        self.stack: list[Any] = [app]
        """From the outermost to the innermost."""
        for layer in (*LAYERS, RoutingMiddleware):
            app = layer(app)
            app.add_api(specification, resolver=resolver, **options)
            self.stack.insert(0, app)

    def operations_of(self, layer: type[RoutedMiddleware[Any]]) -> dict[str, Any]:
        """What that layer has made of each operation, by its id."""
        (api,) = next(each for each in self.stack if type(each) is layer).apis[""]
        operations: dict[str, Any] = api.operations
        return operations

    @property
    def routes(self) -> list[BaseRoute]:
        """By which the methods of a path are found."""
        routes: list[BaseRoute] = self.stack[0].router.routes
        return routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # With an application in the scope, a router raises what it does not find, and the guard words the answer.
        scope["app"] = self
        if scope["type"] == "http":
            scope["headers"] = list(_below(Call.of(scope).headers))
        await self.stack[0](scope, receive, send)


class Unchecked(OpenAPISpecification):
    """A document without references, taken as it is: neither validated nor copied."""

    def __init__(self, document: Json) -> None:  # it is the checks and copies of `super().__init__` that are left out
        self._raw_spec = self._spec = document
        self._base_uri = ""


def _below(headers: Mapping[str, str]) -> Iterator[tuple[bytes, bytes]]:
    """The headers as the layers get them: they know of one media type; of others, our own validator sees the call."""
    for name, value in headers.items():
        yield name.encode("latin-1"), JSON.encode() if name == "content-type" else value.encode("latin-1")
