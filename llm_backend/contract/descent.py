"""Where in a body the error is.

The schema language says whether a value is valid, not what its sender meant. This goes down the schema beside the
value, asks `is_valid` of the parts, and takes of each union the branch that the value was most likely meant to be.
Listing every error first, as validators do, costs up to a second on a hostile body; this asks few questions.
"""

from llm_backend.contract.faults import Fault, Path, missing, not_among, out_of_bounds, types_of, unknown, wrong_type
from llm_backend.contract.schemas import Schemas, below
from llm_backend.contract.unions import branches, choose, first_invalid, literals_of, of_type
from llm_backend.errors import Json


def find_fault(schemas: Schemas, pointer: str, value: Json, path: Path = ()) -> Fault:
    """The first fault of `value`, which is not valid at `pointer`."""
    pointer, schema = schemas.at(pointer)
    if schema is False:
        return unknown(path)
    if types_of(schema) and not of_type(value, types_of(schema)):
        return wrong_type(path, types_of(schema), value)
    literals = literals_of(schema)
    if literals is not None and value not in literals:
        return not_among(path, literals)
    return (
        _in_conjunction(schemas, pointer, schema, value, path)
        or _in_union(schemas, pointer, schema, value, path)
        or out_of_bounds(path, schema, value)
        or _in_object(schemas, pointer, schema, value, path)
        or _in_array(schemas, pointer, schema, value, path)
        or Fault(path, "invalid_value", "has a value that is not allowed here")
    )


def _in_conjunction(schemas: Schemas, pointer: str, schema: Json, value: Json, path: Path) -> Fault | None:
    parts = [below(pointer, "allOf", index) for index in range(len(schema.get("allOf", [])))]
    if "$ref" in schema:
        parts.append(schema["$ref"].removeprefix("#"))
    for part in parts:
        if not schemas.is_valid(part, value):
            return find_fault(schemas, part, value, path)
    return None


def _in_union(schemas: Schemas, pointer: str, schema: Json, value: Json, path: Path) -> Fault | None:
    for keyword in ("anyOf", "oneOf"):
        if keyword not in schema:
            continue
        if any(schemas.is_valid(below(pointer, keyword, index), value) for index in range(len(schema[keyword]))):
            continue
        chosen = choose(schemas, branches(schemas, pointer, keyword), value, path)
        return chosen if isinstance(chosen, Fault) else find_fault(schemas, chosen.pointer, value, path)
    return None


def _in_object(schemas: Schemas, pointer: str, schema: Json, value: Json, path: Path) -> Fault | None:
    if not isinstance(value, dict):
        return None
    for key in schema.get("required", []):
        if key not in value:
            return missing((*path, key))
    known = schema.get("properties", {})
    for key in known:
        if key in value:
            place = below(pointer, "properties", key)
            if not schemas.is_valid(place, value[key]):
                return find_fault(schemas, place, value[key], (*path, key))
    return _in_keys(schemas, pointer, schema, value, path) or _in_others(schemas, pointer, schema, value, path)


def _in_keys(schemas: Schemas, pointer: str, schema: Json, value: Json, path: Path) -> Fault | None:
    if "propertyNames" not in schema:
        return None
    place, keys = below(pointer, "propertyNames"), list(value)
    index = first_invalid(schemas, place, keys)
    if index is None:
        return None
    fault = find_fault(schemas, place, keys[index], path)
    return Fault(path, fault.code, f"has a key that {fault.expected}")


def _in_others(schemas: Schemas, pointer: str, schema: Json, value: Json, path: Path) -> Fault | None:
    """The keys that `properties` does not name."""
    if "additionalProperties" not in schema:
        return None
    place = below(pointer, "additionalProperties")
    keys = [key for key in value if key not in schema.get("properties", {})]
    index = first_invalid(schemas, place, [value[key] for key in keys])
    return None if index is None else find_fault(schemas, place, value[keys[index]], (*path, keys[index]))


def _in_array(schemas: Schemas, pointer: str, schema: Json, value: Json, path: Path) -> Fault | None:
    if not isinstance(value, list):
        return None
    fixed = min(len(schema.get("prefixItems", [])), len(value))
    for index in range(fixed):
        place = below(pointer, "prefixItems", index)
        if not schemas.is_valid(place, value[index]):
            return find_fault(schemas, place, value[index], (*path, index))
    if "items" not in schema:
        return None
    place = below(pointer, "items")
    bad = first_invalid(schemas, place, value[fixed:])
    return None if bad is None else find_fault(schemas, place, value[fixed + bad], (*path, fixed + bad))
