"""Which branch of a union a value was meant to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from llm_backend.contract.faults import Fault, Path, json_type, missing, not_among, types_of, wrong_type
from llm_backend.contract.schemas import Schemas, below
from llm_backend.errors import Json

_FIRST = ("type", "role")
"""The fields by which OpenAI tells variants apart, before any other that would do."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One alternative of a union that is no union itself."""

    pointer: str
    schema: Json

    @property
    def literals(self) -> list[Json] | None:
        """The values it allows, where it lists them."""
        return literals_of(self.schema)

    @property
    def types(self) -> list[str]:
        """The JSON types it allows; empty for any."""
        return types_of(self.schema) or [json_type(each) for each in self.literals or []]

    @property
    def properties(self) -> Mapping[str, Json]:
        """The fields that it knows."""
        return cast("Mapping[str, Json]", self.schema.get("properties", {}))

    @property
    def required(self) -> frozenset[str]:
        return frozenset(self.schema.get("required", []))

    def fits(self, value: Json) -> bool:
        """Whether the value's type is one of its own."""
        return not self.types or of_type(value, self.types)


def of_type(value: Json, types: Sequence[str]) -> bool:
    found = json_type(value)
    return found in types or (found == "integer" and "number" in types)


def literals_of(schema: Json) -> list[Json] | None:
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return [schema["const"]]
    listed: list[Json] | None = schema.get("enum")
    return listed


def branches(schemas: Schemas, pointer: str, keyword: str) -> list[Branch]:
    """The alternatives under `keyword`, unions within unions opened."""
    found: list[Branch] = []
    for index in range(len(schemas.at(pointer)[1][keyword])):
        place, schema = schemas.at(below(pointer, keyword, index))
        nested = next((word for word in ("anyOf", "oneOf") if isinstance(schema, dict) and word in schema), None)
        if nested and not schema.keys() & {"type", "properties"}:
            found += branches(schemas, place, nested)
        elif isinstance(schema, dict):
            found.append(Branch(place, schema))
    return found


def choose(schemas: Schemas, found: Sequence[Branch], value: Json, path: Path) -> Branch | Fault:
    """The branch that `value` comes nearest to; the fault itself where no branch is nearer than another."""
    fitting = [branch for branch in found if branch.fits(value)]
    if not fitting:
        return wrong_type(path, [name for branch in found for name in branch.types], value)
    if isinstance(value, dict):
        return _closest_object(schemas, fitting, value, path)
    if isinstance(value, list):
        return max(fitting, key=lambda branch: _agreement(schemas, branch, value))
    bounded = [branch for branch in fitting if branch.literals is None]
    if bounded:
        return bounded[0]
    return not_among(path, [literal for branch in fitting for literal in branch.literals or []])


def first_invalid(schemas: Schemas, pointer: str, values: list[Json]) -> int | None:
    """The index of the first value that is not what stands at `pointer`.

    Halves what is left, so that ten thousand values take some fourteen questions and twice the work of one pass.
    """
    if schemas.are_valid(pointer, values):
        return None
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        if schemas.are_valid(pointer, values[low:middle]):
            low = middle
        else:
            high = middle
    return low


def _agreement(schemas: Schemas, branch: Branch, value: list[Json]) -> tuple[int, bool]:
    """How far into the list a branch agrees, and whether it at least expects the type of what comes then."""
    if "items" not in branch.schema:
        return 0, False
    items = below(branch.pointer, "items")
    index = first_invalid(schemas, items, value)
    if index is None:
        return len(value), True
    place, schema = schemas.at(items)
    return index, Branch(place, schema).fits(value[index])


def _closest_object(schemas: Schemas, fitting: list[Branch], value: Json, path: Path) -> Branch | Fault:
    candidates, absent = fitting, []
    for key in _telling_fields(schemas, fitting):
        if key not in value:
            absent.append(key)
            continue
        decided = _by_field(schemas, candidates, key, value, path)
        if isinstance(decided, Fault):
            return decided
        candidates = decided
    closest = min(candidates, key=lambda branch: _distance(branch, value))
    wanting = [key for key in absent if key in closest.required]
    return missing((*path, wanting[0])) if wanting else closest


def _telling_fields(schemas: Schemas, fitting: list[Branch]) -> list[str]:
    """The fields whose literals differ from branch to branch, those of OpenAI first."""
    allowed: dict[str, list[list[Json]]] = {}
    for branch in fitting:
        for key in branch.properties:
            literals = _field_literals(schemas, branch, key)
            if literals is not None:
                allowed.setdefault(key, []).append(literals)
    telling = [key for key, lists in allowed.items() if any(each != lists[0] for each in lists)]
    return sorted(telling, key=lambda key: _FIRST.index(key) if key in _FIRST else len(_FIRST))


def _field_literals(schemas: Schemas, branch: Branch, key: str) -> list[Json] | None:
    return literals_of(schemas.at(below(branch.pointer, "properties", key))[1])


def _by_field(schemas: Schemas, candidates: list[Branch], key: str, value: Json, path: Path) -> list[Branch] | Fault:
    """The candidates that the field `key` leaves; the fault where it leaves none.

    A branch that knows no such field stays where it lacks nothing that it requires.
    """
    knowing = [(branch, _field_literals(schemas, branch, key)) for branch in candidates if key in branch.properties]
    matching = [branch for branch, literals in knowing if value[key] in (literals or [])]
    open_ones = [branch for branch, literals in knowing if literals is None]
    open_ones += [each for each in candidates if key not in each.properties and each.required <= value.keys()]
    if matching or open_ones or not knowing:
        return matching or open_ones or candidates
    allowed = [literal for _, literals in knowing for literal in literals or []]
    types = [json_type(literal) for literal in allowed]
    if of_type(value[key], types):
        return not_among((*path, key), allowed)
    return wrong_type((*path, key), types, value[key])


def _distance(branch: Branch, value: Json) -> tuple[int, int]:
    """Fewest required fields missing, then most known ones there."""
    return len(branch.required - value.keys()), -len(value.keys() & branch.properties.keys())
