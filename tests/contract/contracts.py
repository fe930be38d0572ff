"""Small contracts made on the spot: a folder of documents and a package of handlers."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from llm_backend.errors import Json

ID = "^[A-Za-z0-9_-]{1,64}$"
OK = {"200": {"description": "Done."}}
POLICY: Json = {
    "security_schemes": {
        "key": {"type": "http", "scheme": "bearer", "x-authenticate": "account"},
        "admin": {"type": "http", "scheme": "bearer", "x-authenticate": "admin"},
    },
    "body_limits": {"default": 1_000, "model": 9_000},
    "configuration_fields": ["api_base"],
    "tags": {
        "things": {"fate": "served", "scope": "inference"},
        "stuff": {"fate": "not_served", "scope": "inference", "reason": "No stuff here.", "instead": "Use things."},
        "service": {"fate": "served", "access": "public"},
    },
    "operations": {"createThing": {"body": "model"}},
}
SERVICE: Json = {
    "openapi": "3.1.0",
    "info": {"title": "service", "version": "1"},
    "x-default-response": {"$ref": "#/components/responses/Error"},
    "paths": {
        "/healthz": {"get": {"operationId": "getHealth", "tags": ["service"], "responses": OK}},
        "/docs": {"get": {"operationId": "getDocs", "tags": ["service"], "x-part": "docs", "responses": OK}},
    },
    "components": {"responses": {"Error": {"description": "It failed."}}},
}
THING = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "maxLength": 10}, "size": {"type": ["integer", "null"]}},
}
HANDLERS = {
    "things": """
from starlette.responses import JSONResponse

async def create_thing(call, body):
    return JSONResponse({"name": body["name"], "account": call.headers.get("x-account")})

async def get_thing(call, thing_id, include=()):
    return JSONResponse({"id": thing_id, "include": list(include)})
""",
    "service": """
from starlette.responses import PlainTextResponse

async def get_health(call):
    return PlainTextResponse("well")

async def get_docs(call):
    return PlainTextResponse("read")
""",
}


def thing_id() -> Json:
    return {"name": "thing_id", "in": "path", "required": True, "schema": {"type": "string", "pattern": ID}}


def openai_document() -> Json:
    """Two operations that are served, one that is not."""
    include = {"name": "include[]", "in": "query", "schema": {"type": "array", "items": {"enum": ["parts", "price"]}}}
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}
    create: Json = {"operationId": "createThing", "tags": ["things"], "requestBody": body, "responses": OK}
    get: Json = {"operationId": "getThing", "tags": ["things"], "parameters": [thing_id(), include], "responses": OK}
    stuff: Json = {"operationId": "createStuff", "tags": ["stuff"], "requestBody": body, "responses": OK}
    paths = {"/things": {"post": create}, "/things/{thing_id}": {"get": get}, "/stuff": {"post": stuff}}
    return {"openapi": "3.1.0", "paths": paths, "components": {"schemas": {"Thing": json.loads(json.dumps(THING))}}}


def spec_folder(
    folder: Path, *, openai: Json = None, policy: Json = None, extensions: dict[str, Json] | None = None
) -> Path:
    """A `spec/` with what is given, and the small contract above for what is not."""
    (folder / "extensions").mkdir(parents=True)
    (folder / "openai.json").write_text(json.dumps(openai or openai_document()))
    (folder / "policy.yaml").write_text(yaml.safe_dump(POLICY | (policy or {})))
    for name, document in ({"service": SERVICE} | (extensions or {})).items():
        (folder / "extensions" / f"{name}.yaml").write_text(yaml.safe_dump(document))
    return folder


def handlers(monkeypatch: pytest.MonkeyPatch, folder: Path, **modules: str) -> str:
    """A package of handlers that can be imported, by its name: the modules given, HANDLERS for the others."""
    name = f"handlers_{abs(hash(folder))}"
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    for module, source in (HANDLERS | modules).items():
        (folder / name / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(str(folder))
    return name


def nested(document: Json, *keys: Any) -> Json:
    for key in keys:
        document = document[key]
    return document
