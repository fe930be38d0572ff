"""What a model's configuration gives requests, held against what requests may say."""

from collections.abc import Mapping

from llm_backend.contract.descent import find_fault
from llm_backend.contract.documents import resolve
from llm_backend.contract.errors import ContractError
from llm_backend.contract.operations import operations
from llm_backend.contract.schemas import Schemas, below
from llm_backend.edge.media import JSON
from llm_backend.errors import Json


def refuse_wrong_defaults(document: Json, models: Mapping[str, Mapping[str, Json]]) -> None:
    """Raises ContractError where a field's default is one that none of the operations with such a field takes.

    What a field that no operation has may be is known to the upstream alone.
    """
    named = _bodies(document)
    schemas = Schemas(named, document["components"]["schemas"])
    for model, defaults in models.items():
        for name, value in defaults.items():
            places = [place for operation in named if (place := _place(schemas, operation, name))]
            if places and not any(schemas.is_valid(place, value) for place in places):
                fault = find_fault(schemas, places[0], value, (name,))
                raise ContractError(f'models."{model}".defaults: {fault.error()}')


def _bodies(document: Json) -> dict[str, Json]:
    """The schemas of JSON that a model is asked with, by the operation's id."""
    found: dict[str, Json] = {}
    for operation in operations(document):
        content = resolve(document, operation.fields.get("requestBody", {})).get("content", {})
        if operation.is_served and "schema" in content.get(JSON, {}):
            found[operation.id] = content[JSON]["schema"]
    return {
        name: schema for name, schema in found.items() if "model" in resolve(document, schema).get("properties", {})
    }


def _place(schemas: Schemas, operation: str, field: str) -> str | None:
    """Where the field of the operation's body is described; None where it has none that may be said."""
    pointer, schema = schemas.at(below("/named", operation))
    known = schema.get("properties", {}).get(field, False)
    return below(pointer, "properties", field) if known is not False else None
