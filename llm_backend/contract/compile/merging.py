"""Equal components become one."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from llm_backend.contract.compile import CompileError
from llm_backend.errors import Json

PREFIX = "#/components/schemas/"


def mapped(value: Json, change: Callable[[str], str]) -> Json:
    """`value` with every reference replaced."""
    if isinstance(value, list):
        return [mapped(one, change) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: PREFIX + change(one.removeprefix(PREFIX))
        if key == "$ref" and isinstance(one, str)
        else mapped(one, change)
        for key, one in value.items()
    }


def references(value: Json) -> Iterator[str]:
    """The names of the components that `value` refers to, itself only."""
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key == "$ref" and isinstance(one, str):
                yield one.removeprefix(PREFIX)
            else:
                yield from references(one)


def reachable(roots: Any, components: dict[str, Json]) -> dict[str, Json]:
    """The components that `roots` need, directly or not."""
    found: dict[str, Json] = {}
    waiting = list(references(roots))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name not in components:
            raise CompileError(f"no component is called {name}")
        found[name] = components[name]
        waiting += references(components[name])
    return found


def merge_equal(components: dict[str, Json], paths: Json) -> tuple[dict[str, Json], Json]:
    """Both, with equal components of one side joined until no two are equal.

    The shortest name of a class stays; that of an operation (`request.createX`) only where no class has the shape.
    """
    while True:
        kept: dict[bytes, str] = {}
        renamed: dict[str, str] = {}
        for name in sorted(components, key=_preference):
            side = name.partition(".")[0].encode()
            content = side + orjson.dumps(components[name], option=orjson.OPT_SORT_KEYS)
            renamed[name] = kept.setdefault(content, name)
        if len(kept) == len(components):
            return components, paths
        components = {name: mapped(components[name], renamed.__getitem__) for name in kept.values()}
        paths = mapped(paths, renamed.__getitem__)


def _preference(name: str) -> tuple[bool, int, str]:
    own = name.partition(".")[2]
    return own[:1].islower() and "." not in own, len(name), name
