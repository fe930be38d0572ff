"""From type hints to JSON Schema: one component per class, a pure function of the type."""

import types
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from os import PathLike
from typing import IO, Annotated, Any, Literal, Union, get_args, get_origin

import typing_extensions
from openai._types import FileTypes, SequenceNotStr
from openai._utils import PropertyInfo
from pydantic import BaseModel

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.unions import nullable, union
from llm_backend.errors import Json

PRIMITIVES: dict[Any, Json] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    object: {},
    Any: {},
    dict: {"type": "object"},
    datetime: {"type": "string", "format": "date-time"},
    bytes: {"type": "string", "format": "binary"},
    PathLike: {"type": "string", "format": "binary"},
    IO[bytes]: {"type": "string", "format": "binary"},
}
JSON_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer"}
LISTS = {list, Iterable, Sequence, SequenceNotStr}
MAPPINGS = {dict, Mapping}
FILE_MEMBERS = frozenset(get_args(FileTypes))
"""What the package takes for a file; on the wire each is one part of a form."""


def is_typed_dict(hint: Any) -> bool:
    return typing_extensions.is_typeddict(hint)


def is_component(hint: Any) -> bool:
    return is_typed_dict(hint) or (isinstance(hint, type) and get_origin(hint) is None and issubclass(hint, BaseModel))


def component_name(kind: type) -> str:
    """From module and class, never from the set of classes, so that an upgrade renames nothing."""
    *folders, module = kind.__module__.removeprefix("openai.").removeprefix("types.").split(".")
    if module.replace("_", "") != kind.__name__.lower():
        folders.append(module)
    return ".".join([*folders, kind.__name__])


def literal(values: tuple[Any, ...]) -> Json:
    kinds = {JSON_TYPES.get(type(value)) for value in values}
    if len(kinds) != 1 or None in kinds:
        raise CompileError(f"a Literal of unknown or mixed kinds: {values!r}")
    return {"type": kinds.pop(), "enum": list(values)}


@cache
def dictionary_hints(kind: type) -> dict[str, Any]:
    return typing_extensions.get_type_hints(kind, include_extras=True)


def is_required(hint: Any) -> bool:
    """Every dictionary of the package is `total=False`, so that only `Required` makes a key required."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return get_origin(hint) is typing_extensions.Required


def wire_name(key: str, hint: Any) -> str:
    """The name on the wire: the key, unless an annotation names another (`async_` is `async`)."""
    if get_origin(hint) is typing_extensions.Required:
        hint = get_args(hint)[0]
    if get_origin(hint) is Annotated:
        for note in get_args(hint)[1:]:
            if isinstance(note, PropertyInfo) and note.alias:
                return note.alias
    return key


class Walker:
    """Writes the schemas of one side, `request` or `answer`; what a request leaves out may also be null."""

    def __init__(self, side: Literal["request", "answer"]) -> None:
        self.side = side
        self.components: dict[str, Json] = {}
        self.owners: dict[str, type] = {}

    def schema(self, hint: Any) -> Json:
        """The schema of any hint. Raises CompileError on a hint of unknown kind."""
        if hint in PRIMITIVES:
            return dict(PRIMITIVES[hint])
        if is_component(hint):
            return self.reference(hint)
        if isinstance(hint, typing_extensions.TypeAliasType):
            return self.schema(hint.__value__)
        return self.generic(hint, get_origin(hint), get_args(hint))

    def generic(self, hint: Any, origin: Any, arguments: tuple[Any, ...]) -> Json:
        if origin in (Literal, typing_extensions.Literal):
            return literal(arguments)
        if origin is typing_extensions.Required:
            return self.schema(arguments[0])
        if origin is Annotated:
            return self.annotated(arguments[0], arguments[1:])
        if origin in (Union, types.UnionType):
            return self.union(arguments)
        if origin in LISTS:
            return {"type": "array", "items": self.schema(arguments[0])}
        if origin in MAPPINGS and arguments[0] is str:
            return {"type": "object", "additionalProperties": self.schema(arguments[1])}
        raise CompileError(f"a type hint of unknown kind: {hint!r}")

    def annotated(self, hint: Any, notes: tuple[Any, ...]) -> Json:
        if any(isinstance(note, PropertyInfo) and note.format == "base64" for note in notes):
            return {"type": "string"}
        return self.schema(hint)

    def union(self, members: tuple[Any, ...]) -> Json:
        if FILE_MEMBERS.issubset(members):
            rest = [self.schema(member) for member in members if member not in FILE_MEMBERS]
            return union([{"type": "string", "format": "binary"}, *rest])
        return union([self.schema(member) for member in members])

    def reference(self, kind: type) -> Json:
        name = f"{self.side}.{component_name(kind)}"
        if self.owners.setdefault(name, kind) is not kind:
            raise CompileError(f"two classes would be the component {name}")
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = self.dictionary(kind) if is_typed_dict(kind) else self.model(kind)
        return {"$ref": f"#/components/schemas/{name}"}

    def dictionary(self, kind: type, keys: Iterable[str] | None = None) -> Json:
        """A typed dictionary as an open object; with `keys`, only those."""
        properties, required = {}, []
        for key, hint in dictionary_hints(kind).items():
            if keys is not None and key not in keys:
                continue
            name, schema = wire_name(key, hint), self.schema(hint)
            if is_required(hint):
                required.append(name)
            elif self.side == "request":
                schema = nullable(schema)
            properties[name] = schema
        return open_object(properties, required)

    def model(self, kind: Any) -> Json:
        properties, required = {}, []
        for key, field in kind.model_fields.items():
            name = field.alias or key
            properties[name] = self.annotated(field.annotation, tuple(field.metadata))
            if field.is_required():
                required.append(name)
        return open_object(properties, required)


def open_object(properties: dict[str, Json], required: list[str]) -> Json:
    """An object that may hold more than these properties."""
    schema: Json = {"type": "object", "properties": properties}
    if required:
        schema["required"] = sorted(required)
    return schema
