"""Items of an upstream's, with what every client counts on."""

from collections.abc import Mapping
from typing import Final

from llm_backend.domain.items import CALLS
from llm_backend.domain.responses.growing import COMPLETED, IN_PROGRESS, INCOMPLETE, Event
from llm_backend.domain.responses.outputs import NewId
from llm_backend.domain.responses.voices import (
    LISTS,
    OF_ITEMS,
    OF_PARTS,
    OUTPUT_TEXT,
    REASONING_TEXT,
    SUMMARY_TEXT,
    Voice,
)
from llm_backend.errors import Json, UpstreamInvalid
from llm_backend.streaming.tool_calls import written

_OWN: Final[Mapping[str, Mapping[str, Json]]] = {
    "message": {"role": "assistant", "status": IN_PROGRESS},
    "function_call": {"status": IN_PROGRESS},
}
"""What items of these types always have."""
_KEPT: Final = frozenset({"type", "role", "status", "call_id", "name"})
"""What an item that has it never loses."""
_USUAL: Final[Mapping[tuple[str, str], Voice]] = {
    ("message", "content"): OUTPUT_TEXT,
    ("reasoning", "content"): REASONING_TEXT,
    ("reasoning", "summary"): SUMMARY_TEXT,
}
"""How an item speaks, by its type and its list of parts, where a plain text stands in place of that."""


def mended(given: Json) -> Event:
    """The item, with parts and texts where they belong. Raises UpstreamInvalid where it has something else there."""
    item = dict(_object(given))
    kind = item.get("type")
    if not isinstance(kind, str):
        raise invalid("an item without a type")
    for name in _KEPT if kind in LISTS or kind in OF_ITEMS else ("status",):
        if not isinstance(item.get(name), str | None):
            raise invalid(f"an item whose {name} is no text")
    for name in LISTS.get(kind, ()):
        if name in item:
            item[name] = _parts(item[name], _USUAL[kind, name])
    voice = OF_ITEMS.get(kind)
    if voice is not None and voice.field in item:
        item[voice.field] = said(item[voice.field], voice)
    return item


def part(given: Json) -> Event:
    """A part of an item. Raises UpstreamInvalid where it is none, or says what is no text."""
    found = _object(given)
    kind = found.get("type")
    if not isinstance(kind, str):
        raise invalid("a part without a type")
    if kind in OF_PARTS:
        said(found.get(OF_PARTS[kind].field), OF_PARTS[kind])
        if not isinstance(found.get("annotations"), list | None):
            raise invalid("annotations that are no list")
    return found


def said(given: Json, voice: Voice) -> str | None:
    """What an item says in this voice, None where nothing is told of it: arguments may come as an object.

    Raises UpstreamInvalid for all else that is no text.
    """
    if isinstance(given, str | None):
        return given
    if voice.part is None and isinstance(given, dict | list):
        return written(given).decode()
    raise invalid("a text that is none")


def begun(given: Event, new_id: NewId) -> Event:
    """The mended item as it is when it begins: with none of its texts, and without its id.

    Raises UpstreamInvalid as `refuse_nameless`.
    """
    refuse_nameless(given)
    kind = given["type"]
    own = _OWN.get(kind, {})
    fields: Event = {"type": kind, **own}
    fields |= {name: value for name, value in given.items() if name != "id" and (value is not None or name not in own)}
    if kind in CALLS:
        fields["call_id"] = fields.get("call_id") or new_id("call")
    for name in LISTS.get(kind, ()):
        if kind == "message" or name == "summary" or name in fields:
            fields[name] = []
    if kind in OF_ITEMS:
        fields[OF_ITEMS[kind].field] = ""
    if fields.get("status") in {COMPLETED, INCOMPLETE, "failed"}:
        fields["status"] = IN_PROGRESS
    return fields


def refuse_nameless(given: Event) -> None:
    """Raises UpstreamInvalid where nobody could tell what the item calls."""
    if given["type"] in CALLS and not isinstance(given.get("name"), str):
        raise invalid("a call without a name")


def refuse_deep(given: Json) -> None:
    """Raises UpstreamInvalid for what is nested too deeply to be written where it is told again, in a response."""
    written({"response": {"output": [given]}})


def ended(given: Event) -> Event:
    """What the upstream says of the mended item in the end, without what it leaves empty that the item began with."""
    return {name: value for name, value in given.items() if value or name not in _KEPT}


def invalid(what: str) -> UpstreamInvalid:
    """Of what came, where nobody can say what it means."""
    return UpstreamInvalid(f"The upstream sent {what}.", outcome_unknown=True)


def _object(value: Json) -> Event:
    if not isinstance(value, dict):
        raise invalid("an event without what it tells of")
    return value


def _parts(given: Json, usual: Voice) -> list[Event] | None:
    if isinstance(given, str):
        return [{"type": usual.part, usual.field: given}]
    if not isinstance(given, list | None):
        raise invalid("parts that are no list")
    return None if given is None else [part(each) for each in given]
