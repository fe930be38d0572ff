"""What Connexion asks of each request, answered by the document that is served.

Connexion makes validators anew for every request. What stands in its map here are objects that were made at start and
give themselves when they are called, so that a request compiles and allocates nothing.
"""

from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT
from starlette.types import Receive, Scope

from llm_backend.contract.descent import find_fault
from llm_backend.contract.dialect import JSON, OPERATION
from llm_backend.contract.documents import resolve
from llm_backend.contract.operations import Operation, operations
from llm_backend.contract.parameters import Parameters, parameter_schemas
from llm_backend.contract.schemas import Schemas, below
from llm_backend.edge.call import Call
from llm_backend.edge.rewriting import DEPLOYMENT
from llm_backend.edge.strict_json import parse
from llm_backend.errors import InvalidRequest, Json


def validator_map(document: Json) -> dict[str, Any]:
    """Connexion's `validator_map` for the document, every validator of a served operation compiled."""
    served = [_resolved(document, operation) for operation in operations(document) if operation.is_served]
    schemas = schemas_of(served, document["components"].get("schemas", {}))
    bodies = {
        operation.id: BodyCheck(operation, schemas) for operation in served if _body_schema(operation) is not None
    }
    parameters = {operation.id: Parameters(operation, schemas) for operation in served if operation.parameters}
    return {"body": {JSON: BodyChecks(bodies)}, "parameter": ParameterCheck(parameters), "response": {}}


def schemas_of(served: list[Operation], components: dict[str, Json]) -> Schemas:
    """The schemas of what is sent to these operations: bodies under the operation's id, and parameters."""
    named: dict[str, Json] = {}
    for operation in served:
        named |= parameter_schemas(operation)
        body = _body_schema(operation)
        if body is not None:
            named[operation.id] = body
    return Schemas(named, components)


class BodyCheck:
    """The JSON body of one operation: parsed once, checked, and left in the call."""

    def __init__(self, operation: Operation, schemas: Schemas) -> None:
        self._schemas = schemas
        self._pointer = below("/named", operation.id)
        self._is_required = operation.fields["requestBody"].get("required", False)
        schemas.compile(self._pointer)

    async def wrap_receive(self, receive: Receive, *, scope: Scope) -> tuple[Receive, Scope]:
        """Connexion's protocol; nothing is wrapped, the body has been read before."""
        call = Call.of(scope)
        call.body = self.read(call.raw_body, scope.get(DEPLOYMENT))
        return receive, scope

    def read(self, raw: bytes, deployment: str | None = None) -> Json:
        """The body; None where there is none and none is needed. Raises InvalidRequest.

        `deployment`: an Azure deployment's name from the path, which is the model whatever the body says.
        """
        if not raw:
            if self._is_required:
                raise InvalidRequest("The request needs a JSON body.", code="missing_required_parameter")
            return None
        body = parse(raw)
        if deployment is not None and isinstance(body, dict):
            body["model"] = deployment
        if not self._schemas.is_valid(self._pointer, body):
            raise find_fault(self._schemas, self._pointer, body).error()
        return body


class BodyChecks:
    """Stands for the class that Connexion would instantiate."""

    def __init__(self, by_operation: dict[str, BodyCheck]) -> None:
        self._by_operation = by_operation

    def __call__(self, *, schema: Json, **_: object) -> BodyCheck:
        return self._by_operation[schema[OPERATION]]


class ParameterCheck:
    """The path and query of any operation; stands for the class and is its own instance."""

    def __init__(self, by_operation: dict[str, Parameters]) -> None:
        self._by_operation = by_operation

    def __call__(self, *_: object, **__: object) -> "ParameterCheck":
        return self

    def validate(self, scope: Scope) -> None:
        """Leaves the arguments in the call."""
        parameters = self._by_operation.get(scope["extensions"][ROUTING_CONTEXT]["operation_id"])
        if parameters is not None:
            call = Call.of(scope)
            call.arguments = parameters.read(scope.get("path_params", {}), scope.get("query_string", b""))


class UnreadUri:
    """A `uri_parser_class` that reads nothing: Connexion would parse each path and query a second time."""

    def __init__(self, *_: object) -> None: ...

    def resolve_path(self, _: object) -> dict[str, Json]:
        return {}

    def resolve_query(self, _: object) -> dict[str, Json]:
        return {}

    def resolve_form(self, _: object) -> dict[str, Json]:
        return {}


def _resolved(document: Json, operation: Operation) -> Operation:
    """The operation with its own references followed, those within schemas left."""
    fields = dict(operation.fields)
    fields["parameters"] = [resolve(document, each) for each in operation.parameters]
    if "requestBody" in fields:
        fields["requestBody"] = resolve(document, fields["requestBody"])
    return Operation(operation.path, operation.method, fields)


def _body_schema(operation: Operation) -> Json:
    content = operation.fields.get("requestBody", {}).get("content", {})
    return content.get(JSON, {}).get("schema")
