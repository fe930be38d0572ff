"""Queries and paths: from text to typed values, under Python names."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from urllib.parse import parse_qsl

from llm_backend.contract.descent import find_fault
from llm_backend.contract.operations import Operation, python_name
from llm_backend.contract.schemas import Schemas, below
from llm_backend.contract.unions import Branch, branches
from llm_backend.errors import InvalidRequest, Json, ModelNotFound, NotFound

QUERY_FIELDS = 1_000
"""More fields in one query are refused before any is looked at."""

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of one operation."""

    name: str
    """On the wire, without the brackets of an array."""
    argument: str
    """What a handler calls it."""
    pointer: str
    """Where its schema stands."""
    is_required: bool
    is_split: bool
    """An array in one value, between commas."""

    def read(self, schemas: Schemas, texts: list[str], *, is_list: bool = False) -> Json:
        """The typed value of what was sent under the name, a list where it came as one. Raises InvalidRequest.

        Of several values for what is no list the last one counts.
        """
        if self.is_split:
            texts = [part for text in texts for part in text.split(",")]
        branches = alternatives(schemas, self.pointer)
        if is_list or len(texts) > 1:
            branches = [branch for branch in branches if "array" in branch.types] or branches
        return self._valid(schemas, [_reading(schemas, branch, texts) for branch in branches])

    def read_fields(self, schemas: Schemas, fields: Mapping[str, str]) -> Json:
        """The object of what was sent as `name[key]`. Raises InvalidRequest."""
        return self._valid(
            schemas,
            [
                {key: _field(schemas, branch, key, text) for key, text in fields.items()}
                for branch in alternatives(schemas, self.pointer)
                if "object" in branch.types
            ],
        )

    def _valid(self, schemas: Schemas, readings: list[Json]) -> Json:
        for reading in readings:
            if schemas.is_valid(self.pointer, reading):
                return reading
        raise find_fault(schemas, self.pointer, readings[0], (self.name,)).error()


class Parameters:
    """Those of one operation. Whatever else a query holds is let pass, as OpenAI does."""

    def __init__(self, operation: Operation, schemas: Schemas) -> None:
        self._schemas = schemas
        self._in_path = [_parameter(operation, each) for each in operation.parameters if each["in"] == "path"]
        self._in_query = [_parameter(operation, each) for each in operation.parameters if each["in"] == "query"]
        for parameter in self._in_path + self._in_query if operation.is_served else ():
            schemas.check(parameter.pointer)

    def read(self, path: Mapping[str, str], query: bytes) -> dict[str, Json]:
        """The arguments by their Python names; one that was not sent is absent.

        Raises NotFound for a path that names nothing there can be, and InvalidRequest for a query.
        """
        arguments = {}
        for parameter in self._in_path:
            try:
                arguments[parameter.argument] = parameter.read(self._schemas, [path[parameter.name.replace("-", "_")]])
            except InvalidRequest:
                absent = ModelNotFound if parameter.name == "model" else NotFound
                raise absent.of(parameter.name) from None
        if self._in_query:
            arguments |= self._read_query(_fields(query))
        return arguments

    def _read_query(self, fields: dict[str, list[str]]) -> dict[str, Json]:
        arguments = {}
        for parameter in self._in_query:
            listed = fields.get(f"{parameter.name}[]", [])
            texts = fields.get(parameter.name, []) + listed
            within = _within(fields, parameter.name)
            if texts:
                arguments[parameter.argument] = parameter.read(self._schemas, texts, is_list=bool(listed))
            elif within:
                arguments[parameter.argument] = parameter.read_fields(self._schemas, within)
            elif parameter.is_required:
                message = f"'{parameter.name}' is required."
                raise InvalidRequest(message, param=parameter.name, code="missing_required_parameter")
        return arguments


def parameter_schemas(operation: Operation) -> dict[str, Json]:
    """The schemas of an operation's paths and queries, under the names by which `Parameters` looks for them."""
    return {
        _schema_name(operation, each): each["schema"]
        for each in operation.parameters
        if each["in"] in ("path", "query")
    }


def _parameter(operation: Operation, declared: Json) -> Parameter:
    name = declared["name"].removesuffix("[]")
    return Parameter(
        name=name,
        argument=python_name(name),
        pointer=below("/named", _schema_name(operation, declared)),
        is_required=declared.get("required", False),
        is_split=declared["in"] == "query" and declared.get("explode") is False,
    )


def _schema_name(operation: Operation, declared: Json) -> str:
    return f"{operation.id} {declared['in']} {declared['name']}"


def _fields(query: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS)
    except ValueError:
        raise InvalidRequest("The query is not one that can be read: too many fields, or no UTF-8.") from None
    fields: dict[str, list[str]] = {}
    for name, text in pairs:
        fields.setdefault(name, []).append(text)
    return fields


def _within(fields: dict[str, list[str]], name: str) -> dict[str, str]:
    """What was sent as `name[key]`, by key; of two with one key the last."""
    start = f"{name}["
    return {
        field[len(start) : -1]: texts[-1]
        for field, texts in fields.items()
        if field.startswith(start) and field.endswith("]") and field != f"{name}[]"
    }


def alternatives(schemas: Schemas, pointer: str) -> list[Branch]:
    """What a value at `pointer` may be; nothing where it may not be there."""
    pointer, schema = schemas.at(pointer)
    if not isinstance(schema, dict):
        return []
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return branches(schemas, pointer, keyword)
    return [Branch(pointer, schema)]


def _reading(schemas: Schemas, branch: Branch, texts: list[str]) -> Json:
    if "array" not in branch.types:
        return _scalar(branch.types, texts[-1])
    items = below(branch.pointer, "items")
    types = list(_types(schemas, items)) if "items" in branch.schema else []
    return [_scalar(types, text) for text in texts]


def _field(schemas: Schemas, branch: Branch, key: str, text: str) -> Json:
    if key in branch.schema.get("properties", {}):
        return _scalar(list(_types(schemas, below(branch.pointer, "properties", key))), text)
    if isinstance(branch.schema.get("additionalProperties"), dict):
        return _scalar(list(_types(schemas, below(branch.pointer, "additionalProperties"))), text)
    return text


def _types(schemas: Schemas, pointer: str) -> Iterator[str]:
    for branch in alternatives(schemas, pointer):
        yield from branch.types


def _scalar(types: list[str], text: str) -> Json:
    """The text as the first of `types` that it can be; itself where it can be none."""
    if "integer" in types and _INTEGER.fullmatch(text):
        return int(text)
    if "number" in types and _NUMBER.fullmatch(text) and isfinite(float(text)):
        return float(text)
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    return text
