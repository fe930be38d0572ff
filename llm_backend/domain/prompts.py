"""How much there is to read in a request: the measure by which prompts are estimated."""

from llm_backend.errors import Json

SAID = ("messages", "prompt", "input")
"""The parts of a body whose texts a model reads; the names of their fields it does not."""

SHOWN = ("tools", "functions", "response_format")
"""The parts that it reads as they are written."""

UNREAD = frozenset({"data", "file_data", "role", "type", "id", "tool_call_id"})
"""Fields that hold files and sounds as base64, whose size says nothing of their tokens, or a word of the wire."""


def text_bytes(body: Json) -> int:
    """Bytes in UTF-8 of every text in the request, tools and schemas included, encoded files not."""
    said = sum(_said(body[part]) for part in SAID if part in body)
    return said + sum(_shown(body[part]) for part in SHOWN if part in body)


def _said(value: Json) -> int:
    if isinstance(value, str):
        return 0 if value.startswith("data:") else len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, dict):
        return sum(_said(inner) for name, inner in value.items() if name not in UNREAD)
    if isinstance(value, list):
        return sum(map(_said, value))
    return 0


def _shown(value: Json) -> int:
    if isinstance(value, dict):
        return sum(len(name) + _shown(inner) for name, inner in value.items())
    if isinstance(value, list):
        return sum(map(_shown, value))
    return len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else len(str(value))
