"""What Connexion asks of each request, answered by the document that is served.

Connexion makes validators anew for every request. What stands in its map here are objects that were made at start and
give themselves when they are called, so that a request compiles and allocates nothing.
"""

from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT
from starlette.types import Receive, Scope

from llm_backend.contract.descent import find_fault
from llm_backend.contract.dialect import OPERATION
from llm_backend.contract.documents import resolve
from llm_backend.contract.forms import FormFields
from llm_backend.contract.operations import Operation, operations, python_name
from llm_backend.contract.parameters import Parameters, parameter_schemas
from llm_backend.contract.schemas import Schemas, below
from llm_backend.edge.call import Call
from llm_backend.edge.media import FORM, JSON
from llm_backend.edge.rewriting import DEPLOYMENT
from llm_backend.edge.strict_json import parse
from llm_backend.errors import InvalidRequest, Json


def validator_map(document: Json) -> dict[str, Any]:
    """Connexion's `validator_map` for the document, every schema of a served operation checked.

    Validators are compiled when they are first needed. Raises ContractError.
    """
    served = [_resolved(document, operation) for operation in operations(document) if operation.is_answered]
    schemas = schemas_of(served, document["components"].get("schemas", {}))
    bodies = {operation.id: BodyCheck(operation, schemas) for operation in served if _body_schemas(operation)}
    _lead_to_variants(served, bodies)
    parameters = {operation.id: Parameters(operation, schemas) for operation in served if operation.parameters}
    return {"body": {JSON: BodyChecks(bodies)}, "parameter": ParameterCheck(parameters), "response": {}}


def schemas_of(served: list[Operation], components: dict[str, Json]) -> Schemas:
    """The schemas of what is sent to these operations: bodies under the operation's id, forms, and parameters."""
    named: dict[str, Json] = {}
    for operation in served:
        named |= parameter_schemas(operation)
        bodies = _body_schemas(operation)
        if JSON in bodies:
            named[operation.id] = bodies[JSON]
        if FORM in bodies:
            named[_form_name(operation)] = bodies[FORM]
    return Schemas(named, components)


class BodyCheck:
    """The body of one operation: parsed once, checked, and left in the call."""

    def __init__(self, operation: Operation, schemas: Schemas) -> None:
        self._schemas = schemas
        self._pointer = below("/named", operation.id)
        self._form = None
        self._is_required = operation.fields["requestBody"].get("required", False)
        bodies = _body_schemas(operation)
        if JSON in bodies and operation.is_served:
            schemas.check(self._pointer)
        if FORM in bodies:
            self._form = FormFields(schemas, below("/named", _form_name(operation)))
        self._needed = "form" if JSON not in bodies else "JSON"
        self.variants: dict[str, BodyCheck] = {}
        """By the parameter that asks for it, what another body is checked as."""

    async def wrap_receive(self, receive: Receive, *, scope: Scope) -> tuple[Receive, Scope]:
        """Connexion's protocol; nothing is wrapped, the body is read before or here."""
        await self.take(Call.of(scope))
        return receive, scope

    async def take(self, call: Call) -> None:
        """Leave the body in the call. Raises InvalidRequest."""
        deployment: str | None = call.scope.get(DEPLOYMENT)
        if call.upload is not None and self._form is not None:
            call.form = await call.upload.read()
            if deployment is not None:
                call.form = call.form.replaced(model=deployment)
            call.body = self._form.read(call.form)
        else:
            check = next((each for name, each in self.variants.items() if call.arguments.get(name)), self)
            call.body = check.read(call.raw_body, deployment)

    def read(self, raw: bytes, deployment: str | None = None) -> Json:
        """The body; None where there is none and none is needed. Raises InvalidRequest.

        `deployment`: an Azure deployment's name from the path, which is the model whatever the body says.
        """
        if not raw:
            if self._is_required:
                raise InvalidRequest(f"The request needs a {self._needed} body.", code="missing_required_parameter")
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

    def of(self, operation_id: str) -> Parameters | None:
        """Those of the operation; None where it has none."""
        return self._by_operation.get(operation_id)

    def validate(self, scope: Scope) -> None:
        """Leaves the arguments in the call."""
        parameters = self.of(scope["extensions"][ROUTING_CONTEXT]["operation_id"])
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


def _lead_to_variants(served: list[Operation], bodies: dict[str, BodyCheck]) -> None:
    """Have what a query makes another operation (`/responses?beta=true`) checked as that, where its path leads."""
    by_path = {(operation.path, operation.method): operation.id for operation in served}
    for variant in served:
        path, _, query = variant.path.partition("?")
        of = by_path.get((path, variant.method)) if query else None
        if of in bodies and variant.id in bodies:
            bodies[of].variants[python_name(query.partition("=")[0])] = bodies[variant.id]


def _resolved(document: Json, operation: Operation) -> Operation:
    """The operation with its own references followed, those within schemas left."""
    fields = dict(operation.fields)
    fields["parameters"] = [resolve(document, each) for each in operation.parameters]
    if "requestBody" in fields:
        fields["requestBody"] = resolve(document, fields["requestBody"])
    return Operation(operation.path, operation.method, fields)


def _body_schemas(operation: Operation) -> dict[str, Json]:
    """Of the body, by media type."""
    content = operation.fields.get("requestBody", {}).get("content", {})
    return {kind: content[kind]["schema"] for kind in (JSON, FORM) if "schema" in content.get(kind, {})}


def _form_name(operation: Operation) -> str:
    return f"{operation.id} form"
