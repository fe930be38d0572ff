"""Where a request names objects that an upstream keeps."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from llm_backend.errors import Json

OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What an object's id is made of: it goes into paths and statements."""


@dataclass(frozen=True, slots=True)
class Named:
    """One object as a request names it."""

    param: str
    """Where it stands: `tools[0].vector_store_ids[1]`."""
    kind: str
    """The path of its collection with dots, without ids: `vector_stores.file_batches`."""
    object_id: str
    parent_id: str | None = None
    """The object below whose path it stands."""


@dataclass(frozen=True, slots=True)
class Naming:
    """By what requests name the upstream's objects, wherever it stands: from a name to the kind of object."""

    ids: Mapping[str, str] = field(default_factory=dict)
    """Properties that hold an id, a list of ids, or an object with an `id`."""
    holders: Mapping[str, str] = field(default_factory=dict)
    """Properties that hold an object with an `id`; a text there is no id."""
    types: Mapping[str, str] = field(default_factory=dict)
    """What the `type` of an object is whose `id` names something."""
    opaque: frozenset[str] = frozenset()
    """Properties that are the caller's own words: nothing in them is looked up by anyone."""

    def found(self, value: Json, place: str = "") -> Iterator[Named]:
        """Every object that a body names."""
        if isinstance(value, list):
            for index, each in enumerate(value):
                yield from self.found(each, f"{place}[{index}]")
        elif isinstance(value, dict):
            kind = self.types.get(value["type"]) if isinstance(value.get("type"), str) else None
            if kind is not None and value.get("id") is not None:
                yield Named(_below(place, "id"), kind, str(value["id"]))
            for name, inner in value.items():
                if name not in self.opaque:
                    yield from self._of_property(name, inner, _below(place, name))

    def _of_property(self, name: str, value: Json, place: str) -> Iterator[Named]:
        if isinstance(value, dict | list):
            yield from self.found(value, place)
        kind = self.ids.get(name) or self.holders.get(name)
        if kind is None or value is None:
            return
        if isinstance(value, dict):
            if value.get("id") is not None:
                yield Named(_below(place, "id"), kind, str(value["id"]))
        elif isinstance(value, list):
            ids = ((index, each) for index, each in enumerate(value) if isinstance(each, str | int))
            yield from (Named(f"{place}[{index}]", kind, str(each)) for index, each in ids if name in self.ids)
        elif name in self.ids:
            yield Named(place, kind, str(value))


class Look:
    """Tells much faster than `Naming.found` that a body names nothing, as nearly all do: it looks at names only."""

    def __init__(self, naming: Naming) -> None:
        self._names = frozenset({*naming.ids, *naming.holders})
        self._holders = naming.holders
        self._types = frozenset(naming.types)

    def sees(self, body: Json) -> bool:
        """Whether anything may be named in it."""
        left = [body]
        while left:
            value = left.pop()
            if isinstance(value, dict):
                if self._is_seen_in(value):
                    return True
                value = value.values()
            elif not isinstance(value, list):
                continue
            left += [each for each in value if type(each) is dict or type(each) is list]
        return False

    def _is_seen_in(self, value: dict[str, Json]) -> bool:
        kind = value.get("type")
        if isinstance(kind, str) and kind in self._types:
            return True
        if self._names.isdisjoint(value):
            return False
        # A text under the name of a holder is no id.
        return any(name not in self._holders or isinstance(value[name], dict) for name in self._names & value.keys())


def made(answer: Json, places: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The kind and id of each object that an answer tells of, at places such as `output[].container_id`."""
    for place, kind in places.items():
        for value in _at(answer, place.split(".")):
            if isinstance(value, str) and OBJECT_ID.fullmatch(value):
                yield kind, value


def _at(value: Json, parts: list[str]) -> Iterator[Json]:
    if not parts:
        yield value
        return
    name, listed = parts[0].removesuffix("[]"), parts[0].endswith("[]")
    inner = value.get(name) if isinstance(value, dict) else None
    for each in inner if listed and isinstance(inner, list) else [] if listed else [inner]:
        yield from _at(each, parts[1:])


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
