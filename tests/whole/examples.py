"""The smallest values that a schema takes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from llm_backend.contract.documents import resolve
from llm_backend.contract.operations import Operation
from llm_backend.errors import Json

FORM = "multipart/form-data"


def example(document: Json, schema: Json, own: Mapping[str, str], name: str = "") -> Any:
    """A value that the schema takes, with what is required and nothing else.

    `own`: ids, by the names of the properties that hold one. `name`: of the property that it is for.
    """
    schema = resolve(document, schema)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return example(document, schema[keyword][0], own, name)
    named = schema.get("type", "object")
    kind = named if isinstance(named, str) else named[0]
    if kind == "object":
        properties = schema.get("properties", {})
        value = {each: example(document, properties[each], own, each) for each in schema.get("required", ())}
        return value | ({"id": own[name]} if "id" in value and name in own else {})
    if kind == "array":
        return [example(document, schema["items"], own, name)] * schema.get("minItems", 0)
    return {
        "string": own.get(name, "x"),
        "integer": schema.get("minimum", 1),
        "number": 1.0,
        "boolean": False,
        "null": None,
    }[kind]


def body_of(document: Json, operation: Operation, own: Mapping[str, str] = MappingProxyType({})) -> Json:
    """The smallest JSON body that the operation takes; None where it takes none."""
    content = resolve(document, operation.fields.get("requestBody", {})).get("content", {})
    return example(document, content["application/json"]["schema"], own) if "application/json" in content else None


def form_of(document: Json, operation: Operation, own: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The smallest form that the operation takes: its text fields, and the names of its files."""
    schema = resolve(document, resolve(document, operation.fields["requestBody"])["content"][FORM]["schema"])
    files = [name for name, inner in schema["properties"].items() if _is_file(document, inner)]
    required = schema.get("required", ())
    texts = {
        name: str(example(document, schema["properties"][name], own, name)) for name in required if name not in files
    }
    return texts, [name for name in files if name in required or not required]


def _is_file(document: Json, schema: Json) -> bool:
    schema = resolve(document, schema) if isinstance(schema, dict) else {}
    inner = [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])]
    return schema.get("format") == "binary" or any(_is_file(document, each) for each in inner)
