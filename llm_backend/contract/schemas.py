"""The schemas of one document, compiled once, and asked by where they stand in it."""

from collections.abc import Iterable, Iterator
from urllib.parse import quote

import jsonschema_rs

from llm_backend.contract.errors import ContractError
from llm_backend.errors import Json

URI = "urn:llm-backend"

_REGEX = jsonschema_rs.RegexOptions()
"""Linear in the length of what is matched, whatever the pattern."""


class Schemas:
    """Named schemas and the components that they reach, behind one registry.

    A pointer is a JSON pointer into them: `/named/createEmbedding/properties/input`. Validators are compiled when they
    are first asked for and kept; there are at most twice as many as there are places in the schemas.
    """

    def __init__(self, named: dict[str, Json], components: dict[str, Json]) -> None:
        """`components` are those of the whole document; what no named schema reaches is let go."""
        reached = {name: components[name] for name in _reached(named.values(), components)}
        self._root: Json = {"named": named, "components": {"schemas": reached}}
        self._registry = jsonschema_rs.Registry([(URI, self._root)])
        self._validators: dict[tuple[str, str], jsonschema_rs.Draft202012Validator] = {}

    def is_valid(self, pointer: str, value: Json) -> bool:
        """Whether `value` is what stands at `pointer`. Linear in the size of the value."""
        return self._validator(pointer, "one").is_valid(value)

    def are_valid(self, pointer: str, values: list[Json]) -> bool:
        """Whether each of `values` is what stands at `pointer`."""
        return self._validator(pointer, "each").is_valid(values)

    def at(self, pointer: str) -> tuple[str, Json]:
        """The schema at `pointer`, all references followed, and the pointer to where it really stands."""
        schema = self._find(pointer)
        while isinstance(schema, dict) and schema.keys() == {"$ref"}:
            pointer = schema["$ref"].removeprefix("#")
            schema = self._find(pointer)
        return pointer, schema

    def check(self, pointer: str) -> None:
        """Raises ContractError where what stands at `pointer` cannot be used.

        The validator is let go: most are never asked, some take two megabytes, and to compile one anew takes the first
        request that needs it three milliseconds at most.
        """
        try:
            self._compiled(pointer, "one")
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            reason = str(error).splitlines()[0]
            raise ContractError(f"The schema of {pointer.removeprefix('/named/')} cannot be used: {reason}.") from None

    def _find(self, pointer: str) -> Json:
        node = self._root
        for part in pointer.split("/")[1:]:
            node = node[int(part)] if isinstance(node, list) else node[part.replace("~1", "/").replace("~0", "~")]
        return node

    def _validator(self, pointer: str, kind: str) -> jsonschema_rs.Draft202012Validator:
        found = self._validators.get((pointer, kind))
        if found is None:
            found = self._validators[pointer, kind] = self._compiled(pointer, kind)
        return found

    def _compiled(self, pointer: str, kind: str) -> jsonschema_rs.Draft202012Validator:
        reference = {"$ref": f"{URI}#{quote(pointer)}"}
        schema = reference if kind == "one" else {"items": reference}
        return jsonschema_rs.Draft202012Validator(schema, registry=self._registry, pattern_options=_REGEX)


def below(pointer: str, *parts: str | int) -> str:
    """The pointer to what stands under `pointer`."""
    return "/".join([pointer, *(str(part).replace("~", "~0").replace("/", "~1") for part in parts)])


def _reached(schemas: Iterable[Json], components: dict[str, Json]) -> set[str]:
    waiting, reached = list(schemas), set[str]()
    while waiting:
        for reference in _references(waiting.pop()):
            name = reference.removeprefix("#/components/schemas/").replace("~1", "/").replace("~0", "~")
            if name not in reached:
                if name not in components:
                    raise ContractError(f"The document refers to {reference}, which does not exist.")
                reached.add(name)
                waiting.append(components[name])
    return reached


def _references(node: Json) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _references(each)
