"""The content of items, as the content of a chat's messages."""

from collections.abc import Callable, Mapping, Sequence

from llm_backend.domain.responses.unsupported import kind_of, needed, unsupported_value
from llm_backend.errors import Json

Part = dict[str, Json]

TEXTS = frozenset({"input_text", "output_text"})
PARTS: Mapping[str, frozenset[str]] = {
    "user": TEXTS | {"input_image", "input_file", "input_audio"},
    "assistant": TEXTS | {"refusal"},
    "system": TEXTS,
    "tool": TEXTS,
}
"""The kinds that a chat's message of each role may hold."""


def parts_of(content: Json, role: str, param: str) -> list[Part]:
    """A text, or a list of parts, as parts of a chat; `param` is where it stands. Raises InvalidRequest."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_part(part, role, f"{param}[{index}]") for index, part in enumerate(content)]


def content_of(parts: Sequence[Part]) -> Json:
    """As simple as it can be said: every chat takes a text, not every one a list."""
    if not parts:
        return ""
    is_text = len(parts) == 1 and parts[0].keys() == {"type", "text"}
    return parts[0]["text"] if is_text else list(parts)


def _part(part: Mapping[str, Json], role: str, param: str) -> Part:
    kind = needed(part, "type", str, param)
    if kind not in PARTS[role]:
        raise unsupported_value(f"A part of {kind_of(part)} in a message of the role {role}", f"{param}.type")
    made = _MAKERS[kind](part, param)
    mark = part.get("prompt_cache_breakpoint")
    return made if mark is None else {**made, "prompt_cache_breakpoint": mark}


def _text(part: Mapping[str, Json], param: str) -> Part:
    return {"type": "text", "text": needed(part, "text", str, param)}


def _refusal(part: Mapping[str, Json], param: str) -> Part:
    return {"type": "refusal", "refusal": needed(part, "refusal", str, param)}


def _image(part: Mapping[str, Json], param: str) -> Part:
    shown = _told(part, {"image_url": "url", "detail": "detail"}, param)
    if "url" not in shown:
        raise unsupported_value("An image without its own address or data", f"{param}.file_id")
    return {"type": "image_url", "image_url": shown}


def _file(part: Mapping[str, Json], param: str) -> Part:
    if part.get("file_url") is not None:
        raise unsupported_value("A file by its address", f"{param}.file_url")
    if part.get("detail") not in (None, "auto"):
        raise unsupported_value("How closely a file is to be looked at", f"{param}.detail")
    return {"type": "file", "file": _told(part, {name: name for name in ("file_data", "file_id", "filename")}, param)}


def _audio(part: Mapping[str, Json], param: str) -> Part:
    sound, place = needed(part, "input_audio", dict, param), f"{param}.input_audio"
    return {
        "type": "input_audio",
        "input_audio": {name: needed(sound, name, str, place) for name in ("data", "format")},
    }


def _told(part: Mapping[str, Json], names: Mapping[str, str], param: str) -> dict[str, str]:
    """Those texts of `names` that the part has, by what a chat calls them."""
    return {chats: needed(part, name, str, param) for name, chats in names.items() if part.get(name) is not None}


_MAKERS: Mapping[str, Callable[[Mapping[str, Json], str], Part]] = {
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
