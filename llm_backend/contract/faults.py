"""What is wrong with one value, said without showing it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm_backend.errors import MESSAGE_LIMIT, InvalidRequest, Json

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_ARTICLES = {"array": "an array", "integer": "an integer", "object": "an object", "null": "null"}

Path = tuple[str | int, ...]
"""Keys and indexes, from the body down."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One violation: where, OpenAI's code for it, and what would be right."""

    path: Path
    code: str
    expected: str
    """The end of a sentence that begins with the field: `must be an integer`."""

    def error(self) -> InvalidRequest:
        param = dotted(self.path)
        subject = f"'{param}'" if param else "The body"
        message = f"{subject} {self.expected}."
        if len(message) > MESSAGE_LIMIT:
            message = message[: MESSAGE_LIMIT - 3] + "..."
        return InvalidRequest(message, param=param or None, code=self.code)


def dotted(path: Path) -> str:
    """`messages[1].content[0].text`; ends before the first key that a client made up and that is not plain."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            written += f".{part}" if written else part
        else:
            break
    return written


def json_type(value: Json) -> str:
    """The type's name in JSON Schema; a float that is a whole number is an integer."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def wrong_type(path: Path, allowed: Sequence[str], value: Json) -> Fault:
    wanted = [name for name in dict.fromkeys(allowed) if name != "null"] or ["null"]
    expected = " or ".join(_ARTICLES.get(name, f"a {name}") for name in wanted)
    found = json_type(value)
    return Fault(path, "invalid_type", f"must be {expected}, not {_ARTICLES.get(found, f'a {found}')}")


def not_among(path: Path, allowed: Sequence[Json]) -> Fault:
    """The literals are the document's own; as many are named as fit."""
    shown = ""
    for literal in dict.fromkeys(str(each) for each in allowed if each is not None):
        following = f"{shown}, '{literal}'" if shown else f"'{literal}'"
        if len(following) > MESSAGE_LIMIT // 2:
            shown += ", ..."
            break
        shown = following
    return Fault(path, "invalid_value", f"must be one of {shown}")


def missing(path: Path) -> Fault:
    return Fault(path, "missing_required_parameter", "is required")


def unknown(path: Path) -> Fault:
    return Fault(path, "unknown_parameter", "is not a parameter that may be set here")


def out_of_bounds(path: Path, schema: Json, value: Json) -> Fault | None:
    """Where `value` breaks a bound that `schema` itself sets; None where it breaks none."""
    kind = json_type(value)
    if kind in _SIZES:
        return _size(path, schema, len(value), kind)
    if kind in ("integer", "number"):
        return _range(path, schema, value)
    return None


_SIZES = {
    "string": ("Length", "length", "characters"),
    "array": ("Items", "length", "items"),
    "object": ("Properties", "properties", "keys"),
}
"""For each type: how the schema's bounds end, how the codes end, and what is counted."""


def _size(path: Path, schema: Json, size: int, kind: str) -> Fault | None:
    suffix, what, unit = _SIZES[kind]
    most, least = schema.get(f"max{suffix}", size), schema.get(f"min{suffix}", size)
    if size > most:
        return Fault(path, f"{kind}_above_max_{what}", f"must have at most {most} {unit}")
    if size == 0 < least:
        return Fault(path, f"empty_{kind}", "must not be empty")
    if size < least:
        return Fault(path, f"{kind}_below_min_{what}", f"must have at least {least} {unit}")
    return None


def _range(path: Path, schema: Json, value: float) -> Fault | None:
    kind = "integer" if "integer" in types_of(schema) else "decimal"
    above, below = f"{kind}_above_max_value", f"{kind}_below_min_value"
    if value > schema.get("maximum", value):
        return Fault(path, above, f"must be at most {schema['maximum']}")
    if value < schema.get("minimum", value):
        return Fault(path, below, f"must be at least {schema['minimum']}")
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        return Fault(path, above, f"must be less than {schema['exclusiveMaximum']}")
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        return Fault(path, below, f"must be more than {schema['exclusiveMinimum']}")
    return None


def types_of(schema: Json) -> list[str]:
    """The JSON types that the schema's own `type` allows; empty where it allows any."""
    declared = schema.get("type", [])
    return [declared] if isinstance(declared, str) else list(declared)
