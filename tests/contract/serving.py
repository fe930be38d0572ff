"""A contract behind a real Connexion, with the least of an edge in front of it."""

import json
from collections.abc import Callable
from typing import Any, cast

import httpx
from connexion.apps.asynchronous import AsyncApp
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from connexion.options import SwaggerUIOptions
from connexion.security import AbstractSecurityHandler
from connexion.uri_parsing import AbstractURIParser
from starlette.types import Message, Receive, Scope, Send

from llm_backend.contract.dialect import to_connexion
from llm_backend.contract.routing import resolver
from llm_backend.contract.validation import UnreadUri, validator_map
from llm_backend.edge.call import CALL, Call
from llm_backend.errors import Json, LLMBackendError, Unauthenticated


class Bearer(AbstractSecurityHandler):
    """Lets in whoever has a token."""

    def get_fn(self, security_scheme: Json, required_scopes: list[str]) -> Callable[[ConnexionRequest], Json]:
        def verify(request: ConnexionRequest) -> Json:
            if "authorization" not in request.headers:
                raise Unauthenticated
            return {"scheme": security_scheme["x-authenticate"], "scopes": required_scopes}

        return verify


def told(_: ConnexionRequest, error: Exception) -> ConnexionResponse:
    """The error by its class, as statuses are the edge's."""
    assert isinstance(error, LLMBackendError)
    body = json.dumps(error.envelope()["error"] | {"raised": type(error).__name__})
    return ConnexionResponse(418, content_type="application/json", body=body)  # type: ignore[no-untyped-call] # Connexion has no types


class Served:
    """The ASGI application; keeps the calls that passed through it."""

    def __init__(self, document: Json, package: str, uri_parser: type = UnreadUri) -> None:
        app = AsyncApp(
            "served",
            resolver=resolver(document, package),
            validator_map=validator_map(document),
            uri_parser_class=cast("AbstractURIParser", uri_parser),  # Connexion takes the class, not an instance
            security_map={"bearer": Bearer},
            swagger_ui_options=SwaggerUIOptions(swagger_ui=False, serve_spec=False),
        )
        app.add_error_handler(LLMBackendError, told)
        app.add_api(to_connexion(document))
        self._app: Any = app
        self.calls: list[Call] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        scope.setdefault("extensions", {})
        scope[CALL] = Call(
            request_id="r", method=scope["method"], path=scope["path"], headers=headers, raw_body=body,
            receive=receive, scope=scope,
        )  # fmt: skip
        self.calls.append(scope[CALL])

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        await self._app(scope, nothing, send)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self), base_url="http://served", headers={"authorization": "Bearer x"}
        )
