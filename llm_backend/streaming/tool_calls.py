"""Which call a streamed piece of a tool call belongs to: SDKs add the pieces up by `index`, and crash where it lies."""

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from llm_backend.errors import Json, UpstreamInvalid
from llm_backend.streaming.sse import ascii_json

_TEXT_OF = {"function": "arguments", "custom": "input"}
"""Under which key each kind of call streams its text."""


@dataclass(slots=True)
class _Call:
    kind: str
    name: str
    upstream_id: str | None
    has_begun: bool = False
    """Whether any of its text has come: from then on its name is whole."""
    pieces: list[str] = field(default_factory=list)
    """The text so far, kept only where no id tells this call from the next."""

    def take(self, text: str) -> None:
        self.has_begun = True
        if self.upstream_id is None:
            self.pieces.append(text)

    def is_complete(self) -> bool:
        return bool(self.pieces) and self.pieces[-1].rstrip().endswith("}") and are_whole("".join(self.pieces))


class ToolCalls:
    """The tool calls of one choice, in the order in which they first appeared."""

    __slots__ = ("_at_id", "_at_index", "_calls", "_new_id")

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._calls: list[_Call] = []
        self._at_id: dict[str, int] = {}
        self._at_index: dict[int, int] = {}  # the upstream's index -> where the latest call with it stands

    def __bool__(self) -> bool:
        return bool(self._calls)

    def mend(self, piece: Json) -> bool:
        """Give `piece` the index and the fields that SDKs rely on; say whether that changed it."""
        upstream_id = piece.get("id")
        if not isinstance(upstream_id, str) or not upstream_id:
            upstream_id = None
        index = number(piece.get("index"))
        position = self._find(upstream_id, index, _name_in(piece))
        if position is None:
            position = self._open(piece, upstream_id, index)
            changed = self._mend_first(piece, self._calls[position])
        else:
            changed = _mend_next(piece, self._calls[position])
        if type(piece.get("index")) is int and piece["index"] == position:
            return changed
        piece["index"] = position
        return True

    def _find(self, upstream_id: str | None, index: int | None, name: str) -> int | None:
        """Where the call stands that a piece goes on with; None where the piece begins another."""
        if upstream_id in self._at_id:
            return self._at_id[upstream_id]
        last = len(self._calls) - 1 if self._calls else None
        position = last if index is None else self._at_index.get(index)
        if position is None:
            return None
        call = self._calls[position]
        if _begins_another(call, name, has_index=index is not None):
            return None
        if upstream_id is not None:
            if call.upstream_id is not None:
                return None
            # The id came late, after the client had been given ours.
            self._at_id[upstream_id] = position
        return position

    def _open(self, piece: Json, upstream_id: str | None, index: int | None) -> int:
        position = len(self._calls)
        kind = "custom" if isinstance(piece.get("custom"), dict) else "function"
        self._calls.append(_Call(kind, _name_in(piece), upstream_id))
        if upstream_id is not None:
            self._at_id[upstream_id] = position
        if index is None:
            self._at_index.setdefault(position, position)
        else:
            self._at_index[index] = position
        return position

    def _mend_first(self, piece: Json, call: _Call) -> bool:
        changed = False
        if call.upstream_id is None:
            piece["id"] = f"call_{self._new_id()}"
            changed = True
        if piece.get("type") != call.kind:
            piece["type"] = call.kind
            changed = True
        body = piece.get(call.kind)
        if not isinstance(body, dict):
            body = piece[call.kind] = {}
        if not isinstance(body.get("name"), str):
            body["name"] = ""
            changed = True
        if body.get(_TEXT_OF[call.kind]) is None:
            body[_TEXT_OF[call.kind]] = ""
            changed = True
        return _take_text(body, call) or changed


def are_whole(arguments: str) -> bool:
    """Whether a call's arguments are an object, to which nothing can be added."""
    if not arguments.rstrip().endswith("}"):
        return False
    try:
        return isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        return False


def written(value: Json, as_sent: bytes | None = None) -> bytes:
    """Keep the upstream's own bytes where they are given, ASCII and one line; else write `value` anew.

    Raises `UpstreamInvalid` where it is nested too deeply to be written.
    """
    if as_sent is not None and as_sent.isascii() and b"\n" not in as_sent:
        return as_sent
    try:
        return ascii_json(value)
    except orjson.JSONEncodeError as error:
        raise UpstreamInvalid("The upstream sent an event that is nested too deeply.", outcome_unknown=True) from error


def number(index: Json) -> int | None:
    """Read an index as upstreams write it: 0 and "0" are both zero; None for what is none."""
    if type(index) is int and index >= 0:
        return index
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) <= len("999999999"):
        return int(index)
    return None


def _name_in(piece: Json) -> str:
    for kind in _TEXT_OF:
        body = piece.get(kind)
        if isinstance(body, dict) and isinstance(body.get("name"), str):
            return str(body["name"])
    return ""


def _begins_another(call: _Call, name: str, *, has_index: bool) -> bool:
    """Whether a piece without an id of its own, called `name`, opens a call instead of going on with `call`.

    Some upstreams repeat the name with every piece, some cut it in two, some send whole calls under one index.
    """
    if not name or not call.name:
        return False
    if name != call.name:
        return call.has_begun or not has_index
    return call.is_complete()


def _mend_next(piece: Json, call: _Call) -> bool:
    """Leave of a later piece only what may be added to the first: SDKs concatenate ids and names too."""
    changed = False
    if "id" in piece:
        del piece["id"]
        changed = True
    if "type" in piece and piece["type"] != call.kind:
        del piece["type"]
        changed = True
    body = piece.get(call.kind)
    if not isinstance(body, dict):
        body = piece[call.kind] = {_TEXT_OF[call.kind]: ""}
        changed = True
    if "name" in body:
        changed = _mend_next_name(body, call) or changed
    if _TEXT_OF[call.kind] in body and body[_TEXT_OF[call.kind]] is None:
        del body[_TEXT_OF[call.kind]]
        changed = True
    return _take_text(body, call) or changed


def _mend_next_name(body: Json, call: _Call) -> bool:
    name = body["name"]
    is_rest_of_name = isinstance(name, str) and name != call.name and not (call.name and call.has_begun)
    if is_rest_of_name:
        call.name += name
        return False
    del body["name"]
    return True


def _take_text(body: Json, call: _Call) -> bool:
    """Note the call's text; arguments sent as an object, not as text, are written out."""
    key = _TEXT_OF[call.kind]
    text = body.get(key)
    changed = text is not None and not isinstance(text, str)
    if changed:
        text = body[key] = written(text).decode()
    if text:
        call.take(text)
    return changed
