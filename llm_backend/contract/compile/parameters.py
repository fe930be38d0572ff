"""Path, query and header parameters, as the package writes them on the wire."""

import re

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.unions import KNOWN, members, not_null
from llm_backend.errors import Json

ID: Json = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}


def path_parameters(path: str, exceptions: dict[str, Json]) -> list[Json]:
    """One per `{name}`, an object's id unless the overlay says otherwise."""
    return [
        {"in": "path", "name": name, "required": True, "schema": exceptions.get(name, ID)}
        for name in re.findall(r"\{([^}]*)\}", path)
    ]


def header_parameter(name: str) -> Json:
    return {"in": "header", "name": name, "required": False, "schema": {"type": "string"}}


def query_parameter(name: str, schema: Json, *, required: bool, components: dict[str, Json]) -> list[Json]:
    """Arrays are `name[]`, objects `name[key]`; one that is either a value or a list is two parameters."""
    branches = [resolved(branch, components) for branch in members(not_null(schema))]
    arrays = [branch for branch in branches if branch.get("type") == "array"]
    objects = [branch for branch in branches if branch.get("type") == "object"]
    values = [branch for branch in branches if branch not in arrays and branch not in objects]
    if len(arrays) > 1 or len(objects) > 1 or (arrays and objects):
        raise CompileError(f"the query parameter {name} has a shape that no query can carry")
    alone = len(branches) == len(arrays) + len(objects)
    found = [parameter(f"{name}[]", one, required=required and alone, style="form") for one in arrays]
    for one in objects:
        found += [parameter(name, inlined(one, components), required=required and alone, style="deepObject")]
    if values:
        value = values[0] if len(values) == 1 else {"anyOf": values}
        found.append(parameter(name, value, required=required and not arrays and not objects))
    return found


def parameter(name: str, schema: Json, *, required: bool, style: str | None = None) -> Json:
    found: Json = {"in": "query", "name": name, "required": required, "schema": schema}
    return {**found, "style": style, "explode": True} if style else found


def resolved(schema: Json, components: dict[str, Json]) -> Json:
    while "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    return schema


def inlined(schema: Json, components: dict[str, Json]) -> Json:
    """An object of plain values, without references and nulls: more does not fit into a query."""
    properties = {}
    for name, one in schema.get("properties", {}).items():
        value = not_null(one)
        if not set(value) <= {"type", "enum", "format", KNOWN}:
            raise CompileError(f"{name} in a query object is no plain value: {resolved(value, components)}")
        properties[name] = value
    return {**schema, "properties": properties} if properties else schema
