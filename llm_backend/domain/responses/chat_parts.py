"""The content of items, as the content of a chat's messages: what chats have no word for is refused by its name."""

from collections.abc import Callable, Mapping, Sequence

from llm_backend.domain.completions.parts import NESTED, REFUSAL, TEXTS, part_of_message
from llm_backend.domain.responses.unsupported import kind_of, needed, unsupported_value
from llm_backend.errors import Json

Part = dict[str, Json]

PARTS: Mapping[str, frozenset[str]] = {
    "user": TEXTS | {"input_image", "input_file", "input_audio"},
    "assistant": TEXTS | {REFUSAL},
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
    _CHECKS[kind](part, param)
    return part_of_message(part)


def _check_text(part: Mapping[str, Json], param: str) -> None:
    needed(part, "text", str, param)


def _check_refusal(part: Mapping[str, Json], param: str) -> None:
    needed(part, REFUSAL, str, param)


def _check_image(part: Mapping[str, Json], param: str) -> None:
    if part.get("image_url") is None:
        raise unsupported_value("An image without its own address or data", f"{param}.file_id")
    _check_members(part, param)


def _check_file(part: Mapping[str, Json], param: str) -> None:
    if part.get("file_url") is not None:
        raise unsupported_value("A file by its address", f"{param}.file_url")
    if part.get("detail") not in (None, "auto"):
        raise unsupported_value("How closely a file is to be looked at", f"{param}.detail")
    _check_members(part, param)


def _check_audio(part: Mapping[str, Json], param: str) -> None:
    sound = needed(part, "input_audio", dict, param)
    for name in ("data", "format"):
        needed(sound, name, str, f"{param}.input_audio")


def _check_members(part: Mapping[str, Json], param: str) -> None:
    for name in NESTED[part["type"]][1]:
        if part.get(name) is not None:
            needed(part, name, str, param)


_CHECKS: Mapping[str, Callable[[Mapping[str, Json], str], None]] = {
    "input_text": _check_text,
    "output_text": _check_text,
    "refusal": _check_refusal,
    "input_image": _check_image,
    "input_file": _check_file,
    "input_audio": _check_audio,
}
"""What is refused of each kind, as no chat has it."""
