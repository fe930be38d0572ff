"""A small contract with operations that take forms, behind the real gate and the real validation: PORT as a process."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from connexion.middleware.lifespan import LifespanMiddleware
from starlette.responses import JSONResponse, Response

from llm_backend.contract.bodies import body_limit
from llm_backend.contract.dialect import to_connexion
from llm_backend.contract.documents import merge
from llm_backend.contract.layers import Layers
from llm_backend.contract.routing import Bound, HandlerResolver, bind
from llm_backend.contract.validation import UnreadUri, validator_map
from llm_backend.edge.admission import Admission, Edge
from llm_backend.edge.call import Call
from llm_backend.edge.cors import Cors
from llm_backend.edge.guard import Bounds, Guard, Patience
from llm_backend.edge.rewriting import Rewriting
from llm_backend.edge.server import server
from llm_backend.edge.serving import Serving
from llm_backend.edge.signposts import Signposts
from llm_backend.errors import Json, NotServed
from llm_backend.upstream.client import HttpTransport
from llm_backend.upstream.wire import Outbound
from tests.edge.small_app import Requests

FORM_LIMIT = 128 * 2**20
JSON_LIMIT = 1_000

FILE: Json = {"type": "string", "format": "binary"}
MODEL: Json = {"type": "string", "minLength": 1, "pattern": "^[^\\x00-\\x1f]+$"}
OPTIONS: Json = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"enum": ["vad"]}, "threshold": {"type": ["number", "null"]}},
}
THING: Json = {
    "type": "object",
    "required": ["file", "model"],
    "properties": {
        "file": FILE,
        "model": MODEL,
        "image": {"anyOf": [FILE, {"type": "array", "items": FILE, "maxItems": 3}]},
        "mask": {"type": ["string", "null"], "format": "binary"},
        "prompt": {"type": ["string", "null"]},
        "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 10},
        "temperature": {"type": ["number", "null"]},
        "stream": {"type": ["boolean", "null"]},
        "include": {"type": ["array", "null"], "items": {"enum": ["word", "segment"], "type": "string"}},
        "options": {"anyOf": [{"type": "string", "enum": ["auto"]}, OPTIONS, {"type": "null"}]},
    },
}
EITHER: Json = {"type": "object", "required": ["prompt"], "properties": {"prompt": {"type": "string"}, "image": FILE}}
OPERATIONS: dict[str, tuple[Json, tuple[str, ...]]] = {
    "createThing": (THING, ("multipart/form-data",)),
    "relayThing": (THING, ("multipart/form-data",)),
    "createEither": (EITHER, ("application/json", "multipart/form-data")),
    "createPlain": (EITHER, ("application/json",)),
    "createNothing": (THING, ("multipart/form-data",)),
}
PATHS = {
    "createThing": "/things",
    "relayThing": "/relayed",
    "createEither": "/either",
    "createPlain": "/plain",
    "createNothing": "/nothing",
}


def document(folder: Path) -> Json:
    """As a deployment's documents are merged."""
    paths = {}
    for name, (schema, types) in OPERATIONS.items():
        body = {"required": True, "content": {kind: {"schema": schema} for kind in types}}
        operation = {"operationId": name, "tags": ["things"], "requestBody": body, "responses": {"200": {}}}
        paths[f"/v1{PATHS[name]}"] = {"post": operation}
    policy = {
        "security_schemes": {},
        "body_limits": {"default": JSON_LIMIT, "file": FORM_LIMIT},
        "configuration_fields": ["api_base"],
        "tags": {"things": {"fate": "served", "access": "public", "form": "file"}},
        "operations": {"createNothing": {"fate": "not_served", "reason": "No."}},
    }
    (folder / "extensions").mkdir(parents=True)
    (folder / "openai.json").write_text('{"paths": {}}')
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy))
    (folder / "extensions" / "things.yaml").write_text(yaml.safe_dump({"openapi": "3.1.0", "paths": paths}))
    return merge(folder)


class FormApp:
    """The application, and the calls that it was asked."""

    def __init__(self, folder: Path, *, patience: Patience | None = None) -> None:
        self._document = document(folder)
        self._document["components"].setdefault("securitySchemes", {})
        self._patience = patience or Patience()
        self.calls: list[Call] = []

    def edge(self) -> Edge:
        layers = Layers(
            to_connexion(self._document),
            HandlerResolver(dict.fromkeys(OPERATIONS, bind(self.told)) | self._others()),
            validator_map=validator_map(self._document),
            uri_parser_class=UnreadUri,
        )
        admission = Admission(100)
        guard = Guard(
            LifespanMiddleware(layers, lifespan=self._lifespan),
            bounds=Bounds(body_limit(self._document), None, self._patience),
            rewriting=Rewriting(self._document["paths"]),
            signposts=Signposts(self._document["paths"]),
            admission=admission,
            count=lambda _operation, _status: None,
        )
        return Edge(Cors(guard, ()), admission, Requests(lambda: None), lambda: None)

    def _others(self) -> dict[str, Bound]:
        return {"relayThing": bind(self.relayed), "createNothing": bind(self.nothing)}

    async def nothing(self, _call: Call) -> Response:
        raise NotServed("It is not served here.")

    async def told(self, call: Call) -> Response:
        """What arrived, each file by its digest."""
        self.calls.append(call)
        parts: list[Any] = []
        for part in call.form.parts if call.form else ():
            digest = sha256()
            async for piece in part.pieces():
                digest.update(piece)
            parts.append([part.name, part.filename, part.content_type, part.size, digest.hexdigest()])
        return JSONResponse({"body": call.body, "parts": parts})

    async def relayed(self, call: Call) -> Response:
        """What the upstream says whose address is the prompt."""
        assert call.form is not None
        async with _upstream(call.body["prompt"]) as transport:
            reply = await transport.send(Outbound("POST", "/things", call.form.replaced(model="theirs", prompt=None)))
            return Response(await reply.read(), reply.status)

    @asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        yield


@asynccontextmanager
async def _upstream(url: str) -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(url, None)
    try:
        yield transport
    finally:
        await transport.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(server(FormApp(Path(folder) / "spec").edge(), Serving(port=int(sys.argv[1]))).serve())
