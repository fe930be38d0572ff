"""Unions in their shortest form: flat, without doubles, one enumeration per type, null last."""

from collections.abc import Iterable, Iterator

from llm_backend.contract.compile import CompileError
from llm_backend.errors import Json

NULL: Json = {"type": "null"}
KNOWN = "x-known-values"
"""The values that an open enumeration is known to take; others are passed on."""


def members(schema: Json) -> Iterator[Json]:
    """The branches of `schema`, with a list of types or an enumeration with null taken apart."""
    if set(schema) == {"anyOf"}:
        for branch in schema["anyOf"]:
            yield from members(branch)
    elif isinstance(schema.get("type"), list):
        for kind in schema["type"]:
            if kind == "null":
                yield NULL
                continue
            branch = {**schema, "type": kind}
            if "enum" in branch:
                branch["enum"] = [value for value in branch["enum"] if value is not None]
            yield branch
    else:
        yield schema


def is_enumeration(schema: Json, kind: str) -> bool:
    return bool(schema.get("type") == kind and "enum" in schema)


def absorb(branches: list[Json], kind: str) -> list[Json]:
    """One enumeration of `kind`, or its values as known ones of the open type beside it."""
    enumerations = [branch for branch in branches if is_enumeration(branch, kind)]
    if not enumerations:
        return branches
    values = list(dict.fromkeys(value for branch in enumerations for value in branch["enum"]))
    plain = [branch for branch in branches if branch.get("type") == kind and set(branch) <= {"type", KNOWN}]
    merged: Json = {"type": kind, "enum": values}
    if plain:
        merged = {"type": kind, KNOWN: list(dict.fromkeys([*plain[0].get(KNOWN, []), *values]))}
    dropped = [*enumerations, *plain]
    first = next(index for index, branch in enumerate(branches) if branch in dropped)
    rest = [branch for branch in branches if branch not in dropped]
    return [*rest[:first], merged, *rest[first:]]


def union(schemas: Iterable[Json]) -> Json:
    """What any of `schemas` allows. An empty schema among them allows everything."""
    branches: list[Json] = []
    for schema in schemas:
        branches += [branch for branch in members(schema) if branch not in branches]
    if not branches:
        raise CompileError("a union of nothing")
    if {} in branches:
        return {}
    is_nullable = NULL in branches
    branches = [branch for branch in branches if branch != NULL]
    for kind in ("string", "boolean", "integer"):
        branches = absorb(branches, kind)
    if any(branch.get("type") == "string" and set(branch) <= {"type", KNOWN} for branch in branches):
        branches = [branch for branch in branches if branch != {"type": "string", "format": "date-time"}]
    if not branches:
        return dict(NULL)
    schema = branches[0] if len(branches) == 1 else {"anyOf": branches}
    return nullable(schema) if is_nullable else schema


def nullable(schema: Json) -> Json:
    """`schema`, or null."""
    if not schema or NULL in members(schema):
        return schema
    if "anyOf" in schema and set(schema) == {"anyOf"}:
        return {"anyOf": [*schema["anyOf"], NULL]}
    if "type" not in schema:
        return {"anyOf": [schema, NULL]}
    widened = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        widened["enum"] = [*schema["enum"], None]
    return widened


def not_null(schema: Json) -> Json:
    """`schema` without null, for places that cannot express it."""
    branches = [branch for branch in members(schema) if branch != NULL]
    return branches[0] if len(branches) == 1 else {"anyOf": branches}
