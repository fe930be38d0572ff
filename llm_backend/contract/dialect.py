"""The document as Connexion reads it: OpenAPI 3.0, and of that only what it routes and secures by."""

from llm_backend.contract.operations import Operation, in_turn, is_greedy
from llm_backend.edge.media import JSON
from llm_backend.errors import Json

OPERATION = "x-operation"
"""In the schema of a body: the operationId by which our validator finds its own."""


def to_connexion(document: Json) -> Json:
    """A small 3.0 document with the same paths, ids and security.

    Bodies, queries and answers are left out: `validation` checks requests against the 3.1 document, and Connexion
    would copy, resolve and read whatever stands here.
    """
    paths: Json = {}
    for operation in in_turn(document):
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.0.3",
        "info": document["info"],
        "paths": paths,
        "components": {"securitySchemes": document["components"]["securitySchemes"]},
    }


def _operation(operation: Operation) -> Json:
    reduced: Json = {
        "operationId": operation.id,
        "security": operation.fields["security"],
        "responses": {"default": {"description": "See the document that is served."}},
    }
    # No other parameter need be declared: Connexion takes it for a string, as it should, and its own conversion of a
    # long integer ends in a 500.
    greedy = [_greedy(parameter) for parameter in operation.parameters if is_greedy(parameter)]
    if greedy:
        reduced["parameters"] = greedy
    if operation.is_answered and "requestBody" in operation.fields:
        reduced["requestBody"] = _body(operation)
    return reduced


def _greedy(parameter: Json) -> Json:
    return {"name": parameter["name"], "in": "path", "required": True, "schema": {"type": "string", "format": "path"}}


def _body(operation: Operation) -> Json:
    """One media type, whatever is sent: with two, Connexion warns on every request. The guard has told them apart."""
    return {
        "required": False,  # our validator tells, in OpenAI's words
        "content": {JSON: {"schema": {OPERATION: operation.id}}},
    }
