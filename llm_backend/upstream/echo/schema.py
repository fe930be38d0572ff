"""An instance of a JSON schema, always the same one."""

from collections.abc import Mapping
from math import floor
from typing import Final

import jsonschema_rs

from llm_backend.errors import Json
from llm_backend.upstream.echo.script import Refusal

_FORMATS: Final[Mapping[str, str]] = {
    "date": "2025-01-01",
    "date-time": "2025-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "echo@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_BOUNDS: Final = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_INTEGERS_END: Final = 2**63
"""Larger integers are not written."""
_NUMERIC: Final = frozenset({*_BOUNDS, "type", "multipleOf"})
_MOST_PARTS: Final = 2_000
"""No instance has more values: a schema that refers to itself in many places grows fast."""
_DEEP = 4
"""From this depth on, only what is required is made, so that recursive schemas come to an end."""
_TOO_DEEP = 48
_MOST = 10_000
"""No string or array is made longer, whatever its schema asks."""


class Maker:
    """Makes instances of one schema; strings say `text` where the schema lets them."""

    def __init__(self, schema: Json, text: str) -> None:
        self._root = schema
        self._text = text or "echo"
        self._left = _MOST_PARTS

    def make(self) -> Json:
        """The instance, which satisfies the schema. Raises Refusal where the schema is none, or asks too much."""
        try:
            validator = jsonschema_rs.Draft202012Validator(self._root, retriever=_not_retrieved)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
            raise _refused("The schema is not valid.") from None
        try:
            made = self._any(self._root, 0)
        except (AttributeError, TypeError, ValueError):
            # A reference may lead to what is no schema, where no validator has looked.
            raise _refused("The schema is not valid.") from None
        if not validator.is_valid(made):
            raise _refused("The echo model cannot make an instance of this schema.")
        return made

    def _any(self, schema: Json, depth: int) -> Json:
        self._left -= 1
        if depth > _TOO_DEEP or self._left < 0:
            raise _refused("The schema asks for too much, or refers to itself without an end.")
        if schema is True or schema == {}:
            return self._text
        if not isinstance(schema, dict):
            raise _refused("A schema is an object.")
        for name, value in (("const", schema.get("const")), ("default", schema.get("default"))):
            if name in schema:
                return value
        if options := schema.get("enum"):
            return options[0]
        return self._composed(schema, depth)

    def _composed(self, schema: Mapping[str, Json], depth: int) -> Json:
        if "$ref" in schema:
            return self._any(self._found(str(schema["$ref"])), depth + 1)
        if branches := schema.get("anyOf") or schema.get("oneOf"):
            return self._any(_branch(branches, depth), depth + 1)
        if parts := schema.get("allOf"):
            return self._any(self._merged(schema, parts), depth + 1)
        return self._typed(schema, depth)

    def _typed(self, schema: Mapping[str, Json], depth: int) -> Json:
        made: Json = None
        match _kind(schema):
            case "object":
                made = self._object(schema, depth)
            case "array":
                made = self._array(schema, depth)
            case "integer" | "number":
                made = _number(schema)
            case "boolean":
                made = True
            case "string":
                made = self._string(schema)
        return made

    def _object(self, schema: Mapping[str, Json], depth: int) -> Json:
        required = schema.get("required") or []
        properties: Mapping[str, Json] = schema.get("properties") or {}
        wanted = [name for name in properties if name in required or depth < _DEEP]
        made = {name: self._any(properties[name], depth + 1) for name in wanted}
        return made | {name: self._text for name in required if name not in properties}

    def _array(self, schema: Mapping[str, Json], depth: int) -> Json:
        least = schema.get("minItems", 0 if depth >= _DEEP else 1)
        length = int(min(max(least, len(schema.get("prefixItems") or [])), schema.get("maxItems", _MOST), _MOST))
        kinds = [*(schema.get("prefixItems") or []), *([schema.get("items", {})] * length)][:length]
        return [self._any(kind, depth + 1) for kind in kinds]

    def _string(self, schema: Mapping[str, Json]) -> str:
        text = _FORMATS.get(str(schema.get("format")), self._text)
        longest = int(min(schema.get("maxLength", _MOST), _MOST))
        return text[:longest].ljust(int(min(schema.get("minLength", 0), longest)), ".")

    def _found(self, reference: str) -> Json:
        """What a reference inside this document names: a pointer, for anchors and ids are not followed."""
        here = self._root if reference.startswith("#") else None
        for step in reference.removeprefix("#").strip("/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(here, dict) or (name and name not in here):
                raise _refused("A schema refers to a definition that is not found.")
            here = here[name] if name else here
        return here

    def _merged(self, schema: Mapping[str, Json], parts: list[Json]) -> Json:
        whole: dict[str, Json] = {key: value for key, value in schema.items() if key != "allOf"}
        for part in (part for part in parts if isinstance(part, dict)):
            resolved = self._found(str(part["$ref"])) if "$ref" in part else part
            properties = {**whole.get("properties", {}), **resolved.get("properties", {})}
            required = [*whole.get("required", []), *resolved.get("required", [])]
            whole |= resolved | {"properties": properties, "required": required} if properties else resolved
        return whole


def _not_retrieved(_uri: str) -> Json:
    raise ValueError("A schema refers to its own document only.")


def _kind(schema: Mapping[str, Json]) -> Json:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((name for name in kind if name != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "array" if "items" in schema else "string"
    return kind


def _branch(branches: list[Json], depth: int) -> Json:
    """The first branch; from a depth on the one that ends soonest, `null` before all."""
    if depth < _DEEP:
        return branches[0]
    simple = [branch for branch in branches if isinstance(branch, dict) and not branch.keys() & {"$ref", "properties"}]
    nulls = [branch for branch in simple if branch.get("type") == "null"]
    return [*nulls, *simple, *branches][0]


def _number(schema: Mapping[str, Json]) -> Json:
    """The first number near 0 or near a bound that satisfies the schema; 0 where none does."""
    bounds = [schema[name] for name in _BOUNDS if name in schema]
    unit = schema.get("multipleOf") or 1
    candidates = [0, schema.get("minimum", 0)]
    for bound in bounds:
        below = floor(bound / unit) * unit
        candidates += [below, below + unit, below - unit]
    candidates += [*bounds, sum(bounds) / 2]
    validator = jsonschema_rs.Draft202012Validator({name: schema[name] for name in schema.keys() & _NUMERIC})
    written = (number for number in candidates if isinstance(number, float) or abs(number) < _INTEGERS_END)
    return next((number for number in written if validator.is_valid(number)), 0)


def _refused(message: str) -> Refusal:
    return Refusal(message, param="response_format", code="invalid_value")
