"""What of an item is shown only to whoever asks for it."""

from collections.abc import Collection, Mapping, Sequence

from llm_backend.domain import items
from llm_backend.errors import Json
from llm_backend.storage.items import Item

ASKED_FOR = (
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
)
"""What `include` may name: the type of an item, and where it stands there; of a message, in parts of which type."""

LEFT: Mapping[str, Json] = {"logprobs": []}
"""What stays in place of what is not shown; of everything else nothing does."""


def shown(kept: Item, include: Collection[str]) -> dict[str, Json]:
    """A row as the API shows it to whoever asks for `include`."""
    return shown_with(items.shown(kept), include)


def shown_with(item: Mapping[str, Json], include: Collection[str]) -> dict[str, Json]:
    """An item without what `include` does not name."""
    found = dict(item)
    for name in ASKED_FOR:
        kind, *path = name.split(".")
        if kind != found["type"] or name in include:
            continue
        if kind == "message":
            part_type, *inner = path
            parts = found["content"]
            found["content"] = [_without(each, inner) if each.get("type") == part_type else each for each in parts]
        else:
            found = _without(found, path)
    return found


def _without(value: Mapping[str, Json], path: Sequence[str]) -> dict[str, Json]:
    """The object without what stands at `path`."""
    name, *further = path
    rest = dict(value)
    if further:
        if isinstance(rest.get(name), dict):
            rest[name] = _without(rest[name], further)
    elif rest.pop(name, None) is not None and name in LEFT:
        rest[name] = LEFT[name]
    return rest
