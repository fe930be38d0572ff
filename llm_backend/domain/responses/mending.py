"""Items of an upstream's, with what every client counts on."""

from collections.abc import Mapping
from typing import Final

from llm_backend.domain.responses.growing import COMPLETED, IN_PROGRESS, INCOMPLETE, Event
from llm_backend.domain.responses.outputs import NewId
from llm_backend.domain.responses.voices import LISTS, OF_ITEMS
from llm_backend.errors import Json, UpstreamInvalid

_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
"""What the client itself has to answer."""
_OWN: Final[Mapping[str, Mapping[str, Json]]] = {
    "message": {"role": "assistant", "status": IN_PROGRESS},
    "function_call": {"status": IN_PROGRESS},
}
"""What items of these types always have."""
_KEPT: Final = frozenset({"type", "role", "status", "call_id", "name"})
"""What an item that has it never loses."""


def begun(given: Event, new_id: NewId) -> Event:
    """The item as it is when it begins: with none of its texts, and without its id. Raises UpstreamInvalid."""
    kind = given.get("type")
    if not isinstance(kind, str):
        raise UpstreamInvalid("The upstream sent an item without a type.", outcome_unknown=True)
    own = _OWN.get(kind, {})
    fields: Event = {"type": kind, **own}
    fields |= {name: value for name, value in given.items() if name != "id" and (value is not None or name not in own)}
    if kind in _CALLS:
        fields["call_id"] = fields.get("call_id") or new_id("call")
        if not isinstance(fields.get("name"), str):
            raise UpstreamInvalid("The upstream sent a call without a name.", outcome_unknown=True)
    for name in LISTS.get(kind, ()):
        if kind == "message" or name == "summary" or name in fields:
            fields[name] = []
    if kind in OF_ITEMS:
        fields[OF_ITEMS[kind].field] = ""
    if fields.get("status") in {COMPLETED, INCOMPLETE, "failed"}:
        fields["status"] = IN_PROGRESS
    return fields


def ended(given: Event) -> Event:
    """What the upstream says of the item in the end, without what it leaves empty that the item began with."""
    return {name: value for name, value in given.items() if value or name not in _KEPT}
