"""What a chat cannot carry, said as an error that names the field."""

import re
from collections.abc import Mapping
from typing import TypeVar

from llm_backend.errors import InvalidRequest, Json

T = TypeVar("T")

_WORD = re.compile(r"[a-z0-9_]{1,64}\Z")

_USUAL: Mapping[str, tuple[Json, ...]] = {
    "async": (None, False),
    "defer_loading": (None, False),
    "allowed_callers": (None, ["direct"]),
    "caller": (None, {"type": "direct"}),
    "namespace": (None,),
    "output_schema": (None,),
}
"""Fields of tools and their calls that a chat has not, with the values that say what it does anyway."""


def unsupported_value(what: str, param: str) -> InvalidRequest:
    """A kind of thing that stands at `param`; `what` begins the message."""
    message = f"{what} cannot be sent: the upstream of this model has chats only."
    return InvalidRequest(message, param=param, code="unsupported_value")


def unsupported_parameter(param: str) -> InvalidRequest:
    """A field that a chat has not."""
    message = "This field cannot be sent: the upstream of this model has chats only."
    return InvalidRequest(message, param=param, code="unsupported_parameter")


def needed(fields: Json, name: str, kind: type[T] | tuple[type[T], ...], param: str) -> T:
    """What `fields`, which stand at `param`, have by this name. Raises InvalidRequest where it is not of this type.

    Items that name no type are checked for an id alone, if they have one: they could be a reference.
    """
    value = fields.get(name) if isinstance(fields, dict) else None
    if isinstance(value, kind):
        return value
    raise InvalidRequest("This field is missing, or not of the type it has to be.", param=f"{param}.{name}")


def kind_of(fields: Mapping[str, Json]) -> str:
    """`type web_search`, for a message: of what a client wrote, never more than a word is said."""
    kind = fields.get("type")
    return f"type {kind}" if isinstance(kind, str) and _WORD.match(kind) else "an unknown type"


def check_usual(fields: Mapping[str, Json], param: str) -> None:
    """Raises InvalidRequest where a tool or a call at `param` asks for what only responses can do."""
    for name, usual in _USUAL.items():
        if fields.get(name) not in usual:
            raise unsupported_parameter(f"{param}.{name}")


def without_usual(fields: Mapping[str, Json], param: str) -> dict[str, Json]:
    """The fields of a tool that a chat has too, but its type. Raises InvalidRequest as `check_usual`."""
    check_usual(fields, param)
    return {name: value for name, value in fields.items() if value is not None and name not in {"type", *_USUAL}}
