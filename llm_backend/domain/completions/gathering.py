"""A chat completion, put together from the chunks of its stream."""

from typing import Any

from llm_backend.domain.tally import objects
from llm_backend.errors import Json

OF_CHUNKS = frozenset({"object", "choices", "usage", "obfuscation"})
"""What a chunk has for itself, or what is put together otherwise."""

TOLD_ONCE = frozenset({"id", "type", "role"})
"""What is said of a message or of a call, and is no piece of a longer text."""

DEEPEST = 4
"""So deep in a delta pieces are put together: a call's arguments are at the third level."""


class _Pieces(list[str]):
    """A text in the making: joined once, however many pieces it came in."""


class GatheredCompletion:
    """Takes the chunks as the client gets them. What comes twice counts as SDKs count it."""

    def __init__(self) -> None:
        self._head: dict[str, Json] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def see(self, chunk: Json) -> None:
        """Take the next chunk, mended: its choices have an index and a delta."""
        for name, value in chunk.items():
            if name not in OF_CHUNKS and value is not None:
                self._head.setdefault(name, value)
        for choice in objects(chunk.get("choices")):
            self._see_choice(choice)

    def whole(self, usage: Json) -> Json:
        """The completion, its choices in order."""
        choices = [_completed(self._choices[index]) for index in sorted(self._choices)]
        told = {} if usage is None else {"usage": usage}
        return {"object": "chat.completion", **self._head, "choices": choices, **told}

    def _see_choice(self, choice: dict[str, Json]) -> None:
        index = choice["index"]
        known = self._choices.setdefault(index, {"index": index, "message": {}, "logprobs": None})
        for name, value in choice.items():
            if name == "delta":
                _grow(known["message"], value, 1)
            elif name == "logprobs" and isinstance(value, dict):
                known[name] = _grow(known[name] or {}, value, 1)
            elif value is not None:
                known[name] = value


def _completed(choice: dict[str, Any]) -> Json:
    message = {"role": "assistant", "content": None, **_joined(choice["message"])}
    if isinstance(message.get("tool_calls"), list):
        message["tool_calls"] = [_without_index(call) for call in message["tool_calls"]]
    return {**choice, "message": message, "logprobs": _joined(choice["logprobs"])}


def _without_index(call: Json) -> Json:
    return {name: value for name, value in call.items() if name != "index"} if isinstance(call, dict) else call


def _grow(known: dict[str, Any], new: dict[str, Json], depth: int) -> dict[str, Any]:
    """Add what a later piece of an object says."""
    for name, value in new.items():
        if value is None or (name in TOLD_ONCE and known.get(name)):
            known.setdefault(name, value)
        else:
            known[name] = value if name in TOLD_ONCE else _grown(known.get(name), value, depth)
    return known


def _grown(known: Any, new: Json, depth: int) -> Any:
    if isinstance(new, str):
        pieces = known if isinstance(known, _Pieces) else _Pieces()
        pieces.append(new)
        return pieces
    if depth == DEEPEST:
        return new
    if isinstance(new, dict):
        return _grow(known if isinstance(known, dict) else {}, new, depth + 1)
    if isinstance(new, list):
        return _longer(known if isinstance(known, list) else [], new, depth + 1)
    return new


def _longer(known: list[Any], new: list[Json], depth: int) -> list[Any]:
    """Add what a later piece of a list says: what has an index goes on with what has the same."""
    for each in new:
        index = each.get("index") if isinstance(each, dict) else None
        begun = None if index is None else next((one for one in reversed(known) if _index(one) == index), None)
        if begun is not None:
            _grow(begun, each, depth)
        else:
            known.append(_grow({}, each, depth) if isinstance(each, dict) else each)
    return known


def _index(value: Any) -> Json:
    return value.get("index") if isinstance(value, dict) else None


def _joined(value: Any) -> Any:
    """The same with its texts whole."""
    if isinstance(value, _Pieces):
        return "".join(value)
    if isinstance(value, dict):
        return {name: _joined(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_joined(each) for each in value]
    return value
