"""What is particular about an operation that an upstream answers for its own objects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, urlencode

from llm_backend.domain.naming import Named, Naming
from llm_backend.errors import Json

Gives = Literal["json", "events", "binary", "nothing"]


@dataclass(frozen=True, slots=True)
class PathId:
    """A parameter of the path."""

    name: str
    argument: str
    """What it is called among the arguments."""
    kind: str | None
    """None where nobody records such objects: whoever owns what stands before it owns them."""


@dataclass(frozen=True, slots=True)
class QueryField:
    """A parameter of the query."""

    name: str
    """On the wire, with the brackets of an array."""
    argument: str
    kind: str | None = None
    """Of the object whose id it is."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One operation, as it is relayed."""

    operation: str
    method: str
    path: str
    """Below an upstream's base URL, with places: `/files/{file_id}`."""
    naming: Naming
    path_ids: tuple[PathId, ...] = ()
    query: tuple[QueryField, ...] = ()
    makes: Mapping[str, str] = field(default_factory=dict)
    """Places of its answer where ids of new objects stand, and of which kind they are."""
    lists: str | None = None
    """The kind of objects that it lists, where those of everybody are in one list."""
    gives: Gives = "json"
    forgets: bool = False
    """Whether the last object of its path is gone afterwards."""

    def url(self, arguments: Mapping[str, Any]) -> str:
        """The path, made of the arguments."""
        path = self.path
        for each in self.path_ids:
            path = path.replace(f"{{{each.name}}}", quote(str(arguments[each.argument]), safe=""))
        return path

    def encoded(self, arguments: Mapping[str, Any]) -> str:
        """The query, made of the arguments that it declares."""
        return urlencode([pair for each in self.query for pair in _pairs(each.name, arguments.get(each.argument))])

    def named(self, arguments: Mapping[str, Any], body: Json) -> Iterator[Named]:
        """Every object that a request names, that of the path first."""
        parent: str | None = None
        for each in self.path_ids:
            object_id = str(arguments[each.argument])
            if each.kind is not None:
                yield Named(each.name, each.kind, object_id, parent)
            parent = object_id
        for asked in self.query:
            if asked.kind is not None and arguments.get(asked.argument) is not None:
                yield Named(asked.name, asked.kind, str(arguments[asked.argument]))
        yield from self.naming.found(body)


def _pairs(name: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _pairs(name, each)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _pairs(f"{name}[{key}]", inner)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif value is not None:
        yield name, str(value)
